"""A trial that another build ran is begun again; what is on trial has no say in it."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from test_worker_build_choice import at_its_tests, built, deployed, roll_back

from control_plane import aws
from control_plane.manifest import TrialTable
from control_plane.models import Deployment, Env, JsonObject, Tenant
from control_plane.settings import forget_settings
from workers import release, release_trial

OWN = Tenant(application="control-plane", env=Env.PROD, org="main")
OLD, NEW = "a" * 64, "b" * 64
TRIAL = TrialTable(directory="elsewhere")  # the new release's word, which the running one ignores


class Api:
    """The new version's API: says what it was asked, and answers by what was started."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.marks: list[str] = []
        self.started: list[tuple[str, str, JsonObject]] = []
        self.ran_on = NEW

    def push(self, _: Any, content: bytes, sha256: str, *given: Any) -> None:
        assert hashlib.sha256(content).hexdigest() == sha256
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert "application.toml" in archive.namelist()
            self.marks.append(archive.read("trial.txt").decode())
        self.sources.append(sha256)

    def call(
        self, method: str, path: str, body: JsonObject | None = None, headers: Any = None
    ) -> JsonObject:
        if method == "GET":
            ran = {"build": self.ran_on}
            return {"id": path.rpartition("/")[2], "status": "SUCCEEDED", "control_plane": ran}
        self.started.append((method, (headers or {})["Idempotency-Key"], body or {}))
        number = len(self.started)
        return {"id": f"t{number}", "execution_arn": build.arn(f"t{number}")}


@pytest.fixture
def api(world: None, monkeypatch: pytest.MonkeyPatch, script: scripted.Scripted) -> Api:
    made = Api()
    monkeypatch.setenv("APPROVAL_ENVIRONMENTS", "")
    monkeypatch.setenv("VERSION_RETENTION_DAYS", "14")
    forget_settings()
    monkeypatch.setattr(release_trial, "push", made.push)
    monkeypatch.setattr(release_trial, "_client", lambda _: made)
    script.on(aws.stepfunctions(), "DescribeExecution", {"status": "SUCCEEDED"})
    return made


def own() -> Deployment:
    described = build.deployment().manifest.model_copy(update={"trial": TRIAL})
    return build.opened(build.deployment(OWN, manifest=described))


def step(made: Deployment, name: str, **given: Any) -> JsonObject:
    event = build.event(made, name, fingerprint=NEW, outputs={"ApiUrl": "https://x"}, **given)
    return json.loads(json.dumps(release.handler(event, None)))


def test_the_trial_is_the_running_releases_own(api: Api) -> None:
    started = step(own(), "StartTrial")
    assert (started["trial"]["id"], started["trial"]["phase"]) == ("t1", "deploying")
    ((method, _, body),) = api.started
    assert (method, body["source"]) == ("POST", api.sources[0])


def test_an_attempt_that_another_build_ran_is_removed_and_made_anew(api: Api) -> None:
    """Otherwise it would find its build made and its stack as it shall be, and prove nothing."""
    made = own()
    trial = step(made, "StartTrial")["trial"]
    phases = [trial["phase"]]
    for ran_on in (OLD, OLD, NEW):
        api.ran_on = ran_on
        answer = step(made, "AwaitTrial", trial=trial)
        trial = answer["trial"]
        phases.append(trial["phase"])
        assert not answer["done"]
    assert phases == ["deploying", "clearing", "deploying", "removing"]
    assert [method for method, _, _ in api.started] == ["POST", "DELETE", "POST", "DELETE"]
    assert len({key for _, key, _ in api.started}) == 4
    assert len(set(api.sources)) == 2
    assert [body["source"] for method, _, body in api.started if method == "POST"] == api.sources
    last = step(made, "AwaitTrial", trial=trial)["trial"]
    assert (last["attempt"], last["deployed"], last["id"]) == (2, "t3", "t4")


def test_what_the_way_back_brings_is_tried_although_it_does_not_say_so(world: None) -> None:
    source = build.push_source()
    deployed(1, source, "a")
    tried = build.deployment().manifest.model_copy(update={"trial": TRIAL})
    answer = roll_back(at_its_tests(source, build=built(source, "b"), manifest=tried))
    assert Deployment.model_validate(answer["deployment"]).manifest.trial == TRIAL
