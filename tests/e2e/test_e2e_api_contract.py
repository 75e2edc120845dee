"""Whatever a client sends, signed, the API answers as its own description says, never with a 5xx.

A laptop of its own, without a source: whatever may be started is refused for that, and nothing
that other tests look at is changed.
"""

import json
import os
from collections.abc import Iterator

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import started
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from syndi_command import Syndi

from control_plane import aws

CASES = int(os.environ.get("API_CASES", "450"))
"""Requests in all; in half of them something is wrong. `make test-api` sends 2,000."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Signed(requests.auth.AuthBase):
    """Signature Version 4 of the laptop's operator."""

    def __init__(self, key: Credentials) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # A plus is no space in a signature (Signature Version 4, canonical query string).
        path, mark, query = str(request.url).partition("?")
        request.url = path + mark + query.replace("+", "%20")
        unsigned = AWSRequest(request.method, request.url, data=request.body)
        SigV4Auth(self._key, "execute-api", "us-east-1").add_auth(unsigned)
        request.headers.update(dict(unsigned.headers))
        return request


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """An installed control plane whose environments have no source."""
    with started(tmp_path_factory.mktemp("contract")) as syndi:
        table = syndi.client("dynamodb")
        name = syndi.outputs()["TableName"]
        for item in table.scan(TableName=name)["Items"]:
            if item["SK"]["S"].startswith("ENVIRONMENT#"):
                table.delete_item(TableName=name, Key={"PK": item["PK"], "SK": item["SK"]})
        yield syndi


def test_every_answer_is_as_described(laptop: Syndi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL", f"http://127.0.0.1:{laptop.variables['SYNDI_LOCAL_PORT']}"
    )
    address = aws.reachable(laptop.outputs()["ApiUrl"])
    key = json.loads((laptop.state / "operator.json").read_text())
    session = requests.Session()
    session.auth = Signed(Credentials(key["access_key_id"], key["secret_access_key"]))
    schema = schemathesis.openapi.from_dict(session.get(f"{address}/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    wrong: dict[str, str] = {}
    answered = 0

    def send(case: schemathesis.Case) -> None:
        nonlocal answered
        response = case.call(base_url=address, session=session, timeout=60)
        if response.status_code == 403:
            return  # API Gateway's own, in its own form: no policy allows a path with a line break
        answered += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failed:
            kinds = ", ".join(type(error).__name__ for error in failed.exceptions)
            told = f"{response.status_code} {response.text[:300]}"
            wrong.setdefault(
                f"{case.method} {case.path}: {kinds}", f"{case.as_curl_command()}\n    {told}"
            )

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for operation in operations:
            bounded = settings(
                max_examples=CASES // len(operations) // 2,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            try:
                bounded(given(case=operation.as_strategy(generation_mode=mode))(send))()
            except Unsatisfiable:  # without parameters and body there is nothing to get wrong
                assert mode == GenerationMode.NEGATIVE
                assert operation.method == "get"
    assert not wrong, "\n".join(f"{what}\n    {how}" for what, how in wrong.items())
    assert answered > CASES / 2
