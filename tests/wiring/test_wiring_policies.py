"""Least privilege, visibly: own roles, exact actions, a reason beside every wildcard."""

import ast
import re
from pathlib import Path

import pytest
from asl_graph import ROOT
from aws_calls import actions, own_actions
from policy_rules import ARTIFACTS, STACK, may
from sam_template import (
    TEMPLATE_FILE,
    functions,
    handler_module,
    listed,
    mentions,
    properties,
    statements,
    substituted,
    template,
    worker_functions,
)
from source_code import tree, with_imports
from wildcards import wildcards

from control_plane.rules import self_checks

THE_TABLE = "dynamodb:"
OF_WHOLE_TABLES = {
    "dynamodb:DescribeTable",
    "dynamodb:ListTagsOfResource",
    "dynamodb:UpdateTable",
    "dynamodb:DeleteTable",
}
"""Calls that read and write no items: of the tenants' tables, by their tags."""
BORROWED = {
    "RecordFunction": [
        "control_plane/services/earlier_schedules.py",
        "control_plane/services/executions.py",
        "control_plane/services/notifications.py",
    ],
    "RolloutFunction": [
        "control_plane/services/earlier_schedules.py",
        "control_plane/services/executions.py",
        "control_plane/services/notifications.py",
    ],
    "RouteFunction": [
        "control_plane/services/executions.py",
        "control_plane/services/notifications.py",
        "control_plane/services/owned_addresses.py",
        "control_plane/services/ownership.py",
    ],
    "AdminFunction": [
        "control_plane/services/ownership.py",
        "control_plane/services/secrets.py",
        "control_plane/services/secrets_reading.py",
    ],
    "ConfigFunction": ["control_plane/services/ownership.py"],
    "VerifyFunction": [
        "control_plane/services/ownership.py",
        "control_plane/services/owned_addresses.py",
        "control_plane/services/secrets_reading.py",
        "control_plane/services/stack_contents.py",
        "control_plane/services/stack_templates.py",
    ],
    "StackFunction": [
        "control_plane/services/change_sets.py",
        "control_plane/services/stack_contents.py",
        "control_plane/services/stack_reading.py",
        "control_plane/services/stack_templates.py",
    ],
    "BuildFunction": ["control_plane/services/build_artifacts.py"],
    "OffboardFunction": ["control_plane/services/stack_contents.py"],
    "ReleaseFunction": ["control_plane/services/roles.py"],
}
"""Modules of control_plane that make calls of their own for one worker."""


def test_every_wildcard_has_its_reason_beside_it() -> None:
    found = wildcards(TEMPLATE_FILE.read_text())
    assert len(found) >= 6, "the search finds nothing any more"
    unexplained = [f"{w.line}: {w.text}" for w in found if len(w.reason.split()) < 3]
    assert unexplained == []


@pytest.mark.parametrize(
    "text",
    [
        '  Resource: "*"',
        "  Action: s3:*",
        '  Action: ["s3:GetObject", "s3:*"]',
        '  Resource:\n    - "*"',
        '  Resource: !Sub "arn:aws:cognito-idp:${AWS::AccountId}:userpool/*"',
    ],
)
def test_a_wildcard_without_a_reason_is_found(text: str) -> None:
    assert [w.reason for w in wildcards(f"- Sid: X\n{text}\n")] == [""]
    explained = wildcards(f"- Sid: X\n  # because it is so\n{text}\n")
    assert [w.reason for w in explained] == ["because it is so"]


@pytest.mark.parametrize("function", functions())
def test_a_function_has_a_role_and_a_policy_of_its_own(function: str) -> None:
    assert "Role" not in properties(function), "SAM makes the role, for this function only"
    assert "Role" not in template()["Globals"]["Function"]
    assert statements(function)
    for statement in statements(function):
        assert "NotAction" not in statement
        assert "NotResource" not in statement


@pytest.mark.parametrize("function", functions())
def test_a_function_may_do_exact_actions_only(function: str) -> None:
    allowed = [action for s in statements(function) for action in listed(s["Action"])]
    assert [action for action in allowed if "*" in action] == []


@pytest.mark.parametrize("function", worker_functions())
def test_a_worker_sees_only_its_own_kind_of_items(function: str) -> None:
    """RecordFunction keeps the table; the others write their step, and builds."""
    if function == "RecordFunction":
        return
    for statement in statements(function):
        if statement["Sid"].startswith(READ_FOR_CLOUDFORMATION):
            continue  # descriptions of the applications' tables, no items
        items = set(listed(statement["Action"])) - OF_WHOLE_TABLES
        if any(action.startswith(THE_TABLE) for action in items):
            assert mentions(statement["Condition"], "dynamodb:LeadingKeys"), statement["Sid"]


def test_whoever_passes_a_role_says_to_which_service() -> None:
    passing = [
        statement
        for function in functions()
        for statement in statements(function)
        if "iam:PassRole" in listed(statement["Action"])
    ]
    assert len(passing) == 3
    for statement in passing:
        assert "iam:PassedToService" in statement["Condition"]["StringEquals"]


def test_who_changes_the_applications_buckets_changes_no_artifacts() -> None:
    """The artifact bucket has one of the applications' prefixes."""
    function = "OffboardFunction"
    changing = {
        action
        for action in _allowed(function)
        if re.match("s3:(Put|Delete)", action) and action != "s3:PutObjectTagging"
    }
    assert changing
    for action in changing:
        for artifact in (ARTIFACTS, f"{ARTIFACTS}/{STACK}/builds/1/template.yaml"):
            assert not may(statements(function), action, artifact), action


