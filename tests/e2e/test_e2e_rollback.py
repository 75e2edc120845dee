"""The way back: by itself after failed tests, and when somebody asks for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import ask
from sources import ALMANAC, APPLICATION, BACKEND, copied, push, replace
from syndi_command import Syndi


@pytest.fixture
def almanac_copy(syndi: Syndi, tmp_path: Path) -> Iterator[Path]:
    """A copy of the almanac to change; afterwards `test` deploys the good one again."""
    yield from _copy(syndi, ALMANAC, tmp_path)


@pytest.fixture
def rawscribe_copy(syndi: Syndi, tmp_path: Path) -> Iterator[Path]:
    """A copy of rawscribe's source to change; afterwards `test` deploys the good one again."""
    yield from _copy(syndi, BACKEND, tmp_path)


def _copy(syndi: Syndi, original: Path, tmp_path: Path) -> Iterator[Path]:
    push(syndi, original, "test")
    yield copied(original, tmp_path)
    push(syndi, original, "test")


def edition(source: Path, number: int) -> None:
    """Another edition of the almanac, so that it is another build."""
    (source / "almanac" / "handler.py").open("a").write(f"\nEDITION = {number}\n")


def current(syndi: Syndi, org: str, application: str) -> dict[str, Any]:
    """The tenant's state, as the API tells it."""
    key = {"PK": {"S": f"TENANT#{application}#test#{org}"}, "SK": {"S": "CURRENT"}}
    table = syndi.outputs()["TableName"]
    item = syndi.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return {"last_status": item["last_status"]["S"], "last_reason": item.get("last_reason")} | {
        "patched": "patch" in item
    }


def reported(syndi: Syndi, org: str, application: str) -> str:
    """The build that the live tenant reports."""
    address = syndi.ok("--local", "url", "test", org, "--application", application).stdout.strip()
    if application == "almanac":
        return str(ask(f"{address}/status")[1]["version"]["build"])
    return str(ask(f"{address}/health")[1]["build"])


def test_a_deployment_that_fails_its_tests_is_rolled_back_with_its_configuration(
    syndi: Syndi, rawscribe_copy: Path
) -> None:
    good = syndi.deploy("test", "boomerang")
    config = syndi.ok("--local", "config", "show", "test", "boomerang", "--json").json
    # A page that everybody may see is taken for a protected one: its test must fail.
    replace(rawscribe_copy / "application.toml", 'protected = "/api/me"', 'protected = "/health"')
    (rawscribe_copy / "config" / "test.json").write_text('{"frontend": {"title": "Never seen"}}')
    push(syndi, rawscribe_copy, "test")

    result = syndi.attempt("test", "boomerang")
    assert result.exit_code == 1
    record = result.json
    assert record["status"] == "ROLLED_BACK"
    assert record["failed_step"] == "RunTests"
    assert "no-token: expected 401, got 200" in record["reason"]
    assert record["reason"].endswith("the previous good build was put back and works")
    assert record["build"]["fingerprint"] != good["build"]["fingerprint"]
    assert record["rollback_build"]["fingerprint"] == good["build"]["fingerprint"]
    back = record["rollback_steps"]
    assert [back[name]["status"] for name in ("ExecuteChangeSet", "AwaitStack", "RunTests")] == [
        "SUCCEEDED"
    ] * 3
    assert {item["status"] for item in record["rollback_tests"]} == {"PASSED"}
    assert {item["status"] for item in record["tests"]} > {"FAILED"}

    assert reported(syndi, "boomerang", "rawscribe") == good["build"]["fingerprint"]
    after = syndi.ok("--local", "config", "show", "test", "boomerang", "--json").json
    assert after["content"] == config["content"]
    uploaded = syndi.client("s3").get_object(
        Bucket=after["bucket"], Key=after["key"], VersionId=after["version_id"]
    )["Body"]
    assert json.loads(uploaded.read()) == config["content"]
    assert after["version_id"] != config["version_id"], "it was uploaded again"
    assert current(syndi, "boomerang", "rawscribe")["last_status"] == "ROLLED_BACK"
    assert syndi.lock("test", "boomerang") is None
    execution = syndi.ended_execution(record["execution_arn"])
    assert execution["status"] == "FAILED"
    shown = syndi.ok("--local", "show", record["id"]).stdout
    assert "↩ AwaitStack" in shown
    assert f"back to    {good['build']['fingerprint'][:12]}" in shown

    # The same broken code as a patch: its tests fail too, and the build's code is put back.
    (rawscribe_copy / "application.toml").write_text((BACKEND / "application.toml").read_text())
    replace(
        rawscribe_copy / "rawscribe" / "routes" / "config.py",
        '@router.get("/runtime")',
        '@router.get("/elsewhere")',
    )
    push(syndi, rawscribe_copy, "test")
    result = syndi.attempt("test", "boomerang", "--mode", "function")
    assert (result.exit_code, result.json["status"]) == (1, "ROLLED_BACK")
    note = result.json["rollback_steps"]["ReconcileFunction"]["note"]
    assert note.startswith(f"put back: it had been patched by deployment {result.json['id']}")
    assert reported(syndi, "boomerang", "rawscribe") == good["build"]["fingerprint"]
    assert current(syndi, "boomerang", "rawscribe")["patched"] is False


