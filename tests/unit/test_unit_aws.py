"""The door to AWS: what is "not now", and where an endpoint is reached."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from control_plane import aws
from control_plane.services.live import at
from control_plane.store.table import condition_failed


def error(code: str, reasons: list[str] | None = None) -> ClientError:
    response: dict[str, object] = {"Error": {"Code": code, "Message": "…"}}
    if reasons is not None:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "Operation")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code",
    [
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "ServiceUnavailable",
        "InternalServerError",
        "TransactionInProgressException",
        # A write met a transaction on the same item (DynamoDB guide, "Transaction conflict").
        "TransactionConflictException",
    ],
)
def test_a_throttle_or_a_passing_fault_is_busy(code: str) -> None:
    assert aws.is_busy(error(code)) is True


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "AccessDeniedException",
        "ValidationError",
        "ResourceNotFoundException",
        "NoSuchKey",
        "ConditionalCheckFailedException",
        "",
    ],
)
def test_a_no_is_not_busy(code: str) -> None:
    assert aws.is_busy(error(code)) is False


def test_a_transaction_that_met_another_one_is_busy() -> None:
    met = error("TransactionCanceledException", ["None", "TransactionConflict", "None"])
    assert aws.is_busy(met) is True
    assert condition_failed(met) is False


def test_a_transaction_whose_condition_does_not_hold_is_not_busy() -> None:
    refused = error("TransactionCanceledException", ["None", "ConditionalCheckFailed"])
    assert aws.is_busy(refused) is False
    assert condition_failed(refused) is True


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_no_other_error_is_a_failed_condition(code: str) -> None:
    assert condition_failed(error(code)) is False
    assert condition_failed(error("ConditionalCheckFailedException")) is True


@pytest.mark.parametrize("kind", [EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError])
def test_silence_is_busy(kind: type[Exception]) -> None:
    assert aws.is_busy(kind(endpoint_url="https://x", error="…")) is True  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "wrong",
    [NoCredentialsError(), ParamValidationError(report="…"), ValueError("x"), KeyError("x")],
)
def test_a_mistake_of_ours_is_not_busy(wrong: Exception) -> None:
    assert aws.is_busy(wrong) is False


def test_the_code_of_an_error_without_one_is_empty() -> None:
    assert aws.error_code(ClientError({}, "Operation")) == ""
    assert aws.error_code(error("SlowDown")) == "SlowDown"


# Endpoints ----------------------------------------------------------------------------------------

GATEWAY = "https://abc123.execute-api.eu-central-1.amazonaws.com/stage/health"


def test_on_aws_an_endpoint_is_itself() -> None:
    assert aws.reachable(GATEWAY) == GATEWAY


@pytest.mark.parametrize("emulator", ["http://127.0.0.1:4566", "http://127.0.0.1:4566/"])
def test_on_a_laptop_the_same_api_answers_below_the_emulator(
    monkeypatch: pytest.MonkeyPatch, emulator: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    wanted = "http://127.0.0.1:4566/_aws/execute-api/abc123/stage/health"
    assert aws.reachable(GATEWAY) == wanted


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/stage/health",
        "http://abc123.execute-api.eu-central-1.amazonaws.com/x",
        "https://abc123.execute-api.eu-central-1.amazonaws.com.evil.example/x",
        "http://127.0.0.1:9000/health",
    ],
)
def test_what_is_no_api_gateway_endpoint_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert aws.reachable(url) == url


def test_an_answers_value_is_found_at_its_dotted_path() -> None:
    body = {"version": {"build": "f00", "parts": [1]}, "groups": None}
    assert at(body, "version.build") == "f00"
    assert at(body, "version") == {"build": "f00", "parts": [1]}


@pytest.mark.parametrize(
    "path", ["version.else", "version.build.more", "version.parts.0", "", None]
)
@pytest.mark.parametrize("body", [{"version": {"build": "f00", "parts": [1]}}, None, [], "text", 3])
def test_what_is_not_in_an_answer_is_none_and_no_error(path: str | None, body: object) -> None:
    assert at(body, path) is None
