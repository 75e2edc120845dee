"""A source that is wrong in one thing never ends green: by the command line, to a live tenant.

All kinds of mutations, and which step refuses each, are in tests/mutations; these go the whole way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from live import change_sets, entered
from sources import ALMANAC, APPLICATION, add_resources, copied, push, replace
from syndi_command import Syndi

TENANT = ("dev", "mutant")
TABLE = (
    "  Ledger:\n    Type: AWS::DynamoDB::Table\n"
    "    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n"
    "    Properties:\n"
    "      TableName: !Sub 'almanac-ledger-${Environment}-${Organization}'\n"
    "      BillingMode: PAY_PER_REQUEST\n"
    "      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]\n"
    "      KeySchema: [{AttributeName: id, KeyType: HASH}]\n"
)
STATEMENT = "Action: [logs:CreateLogStream, logs:PutLogEvents]"
VARIABLE = "TENANT: !Sub '${Environment}-${Organization}'"

Edit = Callable[[Path, dict[str, Any]], None]


@dataclass(frozen=True)
class Mutation:
    """One change of the source, and what refuses it. `org`: the tenant, where it is a new one."""

    name: str
    kind: str
    edit: Edit
    step: str
    reason: str
    org: str = TENANT[1]


def _template(old: str, new: str) -> Edit:
    return lambda copy, _: replace(copy / "stack.yaml", old, new)


def _adds(text: str) -> Edit:
    return lambda copy, _: add_resources(copy, text)


def _reads_every_bucket(copy: Path, _: dict[str, Any]) -> None:
    replace(copy / "stack.yaml", STATEMENT, "Action: s3:GetObject")
    replace(copy / "stack.yaml", "Resource: !GetAtt AlmanacLogGroup.Arn", "Resource: '*'")


def _neighbours_address(copy: Path, neighbour: dict[str, Any]) -> None:
    address = neighbour["endpoint"]
    whole = "!Sub 'https://${AlmanacApi}.execute-api.${AWS::Region}.amazonaws.com/v1'"
    replace(copy / "stack.yaml", whole, f"'{address}'")


def _no_status(copy: Path, _: dict[str, Any]) -> None:
    text = 'fingerprint = "version.build"\n'
    replace(copy / "application.toml", text, f'{text}healthy = ["ok"]\n')


CHANGES, TESTS = "AwaitChangeSet", "RunTests"
URL_OF_EVERYBODY = (
    "  Open:\n    Type: AWS::Lambda::Url\n"
    "    Properties: {TargetFunctionArn: !Ref AlmanacFunction, AuthType: NONE}\n"
)
CALLED_BY_EVERYBODY = (
    "  Open:\n    Type: AWS::Lambda::Permission\n    Properties:\n"
    "      {FunctionName: !Ref AlmanacFunction, Action: 'lambda:InvokeFunction', Principal: '*'}\n"
)
PUBLIC_BUCKET = (
    "  Open:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: RetainExceptOnCreate\n"
    "    Properties: {AccessControl: PublicRead}\n"
)
FORGED = "      RetentionInDays: 7\n      Tags: [{Key: 'syndi:stack', Value: almanac-dev-other}]\n"

MUTATIONS = [
    Mutation("table removed", "data", _template(TABLE, ""), CHANGES, "Ledger"),
    Mutation("table under another logical id", "data", _template("  Ledger:", "  Book:"), CHANGES,
             "Ledger"),
    Mutation("protection weakened", "data",
             _template("    UpdateReplacePolicy: Retain\n", ""), CHANGES, "lose its protection"),
    Mutation("role that reads every bucket", "isolation", _reads_every_bucket,
             CHANGES, "AlmanacRole, policy log"),
    Mutation("neighbour's table in a variable", "isolation",
             _template(VARIABLE, "TENANT: almanac-dev-lighthouse-table"), CHANGES,
             "almanac-dev-lighthouse"),
    Mutation("public bucket", "isolation", _adds(PUBLIC_BUCKET), CHANGES, "lets everybody in"),
    Mutation("function address without sign-in", "isolation", _adds(URL_OF_EVERYBODY), CHANGES,
             "everybody may call"),
    Mutation("function that everybody may call", "isolation", _adds(CALLED_BY_EVERYBODY), CHANGES,
             "everybody may call"),
    Mutation("forged owner tag", "ownership", _template("      RetentionInDays: 7\n", FORGED),
             CHANGES, "almanac-dev-other"),
    Mutation("address of another tenant", "ownership", _neighbours_address, TESTS,
             "does not belong to the stack", "mutant-address"),
    Mutation("health without the status that it must have", "green", _no_status, TESTS,
             "has no status", "mutant-health"),
]  # fmt: skip


@pytest.fixture(scope="module")
def healthy(
    syndi: Syndi, almanac: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The source of the tenant, which is deployed: the almanac with a table."""
    copy = copied(ALMANAC, tmp_path_factory.mktemp("healthy"))
    add_resources(copy, TABLE)
    pushed = push(syndi, copy, "dev")
    push(syndi, ALMANAC, "dev")  # stays the current one
    syndi.deploy(*TENANT, *APPLICATION, "--source", pushed)
    return copy


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_source_that_is_wrong_in_one_thing_is_refused(
    syndi: Syndi,
    healthy: Path,
    almanac: dict[str, Any],
    mutation: Mutation,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("mutation", f"{mutation.name} (end to end)")
    record_property("kind", mutation.kind)
    copy = copied(healthy, tmp_path)
    mutation.edit(copy, almanac)
    pushed = push(syndi, copy, "dev")
    push(syndi, ALMANAC, "dev")
    failed = syndi.fail("dev", mutation.org, *APPLICATION, "--source", pushed)
    refused_by = [name for name, step in failed["steps"].items() if step["status"] == "FAILED"]
    record_property("step", ", ".join(refused_by))
    record_property("reason", failed["reason"])
    assert mutation.step in refused_by, failed
    assert mutation.reason in failed["reason"]
    if mutation.step == CHANGES:
        assert "ExecuteChangeSet" not in entered(failed)
        assert change_sets(syndi, f"almanac-dev-{mutation.org}") == []
