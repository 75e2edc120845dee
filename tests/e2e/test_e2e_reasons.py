"""A failure says the same everywhere: history, API, command line, and the execution itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sources import ALMANAC, APPLICATION, copied, never_completes, push, replace
from syndi_command import Syndi

from cli.connection import for_laptop

ENV = "test"
OF = (*APPLICATION, "--no-rollback")


@pytest.fixture
def broken(syndi: Syndi, almanac: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the almanac to break."""
    return copied(ALMANAC, tmp_path)


def failed(syndi: Syndi, source: Path, org: str) -> dict[str, Any]:
    """The record of a deployment of that source, which fails."""
    push(syndi, source, ENV)
    return syndi.fail(ENV, org, *OF)


def assert_said_everywhere(syndi: Syndi, record: dict[str, Any]) -> str:
    """The reason and the hint are the same wherever somebody looks; gives what `show` prints."""
    reason, hint = record["reason"], record["hint"]
    assert "\n" not in reason + hint
    assert reason.startswith(f"{record['failed_step']}: ")
    where = (record["env"], record["org"], "--application", record["application"])
    listed = syndi.history(*where)[0]
    api = syndi.show(record["id"])
    for told in (listed, api):
        assert (told["id"], told["reason"], told["hint"]) == (record["id"], reason, hint)
        assert told["error"] == record["error"]
    execution = syndi.ended_execution(record["execution_arn"])
    assert execution["error"] == record["error"]
    assert for_laptop(execution["cause"]) == f"{reason}. Hint: {hint}", "the console has no --local"
    shown = syndi.ok("--local", "show", record["id"]).stdout
    assert reason in shown
    assert hint in shown
    table = syndi.ok("--local", "history", *where).stdout
    assert reason in " ".join(table.split()), "in its column, over some lines"
    return shown


def test_a_failing_build_names_phase_and_command_and_shows_the_end_of_its_log(
    syndi: Syndi, broken: Path
) -> None:
    replace(
        broken / "application.toml",
        "python3 scripts/moons.py almanac/moons.json",
        "seq 101 140 && python3 scripts/no-such-script.py",
    )
    record = failed(syndi, broken, "mole")
    command = "seq 101 140 && python3 scripts/no-such-script.py"
    assert record["error"] == "BuildFailed"
    assert "PRE_BUILD: pre-build command failed with exit status 2: " in record["reason"]
    assert record["reason"].endswith(command)
    assert len(record["build_log"]) == 20
    assert "140" in record["build_log"]
    assert "101" not in record["build_log"]
    assert any("can't open file" in line for line in record["build_log"])
    assert record["id"] in record["hint"]
    shown = assert_said_everywhere(syndi, record)
    assert all(f"  | {line}" in shown for line in record["build_log"])


def test_a_failing_test_says_what_was_expected_and_what_came(syndi: Syndi, broken: Path) -> None:
    replace(broken / "almanac" / "handler.py", 'stamp["fingerprint"]', '"hard-coded"')
    record = failed(syndi, broken, "pier")
    (test,) = record["tests"]
    build = record["build"]["fingerprint"][:12]
    assert (test["name"], test["status"]) == ("health", "FAILED")
    assert f"expected build {build}" in test["detail"]
    assert test["detail"].endswith("got hard-coded")
    assert test["detail"] in record["reason"]
    assert "stamp" in record["hint"]
    shown = assert_said_everywhere(syndi, record)
    assert f"FAILED health: {test['detail']}" in shown


def test_a_failing_resource_is_named_with_its_reason(syndi: Syndi, broken: Path) -> None:
    never_completes(broken)
    record = failed(syndi, broken, "buoy")
    assert record["error"] == "StackFailed"
    told = "AwaitStack: NeverSignalled (AWS::CloudFormation::WaitCondition): "
    assert record["reason"].startswith(told)
    assert "rolled back" in record["hint"]
    assert_said_everywhere(syndi, record)


@pytest.fixture
def stack_worker_role(syndi: Syndi, almanac: dict[str, Any]) -> Iterator[str]:
    """The role of the worker that looks at stacks, which may not look at stacks."""
    role = syndi.stack("control-plane-dev-local")["resources"]["StackFunctionRole"]
    iam = syndi.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    kept = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in names
    }
    try:
        taken = 0
        for name, document in kept.items():
            text = json.dumps(document)
            taken += text.count("cloudformation:DescribeStacks")
            without = text.replace('"cloudformation:DescribeStacks"', '"cloudformation:ListStacks"')
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=without)
        assert taken == 2  # the applications' stacks and the own one
        yield role
    finally:
        for name, document in kept.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def test_a_missing_permission_is_named_with_its_resource_and_role(
    syndi: Syndi, stack_worker_role: str
) -> None:
    push(syndi, ALMANAC, ENV)
    record = syndi.fail(ENV, "reef", *OF)
    assert record["failed_step"] == "CheckStack"
    # AWS names the stack, too; the emulator does not.
    told = "CheckStack: missing permission cloudformation:DescribeStacks "
    assert record["reason"] == f"{told}for role {stack_worker_role}"
    assert record["steps"]["CheckStack"]["note"] == record["reason"].removeprefix("CheckStack: ")
    assert "syndi --local up" in record["hint"]
    assert record["id"] in record["hint"]
    assert_said_everywhere(syndi, record)
