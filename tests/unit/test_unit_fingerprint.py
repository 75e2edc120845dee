"""What makes two builds the same; and the errors and passwords, which are rules too."""

import inspect
import itertools
import string

import pytest

from control_plane import errors, models
from control_plane.services.secrets import generated_password
from control_plane.store.builds import fingerprint

INPUTS = {
    "source": "5" * 64,
    "overrides": "httpx==1.0",
    "runtime": "python3.13",
    "architecture": "arm64",
    "buildspec": "version: 0.2",
    "scope": "stage/alpha",
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("change", ["", "{} ", "x{}"])
def test_every_input_makes_another_build(name: str, change: str) -> None:
    changed = INPUTS | {name: change.format(INPUTS[name])}
    assert fingerprint(**changed) != fingerprint(**INPUTS)


def test_the_same_inputs_are_the_same_build() -> None:
    assert fingerprint(**INPUTS) == fingerprint(**INPUTS)
    assert len(fingerprint(**INPUTS)) == 64


@pytest.mark.parametrize(("left", "right"), list(itertools.pairwise(INPUTS)))
def test_nothing_can_be_shifted_from_one_input_into_the_next(left: str, right: str) -> None:
    joined = INPUTS[left] + INPUTS[right]
    found = {
        fingerprint(**(INPUTS | {left: joined[:cut], right: joined[cut:]}))
        for cut in range(len(joined) + 1)
    }
    assert len(found) == len(joined) + 1


def test_inputs_cannot_change_places() -> None:
    swapped = INPUTS | {"source": INPUTS["overrides"], "overrides": INPUTS["source"]}
    assert fingerprint(**swapped) != fingerprint(**INPUTS)


# Errors -------------------------------------------------------------------------------------------

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_means(kind: type[Exception]) -> None:
    assert "__doc__" in vars(kind)
    assert (kind.__doc__ or "").strip().endswith((".", "API."))
    assert issubclass(kind, errors.ControlPlaneError)


def test_there_are_errors_to_look_at() -> None:
    assert {"InvalidRequest", "ServiceBusy", "TestsFailed"} <= {kind.__name__ for kind in ERRORS}


def test_exactly_what_may_pass_is_retried() -> None:
    assert set(errors.RETRIED) == {errors.ServiceBusy, errors.TenantNotReady}


def test_an_error_costs_no_import() -> None:
    lines = inspect.getsource(errors).splitlines()
    assert [line for line in lines if line.startswith(("import ", "from "))] == []


def test_a_refusal_names_the_field_for_people_and_for_programs() -> None:
    refusal = errors.InvalidRequest.of("org", "is too long")
    assert str(refusal) == "org: is too long"
    assert refusal.details == [{"field": "org", "reason": "is too long"}]
    assert errors.InvalidRequest("no field").details == []


@pytest.mark.parametrize("status", models.DeploymentStatus)
def test_only_what_has_not_ended_goes_on(status: models.DeploymentStatus) -> None:
    assert status.is_final is (status.value not in ("QUEUED", "RUNNING", "AWAITING_APPROVAL"))


# Passwords ----------------------------------------------------------------------------------------

# Amazon Cognito developer guide, "Password requirements".
COGNITO_SYMBOLS = set("^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= ")


def test_a_generated_password_meets_the_strictest_policy_of_cognito() -> None:
    for _ in range(200):
        password = generated_password()
        characters = set(password)
        assert len(password) == 24
        assert characters & set(string.ascii_lowercase)
        assert characters & set(string.ascii_uppercase)
        assert characters & set(string.digits)
        assert characters & COGNITO_SYMBOLS
        assert characters <= COGNITO_SYMBOLS | set(string.ascii_letters + string.digits)
        assert " " not in password


def test_no_two_generated_passwords_are_the_same_or_begin_alike() -> None:
    made = [generated_password() for _ in range(100)]
    assert len(set(made)) == 100
    kinds = {character.isalpha() for character in (password[0] for password in made)}
    assert kinds == {True, False}  # the first one is not always of the same kind
