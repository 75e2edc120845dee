"""A busy AWS fails no look: whoever waits for something asks again, until its deadline."""

from concurrent.futures import Future

import pytest
from rehearsal import BUSY, Stage, Told, definition
from ways import WAY_TO, options_to

STATES = definition()["States"]
LOOKS = [
    name
    for name, state in STATES.items()
    if state["Type"] == "Task" and any("Output" in rule for rule in state["Catch"])
]
RETRIES = 5
APPROVED = "RegainSlot"  # behind an approval: the same state as AcquireSlot


@pytest.fixture(scope="module")
def busy(stage: Stage) -> dict[str, Future[Told]]:
    """An execution for each, whose AWS is busy for longer than its retries."""
    return {
        name: stage.later(
            {
                **WAY_TO.get(name, {}),
                name: [*[BUSY] * (RETRIES + 1), *WAY_TO.get(name, {}).get(name, [{}])],
            },
            **options_to(name),
        )
        for name in LOOKS
        if name != APPROVED
    }


@pytest.mark.parametrize("name", [name for name in LOOKS if name != APPROVED])
def test_a_look_that_finds_aws_busy_is_repeated(busy: dict[str, Future[Told]], name: str) -> None:
    told = busy[name].result()
    assert told.status == "SUCCEEDED", told.cause
    assert told.steps.count(name) >= RETRIES + 2


def test_a_look_that_finds_aws_busy_for_ever_meets_its_deadline(stage: Stage) -> None:
    hasty = definition()
    hasty["States"]["ExecuteChangeSet"]["Assign"]["waiting"]["until"] = "{% $millis() %}"
    told = stage.run({"AwaitStack": [BUSY]}, machine=stage.machine_of(hasty))
    assert (told.status, told.error) == ("FAILED", "StackTimedOut")


def test_the_looks_are_those_that_wait() -> None:
    waited_for = {s["Next"] for s in STATES.values() if s["Type"] == "Wait"}
    assert waited_for - set(LOOKS) == set()
