"""How deployments end in the table: all or nothing, once, and the last good state is kept."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.models import Deployment, DeploymentStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress

pytestmark = pytest.mark.usefixtures("world")
RECEIPT = {"build": {"fingerprint": "f00"}, "outputs": {"Url": "https://x"}}


def running(number: int = 1, **options: Any) -> Deployment:
    """A deployment that holds its tenant."""
    made = build.opened(build.deployment(number=number, **options))
    build.take_lock(made)
    return made


def succeed(made: Deployment, **receipt: Any) -> dict[str, Any]:
    proof = {**RECEIPT, **receipt}
    last = {"last_good": made.id, "last_deployment": made.id, "last_status": "SUCCEEDED"}
    current = {**proof, **last}
    return History(TABLE).succeed(
        made.tenant, made.id, made.execution_arn, proof, current, ["last_reason"]
    )


def fail(
    made: Deployment, reason: str = "why", status: DeploymentStatus = DeploymentStatus.FAILED
) -> dict[str, Any]:
    facts = {"reason": reason}
    return History(TABLE).fail(made.tenant, made.id, made.execution_arn, status, facts)


def test_success_is_recorded_made_current_and_frees_the_tenant() -> None:
    made = running()
    answer = succeed(made)
    assert answer == build.record(made)
    assert (answer["status"], answer["build"]) == ("SUCCEEDED", {"fingerprint": "f00"})
    assert build.current()["last_good"] == made.id
    assert build.current()["outputs"] == {"Url": "https://x"}
    assert build.holder() is None


def test_success_is_one_transaction() -> None:
    # The lock is somebody else's: then nothing of the success may be written.
    made, other = build.opened(build.deployment()), build.deployment(number=2)
    build.take_lock(other)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        succeed(made)
    assert build.record(made)["status"] == "QUEUED"
    assert build.current() == {}
    assert build.holder() == other.execution_arn


def test_success_without_the_lock_is_no_success() -> None:
    made = build.opened(build.deployment())
    with pytest.raises(ClientError, match="TransactionCanceled"):
        succeed(made)
    assert build.current() == {}


def test_recording_success_twice_is_harmless() -> None:
    made = running()
    first = succeed(made)
    other = running(2)
    assert succeed(made, build={"fingerprint": "bad"}) == first
    assert build.current()["build"] == {"fingerprint": "f00"}
    assert build.holder() == other.execution_arn


def test_numbers_that_are_not_whole_survive_in_the_table() -> None:
    made = running()
    config = {"content": {"sampling": 0.25, "limit": 10, "nested": [{"ratio": 1.5}]}}
    succeed(made, config=config)
    assert build.record(made)["config"] == config
    assert build.current()["config"] == config


def test_a_failure_keeps_the_last_good_state() -> None:
    good = running(1)
    succeed(good)
    bad = running(2)
    fail(bad, "the build failed")
    found = build.current()
    assert (found["last_good"], found["build"]) == (good.id, {"fingerprint": "f00"})
    assert (found["last_deployment"], found["last_status"]) == (bad.id, "FAILED")
    assert found["last_reason"] == "the build failed"
    assert build.holder() is None


def test_a_success_leaves_no_reason_of_an_earlier_failure() -> None:
    fail(running(1), "the build failed")
    succeed(running(2))
    assert "last_reason" not in build.current()


def test_a_tenant_that_never_succeeded_has_no_last_good_deployment() -> None:
    fail(running())
    assert "last_good" not in build.current()


def test_failing_twice_keeps_the_first_end() -> None:
    made = running()
    first = fail(made, "the real reason")
    assert fail(made, "stopped", DeploymentStatus.CANCELLED) == first
    assert build.record(made)["reason"] == "the real reason"
    assert build.record(made)["status"] == "FAILED"


def test_a_success_cannot_become_a_failure() -> None:
    made = running()
    succeed(made)
    assert fail(made)["status"] == "SUCCEEDED"
    assert build.current()["last_status"] == "SUCCEEDED"


def test_a_failure_cannot_become_a_success() -> None:
    made = running()
    fail(made)
    build.take_lock(made)
    assert succeed(made)["status"] == "FAILED"
    assert build.current()["last_status"] == "FAILED"


def test_a_failure_frees_no_lock_of_another_deployment() -> None:
    holding, waiting = running(1), build.opened(build.deployment(number=2))
    fail(waiting)
    assert build.record(waiting)["status"] == "FAILED"
    assert build.holder() == holding.execution_arn


def test_a_refused_request_that_had_no_record_gets_one() -> None:
    made = build.deployment()
    fail(made, "org: is too long")
    found = build.record(made)
    assert (found["id"], found["reason"]) == (made.id, "org: is too long")
    assert Listing(TABLE).find(made.id) == found


def test_no_step_runs_on_in_a_deployment_that_ended() -> None:
    made = running()
    Progress(TABLE).begin_step(made, "RunTests")
    History(TABLE).fail(
        ALPHA,
        made.id,
        made.execution_arn,
        DeploymentStatus.FAILED,
        {"reason": "not ready", "failed_step": "RunTests"},
    )
    assert build.record(made)["steps"]["RunTests"]["status"] == "FAILED"


# Listing ------------------------------------------------------------------------------------------


def test_a_tenants_deployments_are_listed_newest_first_and_limited() -> None:
    made = [build.opened(build.deployment(number=number)) for number in (2, 1, 3)]
    build.opened(build.deployment(build.tenant("alpha2"), 4))
    found = [record["id"] for record in Listing(TABLE).deployments(ALPHA, 2)]
    assert found == [made[2].id, made[0].id]


def test_a_deployment_is_found_by_its_id_alone() -> None:
    made = build.opened(build.deployment())
    assert Listing(TABLE).find(made.id) == build.record(made)
    assert Listing(TABLE).find("20261122-120000-000aaaaa") is None


def test_every_tenant_with_an_end_is_listed_by_its_stack() -> None:
    succeed(running())
    other = build.opened(build.deployment(build.tenant("beta"), 2))
    fail(other)
    build.opened(build.deployment(build.tenant("gamma"), 3))
    found = {item["stack_name"]: item["last_status"] for item in Listing(TABLE).tenants()}
    assert found == {"notes-stage-alpha": "SUCCEEDED", "notes-stage-beta": "FAILED"}


def test_a_throttled_read_is_not_an_absence(script: scripted.Scripted) -> None:
    script.on(aws.dynamodb(), "GetItem", scripted.failure("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        Listing(TABLE).current(ALPHA)
