"""Words of one execution's end, in every order and number: the first end stays, once and whole."""

import itertools

import pytest
import worker_builders as build
from record_calls import BARE, BY_HAND, end, fail, prepare
from worker_builders import ALPHA, TABLE, arn

from control_plane.models import Deployment, StepStatus
from control_plane.store.history import History
from control_plane.store.progress import Progress

WORDS = {
    "the state machine's own": ("FAILED", lambda: fail(BARE)),
    "its cancel": ("CANCELLED", lambda: fail(BARE, "Cancelled")),
    "ABORTED": ("CANCELLED", lambda: end("ABORTED")),
    "FAILED": ("FAILED", lambda: end("FAILED")),
    "TIMED_OUT": ("TIMED_OUT", lambda: end("TIMED_OUT")),
}
"""Who tells of the end, and the status in which the record is when it is told so first."""

ORDERS = [
    *itertools.permutations(WORDS, 2),
    *((word, word) for word in WORDS),
    ("ABORTED", "ABORTED", "FAILED", "the state machine's own"),  # as the emulator does it
]


@pytest.mark.parametrize("order", ORDERS, ids="-then-".join)
def test_the_first_word_of_the_end_stays(source: str, order: tuple[str, ...]) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    Progress(TABLE).begin_step(made, "AwaitStack")
    WORDS[order[0]][1]()
    first, current = build.record(made), build.current()
    assert first["status"] == WORDS[order[0]][0]
    assert first["steps"]["AwaitStack"]["status"] == "FAILED", "nothing runs on in what has ended"
    for word in order[1:]:
        WORDS[word][1]()
    assert build.record(made) == first
    assert build.current() == current
    assert (current["last_deployment"], current["last_status"]) == (made.id, first["status"])
    assert build.holder() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [("Superseded", "SUPERSEDED"), ("Cancelled", "CANCELLED"), ("StackFailed", "FAILED")],
)
def test_an_end_that_could_not_record_itself_is_recorded_as_what_it_was(
    source: str, error: str, status: str
) -> None:
    made = prepare(BARE)
    end("FAILED", error=error, cause="why")
    found = build.record(made)
    assert (found["status"], found["error"]) == (status, error)


def succeeded(number: int) -> Deployment:
    """A newer deployment of the tenant, through with success."""
    newer = build.opened(build.deployment(number=number))
    build.take_lock(newer)
    state = {"last_good": newer.id, "last_deployment": newer.id, "last_status": "SUCCEEDED"}
    History(TABLE).succeed(ALPHA, newer.id, newer.execution_arn, {}, state)
    return newer


def test_a_word_that_comes_late_is_not_the_tenants_last_state(source: str) -> None:
    made = prepare(BARE)
    newer = succeeded(number=30)
    end("ABORTED")
    assert build.record(made)["status"] == "CANCELLED"
    assert build.current()["last_deployment"] == newer.id
    assert build.current()["last_status"] == "SUCCEEDED"


def test_the_end_says_what_runs_on(source: str) -> None:
    made = prepare(BARE)
    Progress(TABLE).begin_step(made, "ExecuteChangeSet")
    Progress(TABLE).end_step(made, "ExecuteChangeSet", StepStatus.SUCCEEDED, "")
    end("ABORTED", cause="by hand")
    assert build.record(made)["reason"] == (
        "the execution ended ABORTED: by hand; "
        "the stack's operation goes on, and the next deployment waits for it"
    )
    assert made.execution_arn == arn(BY_HAND)
