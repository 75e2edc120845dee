"""Nobody is named as who started a deployment unless that is proven, whatever an input says."""

import json
from datetime import timedelta
from typing import Any

import pytest
import rollout_calls
import worker_builders as build
from api_calls import CALLER, call
from record_calls import BARE, BY_HAND, execution, fail, prepare, registered
from worker_builders import ALPHA, TABLE, arn

from control_plane import aws, naming, own
from control_plane.errors import InvalidRequest
from control_plane.models import Deployment, DeploymentStatus, Env, JsonObject, utc_now
from control_plane.settings import forget_settings
from control_plane.store import items
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.rollouts import Rollouts
from control_plane.store.starts import KEPT, USED_WITHIN, Starts
from workers import record, record_closing, record_schedules

pytestmark = pytest.mark.usefixtures("source")

PATH = "/envs/stage/orgs/alpha/deployments"
FORGED = {"trigger": "api", "requested_by": "arn:aws:iam::123456789012:user/alice"}


def actor(found: JsonObject) -> tuple[Any, Any]:
    return found["trigger"], found.get("requested_by")


def started() -> tuple[str, dict[str, Any]]:
    """The API starts a deployment: the name of its execution, and its input."""
    made = call("POST", PATH, {}).body
    client = aws.stepfunctions()
    described = client.describe_execution(executionArn=made["execution_arn"])
    return str(described["name"]), dict(json.loads(described["input"]))


# By hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        FORGED,
        {"trigger": "schedule"},
        {"trigger": "rollout", "rollout": "20261122-120000-000aaaaa"},
        {"trigger": "install", "requested_by": "root"},
        {"retry_of": "20261122-120000-000aaaaa", **FORGED},
        {"trigger": "execution"},
    ],
)
def test_what_a_start_by_hand_says_of_its_origin_does_not_count(claims: dict[str, Any]) -> None:
    found = build.record(prepare({**BARE, **claims}))
    assert actor(found) == ("manual", None)
    assert {"retry_of", "rollout"} & found.keys() == set()


def test_a_password_of_another_deployment_is_not_read_for_a_start_by_hand() -> None:
    with pytest.raises(InvalidRequest, match="admin_secret_arn: belongs to the deployment"):
        prepare({**BARE, "admin_username": "a@b.cd", "admin_secret_arn": "arn:aws:x"})


def test_what_the_api_started_is_its_callers() -> None:
    name, given = started()
    assert actor(build.record(prepare(given, name))) == ("api", CALLER)
    again = prepare(dict(reversed(given.items())), name)
    assert actor(build.record(again)) == ("api", CALLER), "a step that runs twice"


def test_a_replayed_input_of_the_api_is_by_hand() -> None:
    """As "New execution" in the console does it."""
    _, given = started()
    assert actor(build.record(prepare(given))) == ("manual", None)


def test_a_start_under_the_name_that_the_api_chose_does_nothing_under_its_name() -> None:
    name, given = started()
    with pytest.raises(InvalidRequest, match="registered with another input"):
        prepare({**given, "enable_auth": False}, name)
    (found,) = Listing(TABLE).deployments(ALPHA, 5)
    assert found["status"] == "QUEUED"
    assert all(step["attempts"] == 0 for step in found["steps"].values())


def test_a_registration_is_used_by_one_execution_though_its_name_is_used_again() -> None:
    """A name can be used again 90 days after its execution ended."""
    name, given = started()
    prepare(given, name)
    again = {**execution(given, name), "StartTime": "2027-03-01T12:00:00.000Z"}
    event = {"step": "PrepareDeployment", "execution": again}
    made = Deployment.model_validate(record.handler(event, None))
    assert naming.execution_name(made.tenant, made.id) != name, "another deployment"
    assert actor(build.record(made)) == ("manual", None)


def test_a_registration_that_nobody_used_is_not_kept_for_somebody_else() -> None:
    given = {**BARE, **FORGED}
    before = utc_now() - USED_WITHIN - timedelta(seconds=1)
    Starts(TABLE, clock=lambda: before).register(arn(BY_HAND), given)
    assert actor(build.record(prepare(given))) == ("manual", None)
    assert timedelta(days=14) < KEPT < timedelta(days=90), "redrives, and names used again"


