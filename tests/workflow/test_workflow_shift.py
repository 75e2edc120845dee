"""The real shift.asl.json: traffic goes step by step, comes back, and every end is recorded."""

import pytest
from rehearsal import BUSY, Json, Stage, Told, answering, definition, failing

MESSAGE = "it is broken: mend it"
SET, DONE = answering(move="set", seconds=0), answering(move="done", seconds=0)
BAKE = answering(move="bake", seconds=1)
UNFORESEEN = "SomethingUnforeseen"
RETRIED_LOOKS = 3
RETRIES = 5
TOO_BUSY = [BUSY] * (RETRIES + 1)

PATH = ["PrepareShift", "CheckShift", "SetWeights", "CheckShift"]
"""A shift whose first step is set, and that is looked at."""


@pytest.fixture(scope="session")
def machine(stage: Stage) -> str:
    return stage.machine_of(definition("shift"))


def reached(step: int) -> Json:
    return answering(reached=step, bakes_until=f"until {step}", seconds=1)


def run(stage: Stage, machine: str, script: Json) -> Told:
    return stage.run(script, machine=machine)


def test_each_step_is_set_baked_and_looked_at(stage: Stage, machine: str) -> None:
    script = {
        "CheckShift": [SET, BAKE, SET, BAKE, BAKE, DONE],
        "SetWeights": [reached(1), reached(2)],
    }
    told = run(stage, machine, script)
    look = "CheckShift"
    assert told.steps == [
        "PrepareShift", look, "SetWeights", look, look, "SetWeights", look, look, look,
        "RecordShift",
    ]  # fmt: skip
    assert (told.status, told.error) == ("SUCCEEDED", None)
    assert [p["reached"] for p in told.payloads("SetWeights")] == [0, 1]
    looks = [(p["reached"], p["bakes_until"]) for p in told.payloads(look)]
    assert looks == [(0, ""), (1, "until 1"), (1, "until 1"), *[(2, "until 2")] * 3]
    (end,) = told.payloads("RecordShift")
    assert end["failure"] == end["not_restored"] == {"state": "", "error": "", "cause": ""}
    assert end["restored"] == ""


@pytest.mark.parametrize(
    ("state", "error", "before"),
    [
        ("CheckShift", "ShiftUnsafe", PATH),
        ("CheckShift", "RouteRefused", PATH),
        ("CheckShift", UNFORESEEN, PATH),
        ("SetWeights", "RouteRefused", [*PATH, "SetWeights"]),
        ("SetWeights", UNFORESEEN, [*PATH, "SetWeights"]),
    ],
)
def test_a_failure_takes_the_traffic_back_is_recorded_and_red(
    stage: Stage, machine: str, state: str, error: str, before: list[str]
) -> None:
    looks = [SET, failing(error, MESSAGE)] if state == "CheckShift" else [SET, SET]
    sets = [reached(1), failing(error, MESSAGE)]
    told = run(stage, machine, {"CheckShift": looks, "SetWeights": sets})
    assert told.steps == [*before, "RestoreWeights", "RecordShift"]
    assert (told.status, told.error) == ("FAILED", error)
    assert told.cause == f"recorded of {state}: {error}"
    (back,), (end,) = told.payloads("RestoreWeights"), told.payloads("RecordShift")
    assert back["failure"] == end["failure"]
    assert MESSAGE in end["failure"]["cause"]
    assert end["restored"] == "the weights are back"


def test_a_tenant_that_does_not_answer_is_asked_again_before_the_traffic_goes_back(
    stage: Stage, machine: str
) -> None:
    silent = failing("TenantNotReady", MESSAGE)
    told = run(stage, machine, {"CheckShift": [SET, silent, BAKE, DONE]})
    assert told.status == "SUCCEEDED"
    told = run(stage, machine, {"CheckShift": [SET, silent]})
    assert told.steps == [*PATH, *["CheckShift"] * RETRIED_LOOKS, "RestoreWeights", "RecordShift"]
    assert (told.status, told.error) == ("FAILED", "TenantNotReady")


def test_what_is_broken_before_the_first_step_gets_no_traffic(stage: Stage, machine: str) -> None:
    told = run(stage, machine, {"CheckShift": [failing("ShiftUnsafe", MESSAGE)]})
    assert told.steps == ["PrepareShift", "CheckShift", "RestoreWeights", "RecordShift"]


@pytest.mark.parametrize("state", ["CheckShift", "SetWeights"])
def test_a_route_that_was_taken_from_the_shift_is_left_as_it_is(
    stage: Stage, machine: str, state: str
) -> None:
    taken = failing("RouteTaken", "reversed by somebody")
    looks = [SET, taken] if state == "CheckShift" else [SET, SET]
    told = run(stage, machine, {"CheckShift": looks, "SetWeights": [reached(1), taken]})
    assert "RestoreWeights" not in told.steps
    assert told.steps[-2:] == [state, "RecordShift"]
    assert (told.status, told.error) == ("FAILED", "RouteTaken")


@pytest.mark.parametrize(
    "error", ["InvalidRequest", "NotFound", "Conflict", "RouteRefused", "RouteTaken", UNFORESEEN]
)
def test_a_shift_that_is_refused_touches_nothing(stage: Stage, machine: str, error: str) -> None:
    told = run(stage, machine, {"PrepareShift": [failing(error, MESSAGE)]})
    assert told.steps == ["PrepareShift", "RecordShift"]
    assert (told.status, told.error) == ("FAILED", error)
    assert MESSAGE in told.payloads("RecordShift")[0]["failure"]["cause"]


