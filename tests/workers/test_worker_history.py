"""The table's conditions: what is written once, and what a late write must not undo."""

from datetime import timedelta
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from worker_builders import ALPHA, BETA, NOON, TABLE

from control_plane import aws
from control_plane.errors import Cancelled, IdempotencyConflict
from control_plane.models import STEPS, DeploymentStatus, StepStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress

pytestmark = pytest.mark.usefixtures("world")
FACTS = {"request": {"on_conflict": "wait"}, "source": "5" * 64, "trigger": "api"}
RECEIPT = {"build": {"fingerprint": "f00"}, "outputs": {"Url": "https://x"}}


def open_(number: int = 1, key: tuple[str, str] | None = None) -> dict[str, Any]:
    made = build.deployment(number=number)
    return History(TABLE).open(ALPHA, made.id, made.execution_arn, FACTS, key)


# Opening ------------------------------------------------------------------------------------------


def test_a_new_record_is_queued_with_every_step_pending() -> None:
    found = open_()
    assert Listing(TABLE).get(ALPHA, found["id"]) == found
    assert (found["status"], found["stack_name"]) == ("QUEUED", "notes-stage-alpha")
    assert found["steps"] == {name: {"status": "PENDING", "attempts": 0} for name in STEPS}
    assert found["request"] == FACTS["request"]


def test_opening_twice_answers_the_record_as_it_is() -> None:
    made = build.opened(build.deployment())
    Progress(TABLE).begin_step(made, "CheckStack")
    again = History(TABLE).open(ALPHA, made.id, "another-arn", {"source": "other"})
    assert again == build.record(made)
    assert (again["status"], again["execution_arn"]) == ("RUNNING", made.execution_arn)


def test_the_same_key_and_request_is_the_same_deployment() -> None:
    first = open_(1, ("key", "digest"))
    assert open_(2, ("key", "digest")) == first
    assert len(Listing(TABLE).deployments(ALPHA, 10)) == 1


def test_the_same_key_for_another_request_is_a_conflict() -> None:
    open_(1, ("key", "digest"))
    with pytest.raises(IdempotencyConflict, match="use a new key"):
        open_(2, ("key", "another"))
    assert len(Listing(TABLE).deployments(ALPHA, 10)) == 1


def test_another_key_or_another_tenant_is_another_deployment() -> None:
    first = open_(1, ("key", "digest"))
    other = build.deployment(BETA, 3)
    for_beta = History(TABLE).open(BETA, other.id, other.execution_arn, FACTS, ("key", "digest"))
    assert len({first["id"], open_(2, ("key2", "digest"))["id"], for_beta["id"]}) == 3


def test_a_key_is_forgotten_after_a_day_though_dynamodb_has_not_removed_it() -> None:
    first = open_(1, ("key", "digest"))
    later = History(TABLE, clock=lambda: NOON.replace(year=2100))
    made = build.deployment(number=2)
    assert later.open(ALPHA, made.id, "arn", FACTS, ("key", "another"))["id"] != first["id"]


def test_the_item_of_a_key_expires_and_holds_no_key() -> None:
    now = NOON
    made = build.deployment()
    History(TABLE, clock=lambda: now).open(ALPHA, made.id, "arn", FACTS, ("my-key", "digest"))
    (item,) = [item for item in build.everything() if "expires_at" in item]
    assert int(item["expires_at"]["N"]) == int((now + timedelta(days=1)).timestamp())
    assert "my-key" not in str(item)


def test_an_error_is_not_taken_for_an_existing_record(
    script: scripted.Scripted,
) -> None:
    script.on(aws.dynamodb(), "TransactWriteItems", scripted.failure("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        open_()


# Steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "status"),
    [("PrepareDeployment", "QUEUED"), ("AcquireLock", "QUEUED"), ("CheckStack", "RUNNING")],
)
def test_a_deployment_is_queued_until_it_has_its_tenant(step: str, status: str) -> None:
    made = build.opened(build.deployment())
    Progress(TABLE).begin_step(made, step)
    assert build.record(made)["status"] == status


def test_a_step_counts_its_attempts_and_keeps_its_first_start() -> None:
    made = build.opened(build.deployment())
    for minute in (1, 2):
        clock = NOON.replace(minute=minute)
        Progress(TABLE, clock=lambda at=clock: at).begin_step(made, "StartBuild")
    end = NOON.replace(minute=3)
    Progress(TABLE, clock=lambda: end).end_step(
        made, "StartBuild", StepStatus.SUCCEEDED, "started it"
    )
    step = build.record(made)["steps"]["StartBuild"]
    assert (step["attempts"], step["status"], step["note"]) == (2, "SUCCEEDED", "started it")
    assert step["started_at"].startswith("2026-11-22T12:01")
    assert step["finished_at"].startswith("2026-11-22T12:03")


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED", "SUPERSEDED", "TIMED_OUT"])
def test_writes_of_a_step_after_the_end_do_nothing(end: str) -> None:
    made = build.opened(build.deployment())
    History(TABLE).fail(
        ALPHA, made.id, made.execution_arn, DeploymentStatus(end), {"reason": "why"}
    )
    before = build.record(made)
    progress = Progress(TABLE)
    with pytest.raises(Cancelled, match="has ended"):
        progress.begin_step(made, "CheckStack")
    progress.end_step(made, "CheckStack", StepStatus.SUCCEEDED, "late")
    assert build.record(made) == before


def test_writes_of_a_step_make_no_record_where_there_is_none() -> None:
    made = build.deployment()
    with pytest.raises(Cancelled):
        Progress(TABLE).begin_step(made, "CheckStack")
    assert Listing(TABLE).get(ALPHA, made.id) is None


def test_facts_are_added_to_an_open_record_only() -> None:
    made = build.opened(build.deployment())
    Progress(TABLE).add_facts(made, {"tests": [{"name": "health"}], "nothing": None})
    found = build.record(made)
    assert found["tests"] == [{"name": "health"}]
    assert "nothing" not in found
    History(TABLE).fail(
        ALPHA, made.id, made.execution_arn, DeploymentStatus.CANCELLED, {"reason": "stopped"}
    )
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        Progress(TABLE).add_facts(made, {"tests": []})