def test_a_start_whose_answer_was_lost_is_repeated_as_it_was() -> None:
    """Another input under the same name would be another execution: AWS refuses it."""
    first, second = {**BARE, **FORGED}, {**BARE, "requested_by": "bob"}
    assert registered(first) == first
    assert registered(second) == first
    assert actor(build.record(prepare(first))) == ("api", FORGED["requested_by"])


def test_the_api_of_the_release_before_is_believed_while_it_is_replaced() -> None:
    made = build.deployment()
    facts = {"request": {}, "source": made.source, **FORGED}
    History(TABLE).open(ALPHA, made.id, made.execution_arn, facts)
    name = naming.execution_name(ALPHA, made.id)
    with pytest.raises(InvalidRequest, match="another input"):
        prepare({**BARE, **FORGED, "enable_auth": False}, name)
    assert actor(build.record(prepare({**BARE, **FORGED}, name))) == (
        "api", FORGED["requested_by"],
    )  # fmt: skip


# Where it is accepted -----------------------------------------------------------------------------


def test_prod_accepts_no_start_by_hand_and_says_what_to_do() -> None:
    build.push_source(envs=(Env.PROD,))
    given = {"env": "prod", "org": "alpha", **FORGED}
    with pytest.raises(InvalidRequest, match="env: prod accepts no deployment") as error:
        prepare(given)
    assert "syndi deploy prod alpha" in str(error.value)
    fail(given, "InvalidRequest", str(error.value))
    of = build.tenant(env=Env.PROD)
    (found,) = Listing(TABLE).deployments(of, 5)
    assert (actor(found), found["status"]) == (("manual", None), "FAILED")
    assert build.holder(of) is None
    assert prepare(registered(given, "other"), "other").tenant == of, "the API may"


def test_where_it_is_accepted_is_the_installations_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANUAL_START_ENVIRONMENTS", "")
    forget_settings()
    with pytest.raises(InvalidRequest, match="accepts them in no environment"):
        prepare(BARE)
    monkeypatch.setenv("MANUAL_START_ENVIRONMENTS", "prod")
    forget_settings()
    build.push_source(envs=(Env.PROD,))
    assert prepare({"env": "prod", "org": "alpha"}).tenant.env == "prod"


def test_a_removal_is_never_started_by_hand() -> None:
    asked = {**BARE, "mode": "offboard", "confirm": "notes-stage-alpha", **FORGED}
    with pytest.raises(InvalidRequest, match="'syndi offboard stage alpha'"):
        prepare(asked)


# Rollouts -----------------------------------------------------------------------------------------


def child() -> JsonObject:
    """A rollout is about to start the deployment of a tenant."""
    (start,) = rollout_calls.advance(rollout_calls.prepare(tenants=["alpha"]))["starts"]
    return dict(start)


def test_a_rollouts_deployment_is_its_own_by_the_row_that_names_it() -> None:
    found = build.record(rollout_calls.prepared(child()))
    assert (actor(found), found["rollout"] is not None) == (("rollout", None), True)


@pytest.mark.parametrize("changed", [{"allow_replacement": ["Pool"]}, {"source": "a" * 64}])
def test_another_input_under_its_name_is_not_the_rollouts(changed: JsonObject) -> None:
    start = child()
    forged = {**start, "input": {**start["input"], **changed}}
    try:
        found = build.record(rollout_calls.prepared(forged))
    except InvalidRequest:
        return  # the source is unknown, or nothing of the kind is accepted
    assert (actor(found), "rollout" in found) == (("manual", None), False)


def test_a_rollout_that_has_ended_answers_for_nobody() -> None:
    start = child()
    rollout_calls.ended(start, "SUCCEEDED")
    rollout_calls.advance(start["input"]["rollout"])
    again = {**start, "name": BY_HAND}
    assert actor(build.record(rollout_calls.prepared(again))) == ("manual", None)


