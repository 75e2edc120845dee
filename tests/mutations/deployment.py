"""A deployment of the healthy tenant by the real workers, in the order of the state machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import worker_builders as build
from healthy_tenant import Tenant
from worker_builders import ALPHA

from control_plane.models import Deployment, JsonObject
from control_plane.store.listing import Listing
from workers import admin, code, config, record, stack, verify
from workers import build as building

LOOKS = 3
"""Looks at what goes on, after which the state machine's deadline counts as over: nothing here
takes time."""

HANDLERS: dict[str, Callable[[Any, object], Any]] = {
    "PrepareDeployment": record.handler,
    "AcquireLock": record.handler,
    "AcquireSlot": record.handler,
    "CheckStack": stack.handler,
    "StartBuild": building.handler,
    "AwaitBuild": building.handler,
    "CreateChangeSet": stack.handler,
    "AwaitChangeSet": stack.handler,
    "UploadConfig": config.handler,
    "ExecuteChangeSet": stack.handler,
    "AwaitStack": stack.handler,
    "ReconcileFunction": code.handler,
    "SyncConfig": config.handler,
    "CreateAdmin": admin.handler,
    "RunTests": verify.handler,
    "ProveDeployment": verify.handler,
    "RecordSuccess": record.handler,
}
"""The steps of a full deployment, in the order of state_machine.asl.json."""


@dataclass
class Course:
    """A deployment under way: what the state machine knows, under the names that it gives to steps.

    `stands_in`: instead of a step's worker, what answers in its place: it is given the course and
    the event, and may call the real worker with another event.
    """

    tenant: Tenant
    stands_in: Mapping[str, Callable[["Course", JsonObject], JsonObject]] = field(
        default_factory=dict
    )
    known: JsonObject = field(default_factory=dict)

    def event(self, step: str) -> JsonObject:
        """The event of a step, as the state machine's `Arguments` are."""
        known = self.known
        if step == "PrepareDeployment":
            return self.tenant.begin()
        execution = self.tenant.begin()["execution"]
        ids = {"change_set_id": known.get("change_set_id"), "stack_id": known.get("stack_id")}
        stack_, build_ = known.get("stack", {}), known.get("build", {})
        given: dict[str, JsonObject] = {
            "AcquireLock": {"execution": execution},
            "CheckStack": {"rollback_continued": False},
            "AwaitBuild": {name: build_.get(name) for name in ("fingerprint", "reused")},
            "CreateChangeSet": {"template_key": build_.get("template_key")},
            "AwaitChangeSet": ids,
            "ExecuteChangeSet": ids,
            "AwaitStack": {
                "stack_id": known.get("stack_id"), "has_changes": known.get("has_changes"),
            },
            "SyncConfig": {"outputs": stack_.get("outputs"), "config": known.get("config")},
            "CreateAdmin": {"outputs": stack_.get("outputs")},
            "RunTests": {
                "fingerprint": build_.get("fingerprint"), "outputs": stack_.get("outputs"),
                "parameters": stack_.get("parameters"), "config": known.get("config"),
            },
            "ProveDeployment": {
                "build": build_, "stack": stack_, "config": known.get("config"),
                "admin": known.get("admin"), "patch": {},
            },
            "RecordSuccess": {
                "build": build_, "stack": stack_, "config": known.get("config"),
                "admin": known.get("admin"), "patch": {}, "tests": known.get("tests"),
                "change_set": {"summary": known.get("summary", {})},
            },
        }  # fmt: skip
        event = {"step": step, "deployment": known["deployment"], **given.get(step, {})}
        return event

    def real(self, step: str, event: JsonObject) -> JsonObject:
        """The worker's own answer."""
        return dict(HANDLERS[step](event, None))

    def take(self, step: str, answer: JsonObject) -> None:
        """What the state machine keeps of an answer."""
        match step:
            case "PrepareDeployment":
                self.known["deployment"] = answer
            case "StartBuild" | "AwaitBuild":
                self.known["build"] = answer
            case "AwaitStack":
                self.known["stack"] = answer
            case _:
                self.known |= answer

    def run(self, step: str) -> None:
        """One state, with its looks. Raises what the worker raises."""
        answer_of = self.stands_in.get(step, lambda course, event: course.real(step, event))
        for _ in range(LOOKS):
            answer = answer_of(self, self.event(step))
            if step == "AwaitBuild":  # keeps what it is told, at every look
                self.take(step, answer)
            if answer.get("done", True):
                self.take(step, answer)
                return
        raise TimeoutError(f"{step} did not come to an end")

    @property
    def deployment(self) -> Deployment:
        """The deployment that runs."""
        return Deployment.model_validate(self.known["deployment"])


@dataclass(frozen=True)
class End:
    """How a deployment ended. `step` and `reason`: who refused it, and why; None: it is green."""

    step: str | None = None
    reason: str = ""


def deploy(course: Course, then: Callable[[str], None] = lambda _: None) -> End:
    """Deploy; `then` is called after each step with its name."""
    course.tenant.push()
    for step in HANDLERS:
        if step == "ExecuteChangeSet" and not course.known.get("has_changes"):
            continue
        try:
            course.run(step)
        except Exception as error:  # noqa: BLE001 - every error ends it red, and is looked at
            return End(step, f"{type(error).__name__}: {error}")
        then(step)
    current = Listing(build.TABLE).current(ALPHA) or {}
    if current.get("last_good") != course.deployment.id:
        return End("RecordSuccess", "nothing was recorded")
    return End()
