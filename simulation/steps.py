"""What each step of the deployment asks of AWS, as `workers/` do: its calls and its writes."""

from dataclasses import dataclass

from simulation import quotas as q

RECORD = 10
"""Write units of a write to a deployment's record, of some 10 KB."""

RECORD_READ = 3
"""Read units of a consistent read of a record: one for each 4 KB."""


@dataclass(frozen=True)
class Step:
    """`calls`: at every attempt, `last`: besides, when what is waited for is there.

    `records`: writes of the record in one attempt that says "not yet", `more`: besides, at the end;
    `units`: write units of other items. `timeout`: the function's, in seconds. `route`: the states
    from its failure to RecordFailure, `late`: from its choice, when it was asked for too long.
    """

    calls: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    records: int = 1
    more: int = 1
    units: int = 0
    timeout: float = 60
    route: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


STEPS = {
    # Opened (a transaction counts twice), begun, told which release runs it, ended; its listing.
    "PrepareDeployment": Step(records=3, more=2, units=2),
    "AcquireLock": Step(units=1),
    "AcquireSlot": Step(),
    "CheckStack": Step((q.DESCRIBE_STACKS, q.STACK_EVENTS)),
    "StartBuild": Step(units=3, timeout=120),
    "AwaitBuild": Step(more=2, timeout=120),
    "FindBuild": Step(more=2, timeout=120),
    "CreateChangeSet": Step((q.DESCRIBE_STACKS, q.STACK_EVENTS, q.CREATE_CHANGE_SET)),
    "AwaitChangeSet": Step((q.DESCRIBE_CHANGE_SET,), (q.DESCRIBE_CHANGE_SET,), more=2),
    # A session of the tenant role, as in each step that has one: when its function has none yet.
    "UploadConfig": Step((q.ASSUME_ROLE,), more=2, route=("RestoreConfig", "IsTrialRequired")),
    "ExecuteChangeSet": Step((q.EXECUTE_CHANGE_SET,), route=("RestoreConfig", "IsTrialRequired")),
    "AwaitStack": Step(
        (q.STACK_EVENTS,),
        (q.DESCRIBE_STACKS,),
        route=("IsTrialRequired",),
        late=("IsTrialRequired",),
    ),
    "RestoreConfig": Step((q.ASSUME_ROLE,), more=2),
    "ReconcileFunction": Step(
        (q.GET_TEMPLATE, q.STACK_RESOURCE, q.ASSUME_ROLE, q.FUNCTION_CONTROL),
        timeout=120,
        route=("IsTrialRequired",),
    ),
    "SyncConfig": Step((q.STACK_RESOURCE, q.ASSUME_ROLE), more=2, route=("IsTrialRequired",)),
    # As many functions as an application has, here one with a layer and an alias.
    "ProveDeployment": Step(
        (
            q.DESCRIBE_STACKS,
            q.STACK_RESOURCE,
            q.GET_TEMPLATE,
            q.ASSUME_ROLE,
            *3 * (q.FUNCTION_CONTROL,),
        ),
        more=2,
        timeout=290,
        route=("IsTrialRequired",),
    ),
    "RunTests": Step(
        (q.STACK_RESOURCE, q.ASSUME_ROLE), more=2, timeout=290, route=("IsTrialRequired",)
    ),
    "RollBack": Step(more=3, timeout=120),
    # The record and the tenant's current state in a transaction, the lock, the slot.
    "RecordSuccess": Step(records=2, more=1, units=8),
    "RecordFailure": Step(records=2, more=0, units=8),
}
"""The steps of an update. Those of `workers/` that no update comes to are left out."""

ASKED_AGAIN = frozenset(
    {
        "AcquireLock", "AcquireSlot", "CheckStack", "AwaitBuild", "AwaitChangeSet", "AwaitStack",
        "ReconcileFunction",
    }
)  # fmt: skip
"""The steps whose state takes a busy AWS for "not yet": they are asked again after its wait."""

MINUTES = {
    "AcquireLock": 60, "AcquireSlot": 360, "CheckStack": 60, "AwaitBuild": 30,
    "AwaitChangeSet": 15, "AwaitStack": 120, "ReconcileFunction": 15,
}  # fmt: skip
"""For how long each is asked again."""


def pause(waited: float) -> int:
    """The state machine's wait after so many seconds: a tenth of them, 1 to 30."""
    return max(1, min(30, int(waited / 10)))