def test_a_rollout_by_hand_names_nobody_and_ends_no_other() -> None:
    first = rollout_calls.prepare(tenants=["alpha"])
    other = rollout_calls.ARN + "9"
    forged = {"env": "stage", "continues": first, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID":
              rollout_calls.ARN}  # fmt: skip
    with pytest.raises(InvalidRequest, match="goes on by itself"):
        rollout_calls.prepare(forged, other)
    failure = {"state": "PrepareRollout", "error": "InvalidRequest", "cause": "no"}
    event = {"step": "StopRollout", "execution": rollout_calls.execution(forged, other)}
    from workers import rollout  # the module, not the builder

    rollout.handler({**event, "failure": failure}, None)
    rollout.handler({"detail": rollout_calls.detail("FAILED", forged, other)}, None)
    assert rollout_calls.state(first)["status"] == "RUNNING"
    assert rollout_calls.found(first)["execution_arn"] == rollout_calls.ARN


def test_a_rollout_goes_on_in_the_execution_that_it_registered() -> None:
    made = rollout_calls.prepare(tenants=["alpha"])
    rollout_calls.begun(rollout_calls.advance(made)["starts"][0])
    going = rollout_calls.advance(made, spent=20_000)
    assert going["action"] == "continue"
    next_arn = naming.execution_arn(build.ROLLOUT_MACHINE, going["next"]["name"])
    assert rollout_calls.prepare(going["next"]["input"], next_arn) == made
    assert Rollouts(TABLE).driven(made, next_arn)


# Schedules ----------------------------------------------------------------------------------------


def scheduled(body: JsonObject, path: str = "/envs/stage/orgs/alpha/schedule") -> JsonObject:
    """A schedule is made, and EventBridge Scheduler calls the worker: what it gives it."""
    if "syndi" not in [g["Name"] for g in aws.scheduler().list_schedule_groups()["ScheduleGroups"]]:
        aws.scheduler().create_schedule_group(Name="syndi")
    assert call("PUT", path, {"expression": "rate(1 day)", **body}).status == 200
    name = "rollout-notes-stage" if "rollout" in path else "notes-stage-alpha"
    target = aws.scheduler().get_schedule(Name=name, GroupName="syndi")["Target"]
    assert target["Arn"] == build.ENVIRONMENT["RECORD_FUNCTION"]
    text = target["Input"].replace("<aws.scheduler.schedule-arn>", f"arn:aws:scheduler:::{name}")
    return dict(json.loads(text.replace("<aws.scheduler.scheduled-time>", "2026-11-22T12:00:00Z")))


def run_of(event: JsonObject) -> tuple[str, JsonObject]:
    made = record.handler(event, None)["execution_arn"]
    described = aws.stepfunctions().describe_execution(executionArn=made)
    return str(described["name"]), dict(json.loads(described["input"]))


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state machines have the names that this control plane's have."""
    monkeypatch.setenv("CONTROL_PLANE_STACK", "syndi")
    forget_settings()


def test_a_schedule_starts_what_it_registered_once_for_each_time(stack: None) -> None:
    event = scheduled({})
    name, given = run_of(event)
    assert run_of(event)[0] == name, "EventBridge Scheduler calls at least once"
    assert actor(build.record(prepare(given, name))) == ("schedule", None)
    other, _ = run_of({**event, "scheduled_time": "2026-11-23T12:00:00Z"})
    assert other != name


def test_a_start_that_came_late_is_the_schedules_and_is_swept(stack: None) -> None:
    """EventBridge Scheduler and Lambda try for 25 hours: it must not count as by hand, and its
    record must not lie before what the sweep looks at."""
    event = scheduled({})
    due = utc_now() - timedelta(hours=24, minutes=55)
    name, given = run_of({**event, "scheduled_time": due.isoformat()})
    arn = naming.execution_arn(build.MACHINE, name)
    record_closing.sweep()  # while it is under way
    prepared = {"Id": arn, "StartTime": utc_now().isoformat(), "Input": given}
    made = record.handler({"step": "PrepareDeployment", "execution": prepared}, None)
    assert name.endswith(made["id"])
    found = Listing(TABLE).find(made["id"])
    assert found is not None
    assert actor(found) == ("schedule", None)
    aws.stepfunctions().stop_execution(executionArn=arn)
    assert record_closing.sweep()["closed"] == [made["id"]]


