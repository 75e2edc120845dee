"""What a change set does, what it may not do, and the parameters that it is made with."""

import pytest

from control_plane.rules.changes import (
    Change,
    in_words,
    is_without_changes,
    known_values,
    lost,
    needless,
    of_own_stack,
    refuse_changes,
    stack_parameters,
    summarize,
)

STATEFUL = ("AWS::Cognito::UserPool", "AWS::S3::Bucket", "AWS::DynamoDB::Table")


def change(action: str, kind: str, replacement: str = "False", name: str = "It") -> Change:
    return Change(action, name, kind, replacement)


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize(
    ("action", "replacement", "told"),
    [
        ("Remove", "False", "removed"),
        ("Modify", "True", "replaced"),
        ("Modify", "Conditional", "replaced"),
    ],
)
def test_what_holds_data_is_neither_removed_nor_replaced(
    kind: str, action: str, replacement: str, told: str
) -> None:
    changes = [change("Modify", "AWS::Lambda::Function"), change(action, kind, replacement, "Pool")]
    losses = lost(changes, STATEFUL)
    refusal = refuse_changes(losses, ("Else",))
    assert refusal is not None
    assert f"Pool ({kind}) would be {told}" in refusal
    assert "allow_replacement" in refusal
    assert "--allow-replacement Pool" in refusal
    assert refuse_changes(losses, ("Else", "Pool")) is None


@pytest.mark.parametrize(
    "harmless",
    [
        change("Add", "AWS::S3::Bucket"),
        change("Import", "AWS::S3::Bucket"),
        change("Modify", "AWS::S3::Bucket", "False"),
        change("Remove", "AWS::Lambda::Function"),
        change("Modify", "AWS::Lambda::Permission", "True"),
    ],
)
def test_what_loses_no_data_is_let_through(harmless: Change) -> None:
    assert lost([harmless], STATEFUL) == []
    assert refuse_changes([], ()) is None


def test_the_logs_of_the_control_plane_do_not_keep_an_earlier_release_out() -> None:
    """Whose template has fewer log groups."""
    changes = [
        change("Remove", "AWS::Logs::LogGroup", name="BuildLogs"),
        change("Remove", "AWS::DynamoDB::Table", name="Table"),
    ]
    losses = lost(changes, STATEFUL)
    assert [loss.logical_id for loss in losses] == ["BuildLogs", "Table"]
    assert [loss.logical_id for loss in of_own_stack(losses)] == ["Table"]


def test_a_refusal_names_every_resource_that_would_lose_data() -> None:
    changes = [
        change("Remove", "AWS::S3::Bucket", name="Forms"),
        change("Modify", "AWS::Cognito::UserPool", "True", name="Users"),
    ]
    refusal = refuse_changes(lost(changes, STATEFUL), ())
    assert refusal is not None
    assert "Forms" in refusal
    assert "Users" in refusal
    allowed_one = refuse_changes(lost(changes, STATEFUL), ("Users",))
    assert allowed_one is not None
    assert "Users (" not in allowed_one
    # What was permitted stays so when the command is typed again.
    assert allowed_one.endswith(": --allow-replacement Forms --allow-replacement Users")


def test_a_name_that_permits_nothing_is_told_and_refuses_nothing() -> None:
    losses = lost([change("Remove", "AWS::S3::Bucket", name="Forms")], STATEFUL)
    assert needless(losses, ("Forms",)) == ""
    assert "allow_replacement names Typo" in needless(losses, ("Forms", "Typo"))
    assert "Forms" not in needless(losses, ("Forms", "Typo"))


def test_a_summary_sorts_resources_by_what_happens_to_them() -> None:
    kind = "AWS::Lambda::Function"
    assert summarize(
        [
            change("Add", kind, name="Zeta"),
            change("Add", kind, name="Alpha"),
            change("Modify", kind, name="Changed"),
            change("Modify", kind, "True", name="Replaced"),
            change("Modify", kind, "Conditional", name="Perhaps"),
            change("Remove", kind, name="Removed"),
            change("Import", kind, name="Adopted"),
        ]
    ) == {
        "added": [{"id": "Alpha", "type": kind}, {"id": "Zeta", "type": kind}],
        "imported": [{"id": "Adopted", "type": kind}],
        "modified": [{"id": "Changed", "type": kind}],
        "replaced": [{"id": "Replaced", "type": kind}],
        "maybe_replaced": [{"id": "Perhaps", "type": kind}],
        "removed": [{"id": "Removed", "type": kind}],
    }


