"""The last part of a trial: the new version's workers say whether they could bring the next one."""

import io
import json

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from test_worker_release_trial_again import NEW, OLD, OWN, Api, api, own, step

from control_plane import aws
from control_plane.errors import TenantNotReady, TrialFailed
from control_plane.models import JsonObject
from control_plane.rules import self_checks

__all__ = ["api"]

CHECKING = {
    "env": "dev", "org": "prod-main", "attempt": 1, "phase": "checking", "id": "t2",
    "deployed": "t1", "execution_arn": build.arn("t2"), "ran_on": {"build": NEW},
}  # fmt: skip


class Workers:
    """The functions of the new version, by their names: each gives its last answer again."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.asked: list[tuple[str, JsonObject]] = []
        self.answers: dict[str, list[JsonObject]] = {}
        script.on(aws.lambda_(), "Invoke", self._answer)

    def _answer(self, given: JsonObject) -> JsonObject:
        here = f"arn:aws:lambda:{build.REGION}:{build.ACCOUNT}:function:{OWN.stack_name}-"
        name, _, alias = given["FunctionName"].removeprefix(here).partition(":")
        assert alias == "live"
        self.asked.append((name, json.loads(given["Payload"])["self_check"]))
        left = self.answers.get(name, [{"done": True, "build": NEW}])
        told = left.pop(0) if len(left) > 1 else left[0]
        if "missing" in told:
            return scripted.failure("ResourceNotFoundException", "Function not found")
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in told else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(told).encode()), **failed}


@pytest.fixture
def workers(api: Api, script: scripted.Scripted) -> Workers:
    return Workers(script)


def test_it_is_proven_when_all_its_workers_could_bring_the_next_one(workers: Workers) -> None:
    workers.answers["stack"] = [{"done": False, "build": NEW}, {"done": True, "build": NEW}]
    made = own()
    waiting = step(made, "AwaitTrial", trial=CHECKING)
    assert (waiting["done"], waiting["trial"]) == (False, CHECKING)
    assert "trial" not in build.record(made)
    assert step(made, "AwaitTrial", trial=CHECKING)["done"]
    told = build.record(made)["trial"]
    assert (told["deployed"], told["removed"], told["could_be_updated"]) == ("t1", "t2", True)
    assert [name for name, _ in workers.asked] == [*self_checks.LOADED, *self_checks.CHECKED] * 2
    assert workers.asked[0][1] == {
        "stack": OWN.stack_name,
        "state_machine_arn": build.MACHINE,
        "operation": made.operation,
        "api_url": "https://x",
        "trial_id": "t1",
    }


@pytest.mark.parametrize("name", ["verify", "release", "stack", "rollout", "route"])
@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"errorMessage": "No module named 'x'", "errorType": "Runtime.ImportModuleError"},
         TrialFailed),
        ({"errorMessage": "Worker init failed: No module named 'x'", "errorType": "Exception"},
         TrialFailed),
        ({"errorMessage": "'SOME_VARIABLE'", "errorType": "KeyError"}, TrialFailed),
        ({"errorMessage": "Task timed out after 60.00 seconds"}, TrialFailed),
        ({"errorMessage": "AWS is busy", "errorType": "ServiceBusy"}, TenantNotReady),
        ({"done": True, "build": OLD}, TenantNotReady),
    ],
)  # fmt: skip
def test_a_worker_that_could_not_bring_the_next_one_fails_the_trial(
    workers: Workers, name: str, told: JsonObject, error: type[Exception]
) -> None:
    workers.answers[name] = [told]
    with pytest.raises(error, match=f"{name} worker"):
        step(own(), "AwaitTrial", trial=CHECKING)


KNOWS_NO_QUESTION: list[JsonObject] = [
    {"errorMessage": "'detail'", "errorType": "KeyError"},
    {"errorMessage": "'step'", "errorType": "KeyError"},
    {"missing": True},
]
"""What an earlier release's worker answers; there may have been none."""


@pytest.mark.parametrize("told", KNOWS_NO_QUESTION)
def test_a_release_before_its_workers_were_asked_can_be_gone_back_to(
    workers: Workers, told: JsonObject
) -> None:
    workers.answers = {name: [told] for name in self_checks.LOADED}
    assert step(own(), "AwaitTrial", trial=CHECKING)["done"]


@pytest.mark.parametrize("told", KNOWS_NO_QUESTION)
def test_what_the_next_update_needs_has_to_know_its_question(
    workers: Workers, told: JsonObject
) -> None:
    workers.answers["release"] = [told]
    with pytest.raises((TrialFailed, ClientError)):
        step(own(), "AwaitTrial", trial=CHECKING)