def test_a_release_may_ask_every_worker_of_the_one_that_replaces_it() -> None:
    names = {name.removesuffix("Function").lower() for name in worker_functions()}
    assert names == {*self_checks.LOADED, *self_checks.CHECKED}
    (asking,) = [s for s in statements("ReleaseFunction") if s["Action"] == "lambda:InvokeFunction"]
    asked = {found["Sub"].rpartition(":function:")[2] for found in listed(asking["Resource"])}
    assert asked == {f"${{AWS::StackName}}-{name}:live" for name in names}


# What a worker calls and what it may -------------------------------------------------------------


def _called(function: str) -> set[str]:
    """What it calls in its own role; its sessions are test_wiring_tenant_sessions's."""
    return {action for path in called_from(function) for action in own_actions(path)}


def called_from(function: str) -> set[Path]:
    """The files whose calls a worker makes."""
    module = handler_module(function).__name__
    paths = with_imports(module, "workers") if module.startswith("workers.") else set()
    return paths | {ROOT / path for path in BORROWED.get(function, [])}


def _allowed(function: str) -> set[str]:
    return {action for s in statements(function) for action in listed(s["Action"])}


@pytest.mark.parametrize("function", worker_functions())
def test_a_worker_may_make_every_call_that_it_makes(function: str) -> None:
    """The CodeBuild endpoint of a laptop checks no policy: a missing action is only found here."""
    called = _called(function)
    assert called or function == "VerifyFunction"
    assert called - _allowed(function) == set()


NOT_A_CALL = {
    "execute-api:Invoke": "an API that is called by HTTP, with a signature",
    "iam:PassRole": "checked when a call names a role",
    "sts:AssumeRole": "by control_plane/aws.py, for every call of a tenant's session",
    "sts:TagSession": "checked when a role is assumed with tags",
    "cloudformation:TagResource": "checked when a change set brings tags",
    "s3:GetObject": "CloudFormation fetches a TemplateURL in the caller's name",
    "secretsmanager:TagResource": "checked when a secret is created with tags",
    "s3:ListBucket": "without it S3 answers 403 instead of 404",
    "s3:GetObjectVersion": "checked when a version is named",
    "s3:GetObjectTagging": "checked when an object that has tags is copied",
    "s3:PutObjectTagging": "checked when an object that has tags is copied",
    "cloudformation:DetectStackResourceDrift": "checked for each resource of a DetectStackDrift",
    "cloudformation:BatchDescribeTypeConfigurations": "checked by a DetectStackDrift",
}


READ_FOR_CLOUDFORMATION = "DriftReads"
"""How statements are named whose calls CloudFormation makes in the function's name."""


@pytest.mark.parametrize("function", worker_functions())
def test_a_worker_may_make_no_call_that_it_does_not_make(function: str) -> None:
    allowed = {
        action
        for s in statements(function)
        if not s["Sid"].startswith(READ_FOR_CLOUDFORMATION)
        for action in listed(s["Action"])
    }
    unused = allowed - _called(function) - set(NOT_A_CALL)
    assert {action for action in unused if not action.startswith(THE_TABLE)} == set()


def test_a_call_is_found_through_a_variable_a_paginator_and_directly(tmp_path: Path) -> None:
    file = tmp_path / "calling.py"
    file.write_text(
        "client = aws.s3()\nclient.head_object(Key='k')\n"
        "aws.cloudformation().get_paginator('describe_events')\n"
        "def f():\n    one, two = aws.cognito(), 2\n    one.admin_get_user()\n"
    )
    assert isinstance(tree(file), ast.Module)
    assert actions(file) == {
        "s3:GetObject",
        "cloudformation:DescribeEvents",
        "cognito-idp:AdminGetUser",
    }


@pytest.mark.parametrize(
    ("function", "machine"),
    [("RecordFunction", "DeploymentStateMachine"), ("RouteFunction", "ShiftStateMachine")],
)
def test_a_worker_may_describe_executions_of_its_state_machine_by_its_name(
    function: str, machine: str
) -> None:
    """The permission names the state machine, which names the function: a reference is a circle."""
    name = properties(machine)["Name"]["Sub"]
    resource = next(
        s["Resource"]["Sub"]
        for s in statements(function)
        if "states:DescribeExecution" in listed(s["Action"])
    )
    assert resource.endswith(f":execution:{name}:*")


@pytest.mark.parametrize(
    ("machine", "role"),
    [
        ("DeploymentStateMachine", "StateMachineRole"),
        ("RolloutStateMachine", "RolloutMachineRole"),
        ("ShiftStateMachine", "ShiftStateMachineRole"),
    ],
)
def test_a_state_machine_may_invoke_versions_of_its_workers_and_nothing_else(
    machine: str, role: str
) -> None:
    document = properties(role)["Policies"][0]["PolicyDocument"]
    invoking = [s for s in document["Statement"] if s["Action"] == "lambda:InvokeFunction"]
    resources = [resource["Sub"] for s in invoking for resource in listed(s["Resource"])]
    workers = [name for name in substituted(machine) if name in worker_functions()]
    assert sorted(resources) == sorted(f"${{{name}.Arn}}:*" for name in workers)


@pytest.mark.parametrize(
    ("action", "allowed"),
    [("DescribeChangeSet", True), ("DescribeEvents", True), ("ExecuteChangeSet", False)],
)
def test_a_change_set_that_is_named_by_its_arn_alone_is_only_read(
    action: str, *, allowed: bool
) -> None:
    """A nested stack's is: without it no tenant with a new nested stack could be deployed."""
    arn = "arn:aws:cloudformation:us-east-1:123456789012:changeSet/syndi-1-Data-1X/2y"
    assert may(statements("StackFunction"), f"cloudformation:{action}", arn) == allowed