def test_a_summary_names_no_kind_that_did_not_happen() -> None:
    assert summarize([]) == {}
    assert in_words({}) == "nothing to change"
    summary = summarize([change("Modify", "AWS::S3::Bucket", "Conditional", name="Gone")])
    assert list(summary) == ["maybe_replaced"]
    assert in_words(summary) == "1 maybe replaced"


@pytest.mark.parametrize(
    ("reason", "without"),
    [
        (
            "The submitted information didn't contain changes. Submit different information to "
            "create a change set.",
            True,
        ),
        ("No updates are to be performed.", True),
        ("", False),
        ("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless template.", False),
        ("Rate exceeded", False),
        ("Resource handler returned: the bucket didn't allow it", False),
    ],
)
def test_only_cloudformations_own_sentences_mean_that_nothing_changes(
    reason: str, without: bool
) -> None:
    assert is_without_changes(reason) is without


# Parameters ---------------------------------------------------------------------------------------

DECLARED = ("Environment", "EnableAuth", "CreateBuckets", "LogLevel")
FIRST = {"EnableAuth": "true", "CreateBuckets": "true"}


def parameters(
    requested: dict[str, str] | None = None, previous: dict[str, str] | None = None
) -> dict[str, str]:
    """name -> value, `<previous>` where CloudFormation keeps it."""
    answer = stack_parameters(
        DECLARED,
        computed={"Environment": "stage", "NotDeclared": "x"},
        requested=requested or {},
        first_deployment=FIRST,
        previous=previous,
    )
    found = {}
    for item in answer:
        assert ("ParameterValue" in item) != (item.get("UsePreviousValue") is True)
        found[str(item["ParameterKey"])] = str(item.get("ParameterValue", "<previous>"))
    return found


STACK = {"Environment": "stage", "EnableAuth": "true", "CreateBuckets": "true", "LogLevel": "INFO"}


def test_create_buckets_left_out_keeps_its_previous_value() -> None:
    assert parameters({}, {**STACK, "CreateBuckets": "false"})["CreateBuckets"] == "<previous>"


def test_enable_auth_left_out_keeps_its_previous_value() -> None:
    assert parameters({"CreateBuckets": "true"}, STACK)["EnableAuth"] == "<previous>"


def test_an_explicit_false_is_passed_on_a_first_and_on_a_later_deployment() -> None:
    asked = {"EnableAuth": "false"}
    assert parameters(asked, None)["EnableAuth"] == "false"
    assert parameters(asked, STACK)["EnableAuth"] == "false"


def test_a_first_deployment_takes_the_manifests_values_and_the_templates_defaults() -> None:
    assert parameters({}, None) == {
        "Environment": "stage",
        "EnableAuth": "true",
        "CreateBuckets": "true",
    }


def test_a_first_deployments_values_never_reach_a_stack_that_is_there() -> None:
    # The stack is older than the parameter: the template's default, not the first deployment's.
    assert parameters({}, {"Environment": "stage"}) == {"Environment": "stage"}


def test_computed_values_win_over_the_request_and_the_previous_value() -> None:
    assert parameters({"Environment": "prod"}, STACK)["Environment"] == "stage"


def test_what_the_template_does_not_declare_is_not_sent() -> None:
    assert "NotDeclared" not in parameters({"Else": "1"}, {**STACK, "Gone": "1"})
    assert set(parameters({"Else": "1"}, {**STACK, "Gone": "1"})) == set(DECLARED)


def values(template: dict[str, dict[str, str]], previous: dict[str, str]) -> dict[str, str]:
    given = stack_parameters(
        template, computed={"Environment": "stage"}, requested={}, first_deployment={},
        previous=previous or None,
    )  # fmt: skip
    return known_values(given, declared=template, previous=previous)


def test_the_values_of_parameters_are_known_but_for_secrets_and_what_lies_elsewhere() -> None:
    template = {
        "Environment": {"Type": "String"},
        "LogLevel": {"Type": "String", "Default": "INFO"},
        "Size": {"Type": "Number", "Default": "1"},
        "Password": {"Type": "String", "NoEcho": "true", "Default": "x"},
        "Image": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/image"},
        "Open": {"Type": "String"},
    }
    assert values(template, {}) == {"Environment": "stage", "LogLevel": "INFO", "Size": "1"}
    before = {"LogLevel": "DEBUG", "Password": "****", "Image": "/other"}
    assert values(template, before) == {"Environment": "stage", "LogLevel": "DEBUG", "Size": "1"}