def test_a_scheduled_rollout_is_the_schedules(stack: None) -> None:
    aws.stepfunctions().create_state_machine(
        name="syndi-rollout", definition="{}", roleArn=build.ROLE
    )
    event = scheduled({"tenants": ["alpha"]}, "/envs/stage/rollout-schedule")
    name, given = run_of(event)
    made = rollout_calls.prepare(given, naming.execution_arn(build.ROLLOUT_MACHINE, name))
    assert rollout_calls.found(made)["trigger"] == "schedule"


def earlier(name: str, machine: str, given: JsonObject) -> None:
    """A schedule as the release before made it: it starts executions itself."""
    aws.scheduler().create_schedule_group(Name="syndi")
    target = {"Arn": machine, "RoleArn": build.ROLE, "Input": json.dumps(given)}
    aws.scheduler().create_schedule(
        Name=name, GroupName="syndi", ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"}, State="DISABLED", Target=target,
    )  # fmt: skip


OWN = own.own_tenant("control-plane-prod-main")


def trusted(since: timedelta, last: str = "20261122-120000-123abcde") -> None:
    """The control plane's last good deployment ended so long ago."""
    made = "20261122-120000-123abcde"
    current = {
        "last_good": made, "last_deployment": last, "deployed_at": (utc_now() - since).isoformat(),
    }  # fmt: skip
    whole = items.whole(items.tenant_key(OWN), items.CURRENT, current)
    aws.dynamodb().put_item(TableName=TABLE, Item=whole)


def test_no_schedule_is_upgraded_that_an_earlier_release_may_have_to_serve() -> None:
    """It could not, and would start nothing, without anybody noticing."""
    earlier("notes-stage-alpha", build.MACHINE, {**BARE, "trigger": "schedule"})
    assert record_schedules.upgrade() == [], "nothing is known of this release"
    trusted(timedelta(hours=23))
    assert record_schedules.upgrade() == [], "it is new"
    trusted(timedelta(days=2), last="20261123-120000-123abcde")
    assert record_schedules.upgrade() == [], "the next one has failed"
    trusted(timedelta(days=2))
    assert Locks(TABLE).acquire(OWN, "x", "another", instead_of="another")
    assert record_schedules.upgrade() == [], "the next one is on trial"
    Locks(TABLE).release(OWN, "another")
    assert record_schedules.upgrade() == ["notes-stage-alpha"]


def test_a_schedule_of_an_earlier_release_goes_on_and_is_upgraded(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANUAL_START_ENVIRONMENTS", "")
    forget_settings()
    given = {**BARE, "application": "notes", "mode": "full", "trigger": "schedule"}
    earlier("notes-stage-alpha", build.MACHINE, given)
    assert actor(build.record(prepare(given))) == ("manual", None), "accepted, though not proven"
    with pytest.raises(InvalidRequest, match="accepts no deployment"):
        prepare({**given, "enable_auth": False}, "another")
    shown = call("GET", "/envs/stage/orgs/alpha/schedule").body
    monkeypatch.setattr(own, "own_tenant", lambda name: OWN)
    trusted(timedelta(days=2))
    assert record.handler({"sweep": True}, None)["upgraded"] == ["notes-stage-alpha"]
    assert call("GET", "/envs/stage/orgs/alpha/schedule").body == shown, "only who starts it"
    target = aws.scheduler().get_schedule(Name="notes-stage-alpha", GroupName="syndi")["Target"]
    assert target["Arn"].endswith(":function:syndi-record:live")
    assert record.handler({"sweep": True}, None)["upgraded"] == []
    name, started = run_of(json.loads(target["Input"]))
    assert actor(build.record(prepare(started, name))) == ("schedule", None)


def test_a_record_that_failed_before_it_was_proven_names_nobody() -> None:
    fail({**BARE, **FORGED}, "States.Timeout")
    (found,) = Listing(TABLE).deployments(ALPHA, 5)
    assert (actor(found), found["status"]) == (("manual", None), DeploymentStatus.FAILED)
