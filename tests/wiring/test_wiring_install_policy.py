"""The policy in docs/install.md: it parses, fits, exists, and is enough."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest
from asl_graph import ROOT
from aws_calls import actions
from sam_template import listed, role_statements, template

DOCUMENT = (ROOT / "docs" / "install.md").read_text()
LIMIT = 6144
"""Characters of a managed policy, white space not counted (IAM quotas)."""

STACK, BUCKET = "control-plane-prod-main", "rawscribe-sam-deployments-ACCOUNT"
KNOWN = {
    "AWS::Partition": "aws", "AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT",
    "AWS::StackName": STACK, "ArtifactBucket.Arn": f"arn:aws:s3:::{BUCKET}",
}  # fmt: skip
MODELS = {"states": "stepfunctions"}
NO_OPERATIONS = {
    "apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT",
    "apigateway:UpdateRestApiPolicy", "execute-api:Invoke", "iam:PassRole",
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:GetLogDelivery",
    "logs:ListLogDeliveries", "logs:UpdateLogDelivery", "cloudformation:TagResource",
}  # fmt: skip
"""Actions of the Service Authorization Reference that no API operation is called like."""

INSTALLING = (
    "cli/connection.py", "cli/first_source.py", "cli/holding.py", "cli/hosted_zone.py",
    "cli/install.py", "cli/installing.py", "cli/own_leftovers.py", "cli/own_stack.py",
    "cli/proving.py", "cli/recording.py", "cli/release_order.py", "cli/uninstalling.py",
    "control_plane/services/build_artifacts.py", "control_plane/services/change_sets.py",
    "control_plane/services/executions.py",
    "control_plane/services/roles.py", "control_plane/services/stack_reading.py",
)  # fmt: skip


def policy() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) == 1
    statements: list[dict[str, Any]] = json.loads(blocks[0])["Statement"]
    return statements


def allowed() -> Iterator[tuple[str, str]]:
    """Every pair of action and resource that the policy allows."""
    for statement in policy():
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            yield from ((action, resource) for resource in listed(statement["Resource"]))


def is_allowed(action: str, resource: str) -> bool:
    return any(
        fnmatchcase(action, pattern) and fnmatchcase(resource, where)
        for pattern, where in allowed()
    )


def test_it_fits_into_a_managed_policy() -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": policy()}, separators=(",", ":"))
    assert len(text) + 150 <= LIMIT  # an account has 12 digits, a region up to 14


@pytest.mark.parametrize("action", sorted({action for action, _ in allowed()}))
def test_every_action_exists(action: str) -> None:
    prefix, name = action.split(":")
    if name != "*" and action not in NO_OPERATIONS:
        session = botocore.session.get_session()
        assert name in session.get_service_model(MODELS.get(prefix, prefix)).operation_names


def test_every_wildcard_has_its_reason_in_the_document() -> None:
    told = DOCUMENT.split("```")[-1]
    for statement in policy():
        if "*" in json.dumps([statement["Action"], statement["Resource"]]):
            assert f"`{statement['Sid']}`" in told, statement["Sid"]


def test_whoever_installs_may_do_what_an_update_may() -> None:
    """CloudFormation works in their name then, and in UpdateRole's later."""
    for statement in role_statements("UpdateRole"):
        if statement["Effect"] == "Deny":
            continue
        for action in listed(statement["Action"]):
            for resource in map(_resolved, listed(statement["Resource"])):
                assert is_allowed(action, resource), (action, resource)


@pytest.mark.parametrize("path", INSTALLING)
def test_whoever_installs_may_make_every_call(path: str) -> None:
    patterns = {action for action, _ in allowed()}
    for action in actions(ROOT / path) - {"cloudformation:GetWaiter"}:
        assert any(fnmatchcase(action, pattern) for pattern in patterns), action


def test_the_names_are_the_templates() -> None:
    assert template()["Parameters"]["ApplicationPrefixes"]["Default"].startswith("rawscribe,")
    assert is_allowed(
        "dynamodb:DescribeTable", f"arn:aws:dynamodb:REGION:ACCOUNT:table/{STACK}-history"
    )
    assert not is_allowed("dynamodb:DescribeTable", "arn:aws:dynamodb:REGION:ACCOUNT:table/other")


def _resolved(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: KNOWN[found[1]], text)
        case {"GetAtt": [name, attribute]}:
            return KNOWN[f"{name}.{attribute}"]
        case {"GetAtt": str(text)}:
            return KNOWN[text]
    raise AssertionError(value)