@pytest.mark.parametrize("error", ["RouteTaken", "RouteRefused", UNFORESEEN])
def test_a_way_back_that_fails_is_recorded_beside_what_went_wrong_first(
    stage: Stage, machine: str, error: str
) -> None:
    script = {
        "CheckShift": [SET, failing("ShiftUnsafe", MESSAGE)],
        "RestoreWeights": [failing(error, "and this too")],
    }
    told = run(stage, machine, script)
    assert told.steps == [*PATH, "RestoreWeights", "RecordShift"]
    assert (told.status, told.error) == ("FAILED", "ShiftUnsafe")
    (end,) = told.payloads("RecordShift")
    assert (end["failure"]["error"], end["not_restored"]["error"]) == ("ShiftUnsafe", error)
    assert "and this too" in end["not_restored"]["cause"]


def test_an_end_that_cannot_be_recorded_is_red_also_after_a_good_shift(
    stage: Stage, machine: str
) -> None:
    script = {"CheckShift": [SET, DONE], "RecordShift": [failing(UNFORESEEN, MESSAGE)]}
    told = run(stage, machine, script)
    assert (told.status, told.error) == ("FAILED", UNFORESEEN)
    assert "could not be recorded" in str(told.cause)


def test_what_was_recorded_as_reversed_is_red(stage: Stage, machine: str) -> None:
    script = {
        "CheckShift": [failing("RouteTaken", MESSAGE)],
        "RecordShift": [answering(status="REVERSED", reason="reversed by somebody")],
    }
    told = run(stage, machine, script)
    assert (told.status, told.error, told.cause) == (
        "FAILED", "RouteTaken", "reversed by somebody"
    )  # fmt: skip


@pytest.mark.parametrize("state", ["PrepareShift", "CheckShift", "SetWeights", "RecordShift"])
def test_a_busy_aws_is_asked_again(stage: Stage, machine: str, state: str) -> None:
    script: Json = {"CheckShift": [SET, DONE]}
    script[state] = [BUSY, *script.get(state, [{}])]
    told = run(stage, machine, script)
    assert told.status == "SUCCEEDED"
    assert told.steps.count(state) == (3 if state == "CheckShift" else 2)


LOOK = [*["CheckShift"] * (RETRIES + 1), "CheckShift"]
"""A look that finds AWS busy for longer than its retries, and the next one."""


def test_a_look_that_finds_aws_busy_is_no_verdict(stage: Stage, machine: str) -> None:
    looks = [SET, *TOO_BUSY, BAKE, *TOO_BUSY, DONE]
    told = run(stage, machine, {"CheckShift": looks, "SetWeights": [reached(1)]})
    assert (told.status, told.error) == ("SUCCEEDED", None)
    start = ["PrepareShift", "CheckShift", "SetWeights"]
    assert told.steps == [*start, *LOOK, *LOOK, "RecordShift"]
    assert {p["reached"] for p in told.payloads("CheckShift")[1:]} == {1}
    assert told.payloads("RecordShift")[0]["failure"]["error"] == ""


def test_a_step_that_a_busy_aws_does_not_set_is_set_after_another_look(
    stage: Stage, machine: str
) -> None:
    script = {"CheckShift": [SET, SET, DONE], "SetWeights": [*TOO_BUSY, reached(1)]}
    told = run(stage, machine, script)
    sets = ["SetWeights"] * (RETRIES + 1)
    assert told.steps == [
        "PrepareShift", "CheckShift", *sets, "CheckShift", "SetWeights", "CheckShift",
        "RecordShift",
    ]  # fmt: skip
    assert {p["reached"] for p in told.payloads("SetWeights")} == {0}
    assert told.status == "SUCCEEDED"


@pytest.mark.parametrize("state", ["CheckShift", "SetWeights"])
def test_what_aws_is_too_busy_for_until_the_deadline_gives_its_traffic_back(
    stage: Stage, state: str
) -> None:
    hasty = definition("shift")
    hasty["States"]["PrepareShift"]["Assign"]["waiting"]["until"] = "{% $millis() %}"
    told = run(stage, stage.machine_of(hasty), {"CheckShift": [SET], state: [BUSY]})
    assert (told.status, told.error) == ("FAILED", "ShiftTimedOut")
    assert told.steps[-2:] == ["RestoreWeights", "RecordShift"]
    assert told.steps.count("SetWeights") == (0 if state == "CheckShift" else RETRIES + 1)
    assert told.steps.count(state) == RETRIES + 1, "the deadline is no look's to move"
    assert "15 minutes" in told.payloads("RecordShift")[0]["failure"]["cause"]


@pytest.mark.parametrize("state", ["RestoreWeights", "RecordShift"])
def test_what_must_be_done_is_tried_for_longer(stage: Stage, machine: str, state: str) -> None:
    looks = [SET, failing("ShiftUnsafe", MESSAGE)]
    told = run(stage, machine, {"CheckShift": looks, state: [*TOO_BUSY, {}]})
    assert (told.status, told.error) == ("FAILED", "ShiftUnsafe")
    assert told.steps.count(state) == RETRIES + 2
    back = told.payloads("RecordShift")[-1]
    assert (back["restored"], back["not_restored"]["error"]) == ("the weights are back", "")
