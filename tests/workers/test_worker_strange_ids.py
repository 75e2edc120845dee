"""Ids that no deployment of this release has: earlier ones took the id out of any execution's name.

A tenant with such a record must stay listed, swept and deployable.
"""

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from lambda_calls import answer_with_the_worker
from people import People
from test_worker_record import acquire, running
from test_worker_record_closing import opened_before
from worker_builders import TABLE

from control_plane import naming
from control_plane.models import Deployment, DeploymentStatus, StepStatus, utc_now
from control_plane.store.history import History
from control_plane.store.progress import Progress
from workers import record
from workers.record_closing import UNSEEN

NO_TIME, FUTURE = "99999999-999999-999zzzzz", "99981231-235959-999zzzzz"
NO_SECOND = f"{utc_now():%Y%m%d-%H%M}99-999zzzzz"
STRANGE = pytest.mark.parametrize("strange", [NO_TIME, FUTURE, NO_SECOND])


@pytest.fixture(autouse=True)
def _worker(world: None, script: scripted.Scripted, people: People) -> None:
    """The API reaches the record worker."""
    answer_with_the_worker(script, record.handler)


def made_as(strange: str) -> Deployment:
    """A deployment of that id that asked to take the place of those that wait."""
    made = build.deployment(number=1, on_conflict="supersede")
    arn = build.arn(naming.execution_name(made.tenant, strange))
    return made.model_copy(update={"id": strange, "execution_arn": arn})


def ended(made: Deployment) -> None:
    """It had its tenant, and has ended."""
    build.opened(made)
    Progress(TABLE).begin_step(made, "AcquireLock")
    Progress(TABLE).end_step(made, "AcquireLock", StepStatus.SUCCEEDED, "")
    History(TABLE).fail(
        made.tenant, made.id, made.execution_arn, DeploymentStatus.FAILED, {"reason": "why"}
    )


@STRANGE
def test_one_that_has_ended_supersedes_nobody_and_is_listed(strange: str) -> None:
    ended(made_as(strange))
    (listed,) = call("GET", "/tenants").body["tenants"]
    assert listed["last_attempt"]["deployment"] == strange
    assert call("GET", f"/deployments/{strange}").body["id"] == strange
    assert call("GET", "/envs/stage/orgs/alpha/deployments").status == 200
    if strange != NO_SECOND:  # which is newer, as far as anybody can tell
        assert acquire(running(build.deployment(number=2)))["done"] is True


@STRANGE
def test_one_that_never_ran_is_closed_by_the_sweep_and_holds_nobody_up(strange: str) -> None:
    dead = opened_before(made_as(strange), UNSEEN)
    assert acquire(running(build.deployment(number=2)))["done"] is True
    record.handler({"sweep": True}, None)
    assert DeploymentStatus(build.record(dead)["status"]).is_final


@pytest.mark.parametrize("strange", [NO_TIME, FUTURE])
def test_the_next_attempt_takes_its_place_in_the_list(strange: str) -> None:
    ended(made_as(strange))
    new = build.opened(build.deployment(number=2))
    History(TABLE).fail(
        new.tenant, new.id, new.execution_arn, DeploymentStatus.FAILED, {"reason": "why"}
    )
    (listed,) = call("GET", "/tenants").body["tenants"]
    assert listed["last_attempt"]["deployment"] == new.id
