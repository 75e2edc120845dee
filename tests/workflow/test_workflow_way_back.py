"""A deployment that fails its tests goes back to the previous good build, once, and is red."""

from rehearsal import Json, Stage, Told, answering, failing
from verdicts import HAPPY

FAILED_TESTS = failing("TestsFailed", "the tenant does not work")
TO_THE_TESTS = HAPPY[: HAPPY.index("RunTests") + 1]
BACK = HAPPY[HAPPY.index("CreateChangeSet") : HAPPY.index("RunTests") + 1]


def run(stage: Stage, script: Json, **options: object) -> Told:
    return stage.run({"RunTests": [FAILED_TESTS, {}], **script}, **options)


def recorded(told: Told) -> Json:
    (payload,) = told.payloads("RecordFailure")
    return payload


def test_the_previous_build_is_deployed_and_tested_and_the_deployment_is_red(stage: Stage) -> None:
    told = run(stage, {})
    assert told.steps == [*TO_THE_TESTS, "RollBack", *BACK, "RecordFailure"]
    assert told.status == "FAILED"
    end = recorded(told)
    assert (end["failure"]["state"], end["failure"]["error"]) == ("RunTests", "TestsFailed")
    assert end["rollback"]["outcome"] == "done"
    assert told.payloads("CreateChangeSet")[1]["template_key"] == "t0"
    assert told.payloads("RunTests")[1]["fingerprint"] == "f0"
    assert [p["deployment"]["rolling_back"] for p in told.payloads("RunTests")] == [False, True]


def test_the_way_back_asks_nobody_and_creates_nobody(stage: Stage) -> None:
    told = run(stage, {}, admin_username="admin@example.com")
    assert told.steps.count("CreateAdmin") == 1
    assert told.steps.count("AwaitApproval") == 0


def test_without_a_previous_build_the_failure_says_so(stage: Stage) -> None:
    nothing = answering(available=False, done=True, deployment={}, build={})
    told = run(stage, {"RollBack": [nothing]})
    assert told.steps == [*TO_THE_TESTS, "RollBack", "RecordFailure"]
    end = recorded(told)
    assert (end["failure"]["state"], end["failure"]["error"]) == ("RunTests", "TestsFailed")
    assert end["rollback"]["outcome"] == "impossible"


def test_whoever_does_not_want_to_go_back_does_not(stage: Stage) -> None:
    told = run(stage, {}, rollback_on_failure=False)
    assert told.steps == [*TO_THE_TESTS, "RecordFailure"]
    assert recorded(told)["rollback"]["outcome"] == "none"


def test_a_way_back_that_fails_says_both(stage: Stage) -> None:
    told = run(stage, {"AwaitStack": [{}, failing("StackFailed", "stuck")]})
    end = recorded(told)
    assert (end["failure"]["state"], end["failure"]["error"]) == ("AwaitStack", "StackFailed")
    assert end["rollback"]["outcome"] == "running"
    assert end["rollback"]["failure"]["state"] == "RunTests"
    assert told.status == "FAILED"


def test_nobody_goes_back_twice(stage: Stage) -> None:
    told = run(stage, {"RunTests": [FAILED_TESTS]})
    assert told.steps.count("RollBack") == 1
    end = recorded(told)
    assert end["rollback"]["outcome"] == "running"
    assert end["rollback"]["failure"]["error"] == end["failure"]["error"] == "TestsFailed"


def test_a_way_back_that_cannot_be_found_says_both(stage: Stage) -> None:
    told = run(stage, {"RollBack": [failing("KeyError", "no such item")]})
    end = recorded(told)
    assert (end["failure"]["state"], end["failure"]["error"]) == ("RollBack", "KeyError")
    assert end["rollback"]["failure"]["state"] == "RunTests"


def test_a_patch_that_fails_its_tests_is_undone_by_the_stacks_own_code(stage: Stage) -> None:
    told = run(stage, {}, mode="function")
    way = ["PatchFunction", "RunTests", "RollBack", *BACK]
    assert told.steps == [*HAPPY[:3], *way, "RecordFailure"]
    assert recorded(told)["rollback"]["outcome"] == "done"
