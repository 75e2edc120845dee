"""Lock, slots and ends, in whatever order things happen: a model of Step Functions, real workers.

Hypothesis makes deployments start, wait, take each other's place, work, be approved, cancelled, end
and die; steps run twice, EventBridge's events are late, doubled or lost. What must hold at any
moment is in the invariants, what must hold in the end in `teardown`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from lambda_calls import answer_with_the_worker
from people import People
from worker_builders import NOON, TABLE, arn

from control_plane import aws, models, naming
from control_plane.errors import Cancelled, DeploymentInProgress, Superseded
from control_plane.models import Deployment, DeploymentStatus, JsonObject
from control_plane.services.notifications import Kind
from control_plane.store import items
from control_plane.store.progress import Progress
from control_plane.store.slots import Slots
from control_plane.use_cases import closing as reading
from workers import record, record_closing

TENANTS = [build.tenant(org) for org in ("alpha", "beta", "gamma")]
SLOTS = 2
WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")
BOUNDED = settings(
    max_examples=2,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
"""The same cases in every run: a red one is a change's, not chance."""

ENDS = {"ABORTED": "CANCELLED", "TIMED_OUT": "TIMED_OUT", "FAILED": "FAILED"}
NO_ROLLBACK = {"outcome": "none", "failure": {}}


class Now:
    """The clock of the models, which the machine moves."""

    at = NOON

    @classmethod
    def now(cls, _: Any) -> datetime:
        return cls.at


@dataclass
class Run:
    """A deployment and its execution. `status`: what DescribeExecution says, None: it is unknown.
    `next`: the step that the state machine is at. `answer`: what a task token was answered."""

    made: Deployment
    approval: bool
    status: str | None = "RUNNING"
    next: str = "AcquireLock"
    answer: str | None = None
    expected: str | None = None
    first_end: JsonObject | None = None

    @property
    def is_alive(self) -> bool:
        return self.status == "RUNNING"