def test_a_first_deployment_that_fails_its_tests_says_that_there_is_nothing_to_go_back_to(
    syndi: Syndi, almanac_copy: Path
) -> None:
    replace(almanac_copy / "application.toml", 'endpoint = "Url"', 'endpoint = "Nowhere"')
    push(syndi, almanac_copy, "test")
    record = syndi.fail("test", "firstborn", *APPLICATION)
    assert record["failed_step"] == "RunTests"
    assert record["reason"].endswith("; there is no previous good build to roll back to")
    assert "rollback_steps" not in record


def test_rolling_back_on_demand_and_to_a_named_deployment(syndi: Syndi, almanac_copy: Path) -> None:
    org, builds, ids = "pendulum", [], []
    for number in (1, 2, 3):
        edition(almanac_copy, number)
        push(syndi, almanac_copy, "test")
        record = syndi.deploy("test", org, *APPLICATION)
        builds.append(record["build"]["fingerprint"])
        ids.append(record["id"])
    assert len(set(builds)) == 3

    seen = roll_back(syndi, org, "--dry-run")
    assert seen.json["change_set"]["has_changes"] is True
    assert reported(syndi, org, "almanac") == builds[2]

    back = roll_back(syndi, org).json
    assert (back["status"], back["build"]["fingerprint"]) == ("SUCCEEDED", builds[1])
    assert ids[1] in back["steps"]["FindBuild"]["note"]
    assert "StartBuild" not in back["steps"]
    assert reported(syndi, org, "almanac") == builds[1]

    named = roll_back(syndi, org, "--to", ids[0]).json
    assert (named["status"], named["build"]["fingerprint"]) == ("SUCCEEDED", builds[0])
    assert reported(syndi, org, "almanac") == builds[0]

    # What cannot be gone back to is said, and nothing is changed.
    for to, why in (
        (seen.json["id"], "was a dry run"),
        ("20200101-000000-000abcde", "has no deployment 20200101-000000-000abcde"),
    ):
        refused = syndi.run("--local", "rollback", "test", org, *APPLICATION, "--to", to, "--json")
        assert (refused.exit_code, refused.json["error"]) == (1, "NoSuchBuild")
        assert why in refused.json["reason"]
    assert reported(syndi, org, "almanac") == builds[0]
    wrong = syndi.run("--local", "rollback", "test", org, *APPLICATION, "--to", "yesterday")
    assert wrong.exit_code == 2


def test_a_tenant_that_had_one_good_deployment_cannot_be_rolled_back(
    syndi: Syndi, almanac_copy: Path
) -> None:
    syndi.deploy("test", "lonely", *APPLICATION)
    refused = syndi.run("--local", "rollback", "test", "lonely", *APPLICATION, "--json")
    assert (refused.exit_code, refused.json["failed_step"]) == (1, "FindBuild")
    assert "no good deployment of another build" in refused.json["reason"]


def roll_back(syndi: Syndi, org: str, *options: str) -> Any:
    """Ask for the way back, which must succeed."""
    return syndi.ok("--local", "rollback", "test", org, *APPLICATION, *options, "--json")


def test_a_stack_that_cannot_be_updated_keeps_the_configuration_that_it_ran_with(
    syndi: Syndi, rawscribe_copy: Path
) -> None:
    good = syndi.deploy("test", "boomerang")
    config = syndi.ok("--local", "config", "show", "test", "boomerang", "--json").json
    never = (
        "  Never: {Type: AWS::CloudFormation::WaitConditionHandle}\n"
        "  NeverSignalled:\n    Type: AWS::CloudFormation::WaitCondition\n"
        "    Properties: {Handle: !Ref Never, Timeout: '1', Count: 1}\n\nOutputs:\n"
    )
    template = rawscribe_copy / "template.yaml"
    template.write_text(template.read_text().replace("\nOutputs:\n", f"\n{never}"))
    (rawscribe_copy / "config" / "test.json").write_text('{"frontend": {"title": "Never seen"}}')
    push(syndi, rawscribe_copy, "test")

    failed = syndi.fail("test", "boomerang")
    assert failed["failed_step"] == "AwaitStack"
    assert "NeverSignalled" in failed["reason"]
    assert failed["steps"]["UploadConfig"]["status"] == "SUCCEEDED"
    assert failed["steps"]["RestoreConfig"]["status"] == "SUCCEEDED"
    after = syndi.ok("--local", "config", "show", "test", "boomerang", "--json").json
    assert after["content"] == config["content"]
    assert after["as_deployed"] is True
    assert reported(syndi, "boomerang", "rawscribe") == good["build"]["fingerprint"]
