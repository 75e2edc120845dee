"""What breaks: each fails red, says why in one line, frees the tenant, and changes nothing good."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import bucket_names, listed
from sources import ALMANAC, APPLICATION, copied, never_completes, push, replace
from syndi_command import Syndi, eventually


@pytest.fixture
def broken(syndi: Syndi, almanac: dict[str, Any], tmp_path: Path) -> Iterator[Path]:
    """A copy of the almanac to break; afterwards `dev` deploys the good one again."""
    yield copied(ALMANAC, tmp_path)
    push(syndi, ALMANAC, "dev")


def deploy_broken(syndi: Syndi, source: Path, org: str) -> dict[str, Any]:
    """Push a broken source and deploy it, which must fail."""
    push(syndi, source, "dev")
    return syndi.fail("dev", org, *APPLICATION)


def test_a_failing_pre_build_command_is_named(syndi: Syndi, broken: Path) -> None:
    replace(
        broken / "application.toml",
        "python3 scripts/moons.py almanac/moons.json",
        "python3 scripts/no-such-script.py",
    )
    record = deploy_broken(syndi, broken, "lighthouse")
    assert record["failed_step"] == "AwaitBuild"
    assert "python3 scripts/no-such-script.py" in record["reason"]
    good = listed(syndi, "almanac-dev-lighthouse")
    assert good["build"], "the last good deployment is still the tenant's state"
    assert good["last_status"] == "FAILED"
    assert syndi.ok("--local", "check", "dev", "lighthouse", *APPLICATION)


def test_a_build_that_fails_says_what_sam_said(syndi: Syndi, broken: Path) -> None:
    replace(broken / "stack.yaml", "BuildMethod: makefile", "BuildMethod: no-such-method")
    record = deploy_broken(syndi, broken, "lighthouse")
    assert record["failed_step"] == "AwaitBuild"
    assert "sam build" in record["reason"]
    assert "no-such-method" in record["reason"]


def test_a_template_that_cloudformation_refuses_names_the_place(syndi: Syndi, broken: Path) -> None:
    replace(broken / "stack.yaml", "Type: AWS::Logs::LogGroup", "Type: AWS::Logs::LogHeap")
    record = deploy_broken(syndi, broken, "lighthouse")
    assert record["failed_step"] in ("CreateChangeSet", "AwaitChangeSet", "AwaitStack")
    assert "AWS::Logs::LogHeap" in record["reason"]


def test_a_tenant_that_does_not_work_is_not_called_deployed(syndi: Syndi, broken: Path) -> None:
    replace(broken / "almanac" / "handler.py", 'stamp["fingerprint"]', '"hard-coded"')
    push(syndi, broken, "dev")
    result = syndi.attempt("dev", "lighthouse", *APPLICATION)
    assert result.exit_code == 1
    record = result.json
    assert (record["status"], record["failed_step"]) == ("ROLLED_BACK", "RunTests")
    assert "hard-coded" in record["reason"]
    good = listed(syndi, "almanac-dev-lighthouse")
    assert good["last_status"] == "ROLLED_BACK"
    assert good["build"]["fingerprint"] == record["rollback_build"]["fingerprint"]
    assert syndi.ok("--local", "check", "dev", "lighthouse", *APPLICATION)


def test_a_resource_that_cannot_be_created_is_named_and_the_next_deployment_starts_over(
    syndi: Syndi, broken: Path
) -> None:
    org = "reef"
    never_completes(broken)
    failed = deploy_broken(syndi, broken, org)
    assert failed["failed_step"] == "AwaitStack"
    assert "NeverSignalled" in failed["reason"]
    assert syndi.stack(f"almanac-dev-{org}")["status"] == "ROLLBACK_COMPLETE"
    push(syndi, ALMANAC, "dev")
    record = syndi.deploy("dev", org, *APPLICATION)
    assert record["steps"]["DeleteFailedStack"]["status"] == "SUCCEEDED"
    assert record["steps"]["AwaitDeletion"]["status"] == "SUCCEEDED"
    assert "delete-first" in record["steps"]["CheckStack"]["note"]


def test_gamma_fails_on_a_bucket_of_another_stack_and_then_is_deployed(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    cloudformation, bucket = (
        syndi.client("cloudformation"), "rawscribe-forms-stage-gamma-000000000000",
    )  # fmt: skip
    owner = {"Box": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}}
    cloudformation.create_stack(StackName="theirs", TemplateBody=json.dumps({"Resources": owner}))
    eventually(lambda: syndi.stack("theirs")["status"] == "CREATE_COMPLETE", 30, "their stack")
    failed = syndi.fail("stage", "gamma")
    assert failed["failed_step"] == "AwaitChangeSet"
    assert bucket in failed["reason"]
    assert "stack/theirs/" in failed["reason"]
    cloudformation.delete_stack(StackName="theirs")
    eventually(lambda: bucket not in bucket_names(syndi), 30, "gone")
    record = syndi.deploy("stage", "gamma")
    assert "create" in record["steps"]["CheckStack"]["note"]
    assert syndi.stack("rawscribe-stage-gamma")["status"] == "CREATE_COMPLETE"
    assert [item["status"] for item in syndi.history("stage", "gamma")] == ["SUCCEEDED", "FAILED"]


def test_a_change_that_would_lose_the_users_is_refused(syndi: Syndi, alpha: dict[str, Any]) -> None:
    before = syndi.stack("rawscribe-stage-alpha")
    record = syndi.fail("stage", "alpha", "--no-enable-auth")
    assert record["failed_step"] == "AwaitChangeSet"
    assert "CognitoUserPool" in record["reason"]
    assert "allow_replacement" in record["reason"]
    assert syndi.stack("rawscribe-stage-alpha") == before


def test_two_deployments_of_one_tenant_run_one_after_the_other(
    syndi: Syndi, almanac: dict[str, Any]
) -> None:
    options = (*APPLICATION, "--no-wait")
    ids = [syndi.attempt("dev", "lighthouse", *options).json["id"] for _ in range(2)]
    first, second = (syndi.ended(id_, 120) for id_ in ids)
    assert (first["status"], second["status"]) == ("SUCCEEDED", "SUCCEEDED")
    one, other = sorted((first, second), key=lambda item: str(item["finished_at"]))
    assert other["steps"]["CheckStack"]["started_at"] >= one["finished_at"]


def test_a_stopped_execution_is_recorded_and_holds_nobody_up(syndi: Syndi, broken: Path) -> None:
    # A build that takes its time, so that there is something to stop.
    replace(broken / "application.toml", "commands = [", 'commands = ["sleep 15", ')
    push(syndi, broken, "dev")
    started = syndi.attempt("dev", "lighthouse", *APPLICATION, "--no-wait").json
    id_ = started["id"]
    eventually(lambda: "AwaitBuild" in syndi.show(id_)["steps"], 60, "a build to wait for")
    assert syndi.lock("dev", "lighthouse", "almanac"), "the deployment holds its tenant"
    states = syndi.client("stepfunctions", operator=True)
    states.stop_execution(executionArn=started["execution_arn"], cause="the operator's mistake")
    ended = syndi.ended(id_)
    assert ended["status"] in ("CANCELLED", "FAILED")  # the emulator may turn one into the other
    assert syndi.lock("dev", "lighthouse", "almanac") is None
    push(syndi, ALMANAC, "dev")
    syndi.deploy("dev", "lighthouse", *APPLICATION)
