"""A drift finding says what differs in a line, and what a deployment does about it."""

from typing import Any

import pytest

from control_plane.rules import drift


def difference(kind: str, expected: str = "1", actual: str = "2") -> dict[str, Any]:
    return {
        "PropertyPath": "/Tags/0/Value",
        "ExpectedValue": expected,
        "ActualValue": actual,
        "DifferenceType": kind,
    }


@pytest.mark.parametrize(
    ("differences", "detail"),
    [
        ([difference("NOT_EQUAL")], "Tags.0.Value: 1 → 2"),
        ([difference("ADD", expected="null")], "Tags.0.Value: added 2"),
        ([difference("REMOVE", actual="null")], "Tags.0.Value: removed 1"),
        (
            [difference("NOT_EQUAL"), difference("ADD")],
            "Tags.0.Value: 1 → 2; Tags.0.Value: added 2",
        ),
        ([], "modified by hand"),
    ],
)
def test_a_modified_resource_names_each_difference(
    differences: list[dict[str, Any]], detail: str
) -> None:
    found = drift.resource_finding("F", "AWS::Lambda::Function", "MODIFIED", differences)
    assert found == {
        "kind": "resource",
        "resource": "F (AWS::Lambda::Function)",
        "detail": detail,
        "deployment_would": drift.LEFT_AS_IT_IS,
    }


@pytest.mark.parametrize("kind", ["NOT_EQUAL", "ADD", "REMOVE"])
def test_an_environment_variable_is_named_and_never_told(kind: str) -> None:
    path = "/Environment/Variables/PASSWORD"
    told = {**difference(kind, "hunter2", "hunter3"), "PropertyPath": path}
    detail = drift.resource_finding("F", "T", "MODIFIED", [told])["detail"]
    assert detail.startswith("Environment.Variables.PASSWORD: ")
    assert "hunter" not in detail


def test_a_long_value_is_cut_and_stays_one_line() -> None:
    long = difference("NOT_EQUAL", expected="a\n  b", actual="x" * 500)
    found = drift.resource_finding("F", "T", "MODIFIED", [long])
    assert found["detail"].endswith(f"a b → {'x' * (drift.VALUE_LENGTH - 1)}…")


def test_a_deleted_resource_is_not_brought_back_by_a_deployment() -> None:
    found = drift.resource_finding("Logs", "AWS::Logs::LogGroup", "DELETED", [])
    assert found["detail"] == "deleted by hand"
    assert found["deployment_would"] == drift.NOT_BROUGHT_BACK


def test_what_could_not_be_compared_is_a_finding() -> None:
    found = drift.unchecked_finding("notes-stage-alpha", "not authorized\n to read B")
    assert found["detail"] == "not all of it could be compared: not authorized to read B"
    assert found["deployment_would"] == drift.UNKNOWN