class Deployments(RuleBasedStateMachine):
    """Everything that can happen to the deployments of three tenants with two slots."""

    script: ClassVar[scripted.Scripted]
    people: ClassVar[People]
    before: ClassVar[Callable[..., None]]
    first_after: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        Now.at = NOON
        self.runs: list[Run] = []
        self.rival: Callable[[], None] | None = None
        self.after = 0
        self.people.notices.clear()
        reading._looked_at.clear()
        aws.dynamodb().delete_table(TableName=TABLE)
        build.create_table()
        client = aws.stepfunctions()
        Deployments.before = self.before_a_write
        self.script.on(client, "DescribeExecution", self._described)
        self.script.on(client, "SendTaskSuccess", lambda asked: self._answered(asked, "yes"))
        self.script.on(
            client, "SendTaskFailure", lambda asked: self._answered(asked, asked["error"])
        )

    # Step Functions -------------------------------------------------------------------------------

    def _described(self, asked: JsonObject) -> JsonObject:
        (run,) = [one for one in self.runs if one.made.execution_arn == asked["executionArn"]]
        if run.status is None:
            return scripted.failure("ExecutionDoesNotExist")
        stopped = {} if run.is_alive else {"stopDate": Now.at}
        error = {"error": "States.Runtime"} if run.status == "FAILED" else {}
        return {"status": run.status, **stopped, **error}

    def _answered(self, asked: JsonObject, answer: str) -> JsonObject:
        for run in self.runs:
            waits = run.is_alive and run.next == "Decided" and run.answer is None
            if run.made.id == asked["taskToken"] and waits:
                run.answer = answer
                return {}
        return scripted.failure("TaskTimedOut")

    def _pick(self, number: int, **wanted: Any) -> Run | None:
        found = [r for r in self.runs if all(getattr(r, k) == v for k, v in wanted.items())]
        return found[number % len(found)] if found else None

    # What happens ---------------------------------------------------------------------------------

    @initialize()
    def first(self) -> None:
        """Two want one tenant, then two the last slot, each between another pair of calls."""
        self.starts(0, "wait", approval=False, is_known=True)
        self._race(self.runs[0], self._takes_its_place, self.first_after)
        if len(self.runs) == 1:  # the first made fewer calls than that
            self._takes_its_place()
        for run in self.runs:
            if run.next == "AcquireSlot" and run.is_alive:
                self._goes_on(run, twice=False)
        assert len(Slots(TABLE, SLOTS).state()["holders"]) == SLOTS - 1
        for tenant in (1, 2):
            self.starts(tenant, "wait", approval=False, is_known=True)
            self._goes_on(self.runs[-1], twice=False)
        one, other = self.runs[-2:]
        self._race(one, lambda: self._goes_on(other, twice=False), self.first_after)

    def _takes_its_place(self) -> None:
        self.starts(0, "supersede", approval=False, is_known=True)
        for _ in ("AcquireLock", "AcquireSlot"):
            if self.runs[-1].is_alive:
                self._goes_on(self.runs[-1], twice=False)

    @rule(
        tenant=st.integers(0, 2),
        conflict=st.sampled_from(["wait", "wait", "reject", "supersede"]),
        approval=st.booleans(),
        is_known=st.sampled_from([True, True, True, False]),
    )
    def starts(self, tenant: int, conflict: str, *, approval: bool, is_known: bool) -> None:
        """`is_known`: else StartExecution never came there, and only the record is."""
        if len(self.runs) == 6:
            return
        Now.at += timedelta(seconds=1)
        of, id_ = TENANTS[tenant], naming.new_deployment_id(Now.at)
        made = build.deployment(
            of, id=id_, execution_arn=arn(naming.execution_name(of, id_)), started_at=Now.at,
            on_conflict=conflict, approval=approval,
        )  # fmt: skip
        status = "RUNNING" if is_known else None
        self.runs.append(Run(build.opened(made), approval, status))

    @rule(number=st.integers(0, 50), other=st.integers(0, 50), after=st.integers(0, 3))
    def race(self, number: int, other: int, after: int) -> None:
        """A step of one runs between what a step of another has read and what it writes."""
        run, rival = self._pick(number, is_alive=True), self._pick(other, is_alive=True)
        if run is not None and rival is not None and run is not rival:
            self._race(run, lambda: self._goes_on(rival, twice=False), after)

    def _race(self, run: Run, rival: Callable[[], None], after: int) -> None:
        self.rival, self.after = rival, after
        self._goes_on(run, twice=False)
        self.rival = None

    def before_a_write(self, **_: Any) -> None:
        """The other one's turn, if it is."""
        if self.rival is None:
            return
        self.after -= 1
        if self.after < 0:
            rival, self.rival = self.rival, None
            rival()

    @rule(number=st.integers(0, 50), twice=st.booleans())
    def goes_on(self, number: int, *, twice: bool) -> None:
        """The execution's next step runs; `twice`: its answer was lost the first time."""
        run = self._pick(number, is_alive=True)
        if run is not None:
            self._goes_on(run, twice=twice)

    def _goes_on(self, run: Run, *, twice: bool) -> None:
        if run.next == "Decided":
            if run.answer is None:
                return
            if run.answer != "yes":
                self._fails(run, "AwaitApproval", run.answer)
                return
            run.next = "RegainSlot"
        try:
            for _ in range(1 + twice):
                done = self._step(run)
        except (DeploymentInProgress, Superseded, Cancelled) as error:
            self._fails(run, run.next, type(error).__name__)
            return
        if done:
            self._moves_on(run)

    def _step(self, run: Run) -> bool:
        made = run.made
        match run.next:
            case "AcquireLock" | "AcquireSlot" | "RegainSlot":
                return bool(record.handler(build.event(made, run.next), None)["done"])
            case "AwaitStack":
                if Progress(TABLE).begin_step(made, "AwaitStack"):
                    raise Cancelled
            case "AwaitApproval":
                given = build.event(made, "AwaitApproval", token=made.id)
                record.handler(given, None)
            case "Record":
                given = {"build": {}, "change_set": {}, "config_changes": {}}
                record.handler(build.event(made, "RecordDryRun", **given), None)
        return True

    def _moves_on(self, run: Run) -> None:
        match run.next:
            case "AcquireLock":
                run.next = "AcquireSlot"
            case "AcquireSlot":
                run.next = "AwaitApproval" if run.approval else "AwaitStack"
            case "AwaitApproval":
                run.next = "Decided"
            case "RegainSlot":
                run.next = "AwaitStack"
            case "AwaitStack":
                run.next = "Record"
            case "Record":
                run.status, run.expected = "SUCCEEDED", "SUCCEEDED"

    def _fails(self, run: Run, step: str, error: str) -> None:
        event = {
            "step": "RecordFailure", "execution": build.execution_of(run.made),
            "failure": {"state": step, "error": error, "cause": "why"}, "rollback": NO_ROLLBACK,
        }  # fmt: skip
        record.handler(event, None)
        record.handler(event, None)
        run.status = "FAILED"
        kinds = {"Superseded": "SUPERSEDED", "Cancelled": "CANCELLED"}
        run.expected = kinds.get(error, "FAILED")

    @rule(number=st.integers(0, 50))
    def breaks(self, number: int) -> None:
        run = self._pick(number, is_alive=True, next="AwaitStack")
        if run:
            self._fails(run, "AwaitStack", "StackFailed")

    @rule(number=st.integers(0, 50), how=st.sampled_from([*ENDS, None]))
    def dies(self, number: int, how: str | None) -> None:
        """Without a word; None: the laptop's AWS lost it."""
        run = self._pick(number, is_alive=True)
        if run:
            run.status = how
            run.expected = ENDS[how] if how else None

    @rule(number=st.integers(0, 50), approved=st.booleans())
    def is_decided(self, number: int, *, approved: bool) -> None:
        run = self._pick(number, next="Decided")
        if run:
            verb = "approve" if approved else "reject"
            assert call("POST", f"{self._path(run)}/{verb}", {}).status in (200, 202, 409)

    @rule(number=st.integers(0, 50))
    def is_cancelled(self, number: int) -> None:
        run = self._pick(number)
        if run is None:
            return
        was_open = not DeploymentStatus(end_of(run.made)["status"]).is_final
        reply = call("POST", f"{self._path(run)}/cancel")
        assert reply.status == (202 if was_open and "cancel" in reply.body else 409), reply.body

    @rule(number=st.integers(0, 50))
    def is_shown(self, number: int) -> None:
        run = self._pick(number)
        if run:
            assert call("GET", self._path(run)).status == 200

    def _path(self, run: Run) -> str:
        tenant = run.made.tenant
        return f"/envs/{tenant.env}/orgs/{tenant.org}/deployments/{run.made.id}"

    @rule(number=st.integers(0, 50), twice=st.booleans())
    def end_is_heard_of(self, number: int, *, twice: bool) -> None:
        """EventBridge's event: late, doubled, or in another order than the ends."""
        run = self._pick(number, is_alive=False)
        if run is None or run.status in (None, "SUCCEEDED"):
            return
        error = {"error": "States.Runtime"} if run.status == "FAILED" else {"error": None}
        detail = {
            "executionArn": run.made.execution_arn, "status": run.status, "cause": None, **error,
            "startDate": int(run.made.started_at.timestamp() * 1000),
            "stopDate": int(Now.at.timestamp() * 1000),
            "input": record_input(run.made),
        }  # fmt: skip
        for _ in range(1 + twice):
            record.handler({"source": "aws.states", "detail": detail}, None)

    @rule()
    def is_swept(self) -> None:
        record.handler({"sweep": True}, None)

    @rule(seconds=st.sampled_from([5, 61, 100, 1000]))
    def time_passes(self, seconds: int) -> None:
        Now.at += timedelta(seconds=seconds)

    # What holds at any moment ---------------------------------------------------------------------

    @invariant()
    def whoever_works_has_its_tenant_and_nobody_else(self) -> None:
        for run in self.runs:
            if run.is_alive and run.next != "AcquireLock":
                holder = build.holder(run.made.tenant)
                assert holder == run.made.execution_arn, f"{run.made.id} was thrown out"

    @invariant()
    def whoever_works_has_a_slot_and_there_are_no_more(self) -> None:
        holders = Slots(TABLE, SLOTS).state()["holders"]
        assert len(holders) <= SLOTS
        for run in self.runs:
            if run.is_alive and run.next in ("AwaitApproval", "AwaitStack", "Record"):
                assert run.made.id in holders, f"{run.made.id} lost its slot"

    @invariant()
    def an_end_is_the_only_one_and_the_right_one(self) -> None:
        for run in self.runs:
            found = end_of(run.made)
            if not DeploymentStatus(found["status"]).is_final:
                continue
            assert not run.is_alive, f"{run.made.id} was closed while it ran"
            run.first_end = run.first_end or found
            assert found == run.first_end, "an end was changed"
            expected = [run.expected] if run.expected else ["FAILED", "CANCELLED"]
            assert found["status"] in expected

    # What holds in the end ------------------------------------------------------------------------

    def teardown(self) -> None:
        """Whatever died is swept; whatever lives gets its tenant and its slot, and ends."""
        Now.at += record_closing.UNSEEN + timedelta(minutes=1)
        record.handler({"sweep": True}, None)
        self.an_end_is_the_only_one_and_the_right_one()
        dead = [run for run in self.runs if not run.is_alive]
        holders = Slots(TABLE, SLOTS).state()["holders"]
        for run in dead:
            assert DeploymentStatus(end_of(run.made)["status"]).is_final, run
            assert run.made.id not in holders, "a dead one has a slot"
        for _ in range(12 * len(self.runs)):
            alive = [run for run in self.runs if run.is_alive]
            if not alive:
                break
            Now.at += timedelta(seconds=20)
            for run in alive:
                if run.next == "Decided" and run.answer is None:
                    run.answer = "yes"
                self.goes_on(self.runs_alive().index(run) if run.is_alive else 0, twice=False)
        assert not self.runs_alive(), "somebody starves"
        self.an_end_is_the_only_one_and_the_right_one()
        record.handler({"sweep": True}, None)
        assert [build.holder(tenant) for tenant in TENANTS] == [None] * 3
        assert Slots(TABLE, SLOTS).state()["holders"] == {}
        assert list(Slots(TABLE, SLOTS).waiters()) == []
        self._everybody_heard_once()

    def runs_alive(self) -> list[Run]:
        return [run for run in self.runs if run.is_alive]

    def _everybody_heard_once(self) -> None:
        heard = [n.facts["deployment"] for n in self.people.notices if n.kind != Kind.WAITING]
        for run in self.runs:
            status = end_of(run.made)["status"]
            assert heard.count(run.made.id) == (status in ("FAILED", "TIMED_OUT")), status


def end_of(made: Deployment) -> JsonObject:
    """What the record says of the deployment's end."""
    key = items.key(items.tenant_key(made.tenant), items.DEPLOYMENT + made.id)
    wanted = ("status", "finished_at", "reason", "error", "failed_step")
    names = {f"#{name}": name for name in wanted}
    found = aws.dynamodb().get_item(
        TableName=TABLE, Key=key, ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    )  # fmt: skip
    return {name: next(iter(value.values())) for name, value in found["Item"].items()}


def record_input(made: Deployment) -> str:
    """The input of a deployment's execution, as EventBridge has it."""
    return build.json.dumps(build.execution_of(made)["Input"])


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("after", range(4))
def test_lock_slots_and_ends_in_any_order(
    script: scripted.Scripted, people: People, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """`after`: how many writes of the first have gone by when the second of a pair begins."""
    Deployments.first_after = after
    monkeypatch.setattr(models, "datetime", Now)
    answer_with_the_worker(script, record.handler)
    Deployments.script, Deployments.people = script, people
    for write in WRITES:
        script.before(aws.dynamodb(), write, lambda **more: Deployments.before(**more))
    run_state_machine_as_test(Deployments, settings=BOUNDED)  # type: ignore[no-untyped-call]
