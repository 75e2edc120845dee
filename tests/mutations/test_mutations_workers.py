"""A worker that answers "done" and did nothing, or did it elsewhere, is noticed by a later step."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, change_set, event
from deployment import Course, deploy
from healthy_tenant import ADMIN, FUNCTION, OLD, Tenant, processed, template
from worker_builders import ALPHA, ARTIFACTS, BETA

from control_plane import aws, manifest
from control_plane.models import JsonObject
from control_plane.rules import proof
from control_plane.store.progress import Progress
from workers import stack_changes

StandIn = Callable[[Course, JsonObject], JsonObject]
Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Impostor:
    """What answers instead of the worker of `step`, and which later step notices, in words of its
    reason. `before`: what is so before the deployment begins."""

    name: str
    step: str
    stands_in: StandIn
    noticed_by: str
    reason: str
    before: Callable[[Tenant], Any] = lambda _: None


def _of_beta(step: str) -> StandIn:
    """The real worker, for another tenant."""

    def stand_in(course: Course, given: JsonObject) -> JsonObject:
        others = build.opened(build.deployment(BETA, 30, manifest=course.deployment.manifest))
        dumped = others.model_dump(mode="json", by_alias=True, exclude_none=True)
        execution = {"execution": build.execution_of(others)} if "execution" in given else {}
        return course.real(step, {**given, **execution, "deployment": dumped})

    return stand_in


# Plausible answers --------------------------------------------------------------------------------


def _unopened(course: Course, given: JsonObject) -> JsonObject:
    made = build.deployment(
        ALPHA, 40, manifest=manifest.parse(course.tenant.files["application.toml"])
    )
    return made.model_dump(mode="json", by_alias=True, exclude_none=True)


def _resolves_beta(course: Course, given: JsonObject) -> JsonObject:
    real = course.real("PrepareDeployment", given)
    return {**real, "tenant": BETA.model_dump(mode="json")}


def _done(course: Course, given: JsonObject) -> JsonObject:
    return {"done": True}


def _built(place: str, fingerprint: str | None = None) -> StandIn:
    """A build whose template lies at `place`."""

    def stand_in(course: Course, given: JsonObject) -> JsonObject:
        return {
            "fingerprint": fingerprint or given["fingerprint"], "source": "5" * 64, "reused": True,
            "build_id": "b:9", "template_key": f"{place}/template.yaml", "done": True,
        }  # fmt: skip

    return stand_in


def _has_template(place: str, packages: str = "") -> Callable[[Tenant], None]:
    def before(tenant: Tenant) -> None:
        body = json.dumps(template(packages or place)).replace("/c0de", "/old-c0de")
        body = body.replace("/30bed", "/old-30bed").replace("/1a4e5", "/old-1a4e5")
        aws.s3().put_object(Bucket=ARTIFACTS, Key=f"{place}/template.yaml", Body=body.encode())

    return before


def _no_change_set(course: Course, given: JsonObject) -> JsonObject:
    return {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}


def _betas_change_set(course: Course, given: JsonObject) -> JsonObject:
    body = json.dumps(processed(template(OLD))).replace("stage-alpha", "stage-beta")
    course.tenant.then = json.loads(body)
    return {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID.replace("alpha", "beta")}


def _betas_change_set_id(course: Course, given: JsonObject) -> JsonObject:
    """CloudFormation finds a change set by its ARN, whatever stack is named."""
    described = change_set("CREATE_COMPLETE") | {"StackId": STACK_ID.replace("alpha", "beta")}
    course.tenant.script.on(aws.cloudformation(), "DescribeChangeSet", described)
    return {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}


def _no_changes(course: Course, given: JsonObject) -> JsonObject:
    return {"has_changes": False, "summary": {}, "done": True}


def _unguarded(course: Course, given: JsonObject) -> JsonObject:
    return {"has_changes": True, "summary": {}, "done": True}


def _health_lies(tenant: Tenant) -> None:
    """The health path says whatever is expected of it."""
    fingerprints: list[str] = []
    whole = tenant._build

    def remembered(asked: JsonObject) -> JsonObject:
        given = {item["name"]: item["value"] for item in asked["environmentVariablesOverride"]}
        tenant.build_stamp = given["FINGERPRINT"]
        fingerprints.append(given["FINGERPRINT"])
        return whole(asked)

    tenant.script.on(aws.codebuild(), "StartBuild", remembered)


def _executes_under_another_token(course: Course, given: JsonObject) -> JsonObject:
    course.tenant.events.insert(0, event("UPDATE_COMPLETE", token="somebody-elses"))
    return {"done": True}


def _hears_at_once(tenant: Tenant) -> None:
    tenant.patch.setattr(stack_changes, "UNHEARD", timedelta(0))


def _stack(course: Course, **more: Any) -> JsonObject:
    """What AwaitStack answers, without a look."""
    found = {
        "stack_id": STACK_ID, "status": "UPDATE_COMPLETE",
        "outputs": dict(course.tenant.outputs), "parameters": dict(course.tenant.parameters),
    }  # fmt: skip
    return {**found, **more, "done": True}


def _still_busy(course: Course, given: JsonObject) -> JsonObject:
    course.tenant.status = "UPDATE_IN_PROGRESS"
    return _stack(course)


def _others_outputs(course: Course, given: JsonObject) -> JsonObject:
    pool, client = course.tenant.new_pool("beta", {"syndi:stack": BETA.stack_name})
    return _stack(course, outputs={**course.tenant.outputs, "PoolId": pool, "ClientId": client})


def _invented_output(course: Course, given: JsonObject) -> JsonObject:
    return _stack(course, outputs={**course.tenant.outputs, "More": "x"})


def _authentication_off(course: Course, given: JsonObject) -> JsonObject:
    return _stack(course, parameters={**course.tenant.parameters, "EnableAuth": "false"})


def _is_patched(tenant: Tenant) -> None:
    """Somebody put other code with the right stamp over the function."""
    _health_lies(tenant)
    tenant.frozen.add(FUNCTION)


def _same_config(course: Course, given: JsonObject) -> JsonObject:
    return {"config": given["config"], "done": True}


def _invented_config(course: Course, given: JsonObject) -> JsonObject:
    return {"config": {**given["config"], "sha256": "c" * 64}, "done": True}


def _no_config(course: Course, given: JsonObject) -> JsonObject:
    return {"config": {"overrides_version": 0}, "done": True}


def _empty_config(course: Course, given: JsonObject) -> JsonObject:
    return {"config": {}, "done": True}


def _admin(password_set: bool = True) -> JsonObject:
    admin = {"username": ADMIN, "group": "ADMINS", "secret": "", "password_set": password_set}
    return {"admin": admin, "done": True}


def _nobody(course: Course, given: JsonObject) -> JsonObject:
    return _admin()


def _creates(course: Course, pool: str) -> None:
    known = {"UserPoolId": pool, "Username": ADMIN}
    aws.cognito().admin_create_user(**known)
    aws.cognito().admin_add_user_to_group(**known, GroupName="ADMINS")


def _in_another_pool(course: Course, given: JsonObject) -> JsonObject:
    _creates(course, course.tenant.new_pool("beta", {"syndi:stack": BETA.stack_name})[0])
    return _admin()


def _without_password(course: Course, given: JsonObject) -> JsonObject:
    _creates(course, course.tenant.pool)
    return _admin(password_set=False)


def _without_group(course: Course, given: JsonObject) -> JsonObject:
    known = {"UserPoolId": course.tenant.pool, "Username": ADMIN}
    aws.cognito().admin_create_user(**known)
    aws.cognito().admin_set_user_password(**known, Password="Correct-Horse-1", Permanent=True)
    return _admin(password_set=False)


def _results(course: Course) -> list[JsonObject]:
    required = proof.required_tests(course.deployment.manifest, course.tenant.parameters)
    return [{"name": name, "status": "PASSED", "detail": "fine"} for name in required]


def _says_passed(course: Course, given: JsonObject) -> JsonObject:
    return {"tests": _results(course), "done": True}


def _records(change: Callable[[list[JsonObject]], list[JsonObject]]) -> StandIn:
    """Records results that nobody measured."""

    def stand_in(course: Course, given: JsonObject) -> JsonObject:
        found = change(_results(course))
        Progress(build.TABLE).add_facts(course.deployment, {"tests": found})
        return {"tests": found, "done": True}

    return stand_in


def _without_isolation(found: list[JsonObject]) -> list[JsonObject]:
    return [item for item in found if item["name"] not in proof.ISOLATION]


def _skips(*names: str) -> StandIn:
    """Skips these, with the reason that a tenant has which really has nothing to try."""

    def stand_in(course: Course, given: JsonObject) -> JsonObject:
        nothing = {"routes": 0, "buckets": 0}
        why = proof.skip_reasons(course.deployment, course.tenant.parameters, nothing)

        def skipped(found: list[JsonObject]) -> list[JsonObject]:
            there = [item for item in found if item["name"] not in names]
            return there + [{"name": n, "status": "SKIPPED", "detail": why[n]} for n in names]

        return _records(skipped)(course, given)

    return stand_in


def _answers_other_results(course: Course, given: JsonObject) -> JsonObject:
    real = course.real("RunTests", given)
    return {**real, "tests": [*real["tests"], {"name": "more", "status": "PASSED", "detail": ""}]}


def _proves(**changed: Any) -> StandIn:
    """A proof that was not read back, wrong in one part; None leaves the part out."""

    def stand_in(course: Course, given: JsonObject) -> JsonObject:
        facts: JsonObject = {
            "build": given["build"]["fingerprint"], "tests": [],
            "code": {"equal": [], "not_compared": []},
            "config": {"sha256": given["config"]["sha256"]}, "admin": {"username": ADMIN},
            "isolation": {"routes": 2, "buckets": 2},
        }  # fmt: skip
        facts = {k: v for k, v in {**facts, **changed}.items() if v is not None}
        Progress(build.TABLE).add_facts(course.deployment, {"proof": facts})
        return {"proof": facts, "done": True}

    return stand_in


TESTS, PROOF, SUCCESS = "RunTests", "ProveDeployment", "RecordSuccess"
BETAS, OLDS = f"{BETA.stack_name}/builds/f00", f"{OLD}/builds/0ld"

IMPOSTORS = [
    Impostor("answers another deployment", "PrepareDeployment", _unopened, "AcquireLock",
             "another execution's: this one is deployment .* of notes-stage-alpha"),
    Impostor("answers another tenant", "PrepareDeployment", _resolves_beta, "AcquireLock",
             "of notes-stage-beta, which is another tenant's"),
    Impostor("takes no lock", "AcquireLock", _done, SUCCESS, "TransactionCanceled"),
    Impostor("takes another tenant's lock", "AcquireLock", _of_beta("AcquireLock"), SUCCESS,
             "TransactionCanceled"),
    Impostor("invents a build", "AwaitBuild", _built("notes-stage-alpha/builds/none"),
             "CreateChangeSet", "packaged template s3://.*/builds/none/template.yaml is gone"),
    Impostor("gives another tenant's build", "AwaitBuild", _built(BETAS), "AwaitChangeSet", "beta",
             _has_template(BETAS)),
    Impostor("gives an older build for the new one", "AwaitBuild", _built(OLDS), TESTS,
             "expected build", _has_template(OLDS, OLD)),
    Impostor("makes no change set", "CreateChangeSet", _no_change_set, "AwaitChangeSet",
             "disappeared"),
    Impostor("makes another tenant's change set", "CreateChangeSet", _betas_change_set,
             "AwaitChangeSet", "is not that of this deployment, which is of notes-stage-alpha"),
    Impostor("gives another tenant's change set", "CreateChangeSet", _betas_change_set_id,
             "AwaitChangeSet", "change set .* is not that of this deployment"),
    Impostor("does not look at the change set", "AwaitChangeSet", _unguarded, "ExecuteChangeSet",
             "nobody looked"),
    Impostor("sees no changes", "AwaitChangeSet", _no_changes, TESTS, "expected build"),
    Impostor("sees no changes, and the health lies", "AwaitChangeSet", _no_changes, PROOF,
             "does not name the package of the build", _health_lies),
    Impostor("uploads nothing", "UploadConfig", _no_config, "SyncConfig",
             r"bucket \S+, which application.toml names for the configuration, does not exist"),
    Impostor("does not say what it uploaded", "UploadConfig", _empty_config, "SyncConfig",
             "which version of the stored overrides"),
    Impostor("executes nothing", "ExecuteChangeSet", _done, "AwaitStack", "was not executed",
             _hears_at_once),
    Impostor("executes under another token", "ExecuteChangeSet", _executes_under_another_token,
             "AwaitStack", "was not executed", _hears_at_once),
    Impostor("does not wait for the stack", "AwaitStack", _still_busy, PROOF,
             "the stack is UPDATE_IN_PROGRESS"),
    Impostor("gives another tenant's outputs", "AwaitStack", _others_outputs, "SyncConfig",
             "PoolId .*beta"),
    Impostor("invents an output", "AwaitStack", _invented_output, PROOF, "other outputs"),
    Impostor("says that authentication is off", "AwaitStack", _authentication_off, PROOF,
             "SKIPPED"),
    Impostor("leaves a patch in place", "ReconcileFunction", _done, PROOF, "Function: runs code",
             _is_patched),
    Impostor("brings no outputs", "SyncConfig", _same_config, PROOF, "at auth.pool"),
    Impostor("invents a configuration", "SyncConfig", _invented_config, TESTS,
             "expected the configuration"),
    Impostor("brings another tenant's configuration", "SyncConfig", _of_beta("SyncConfig"),
             "SyncConfig", "PoolId .*notes-stage-beta"),
    Impostor("creates nobody", "CreateAdmin", _nobody, PROOF, f"{ADMIN} is not in"),
    Impostor("creates in another tenant's pool", "CreateAdmin", _in_another_pool, PROOF,
             f"{ADMIN} is not in"),
    Impostor("creates without a password", "CreateAdmin", _without_password, PROOF,
             "FORCE_CHANGE_PASSWORD"),
    Impostor("creates outside the group", "CreateAdmin", _without_group, PROOF,
             "not in the group"),
    Impostor("says that all passed", TESTS, _says_passed, PROOF, "no tests of this deployment"),
    Impostor("tests the health only", TESTS, _records(lambda found: found[:1]), PROOF,
             "did not run"),
    Impostor("records a failure as done", TESTS,
             _records(lambda found: [*found, {"name": "x", "status": "FAILED", "detail": ""}]),
             PROOF, "the test x failed"),
    Impostor("skips", TESTS, _records(lambda found: [{**f, "status": "SKIPPED"} for f in found]),
             PROOF, "SKIPPED"),
    Impostor("leaves out isolation", TESTS, _records(_without_isolation), PROOF,
             "every-route-no-token did not run.*buckets-anonymous did not run"),
    Impostor("says that there is no closed route", TESTS,
             _skips(*(proof.route_test(token) for token in proof.TOKENS)), PROOF,
             "every-route-stranger-token is SKIPPED"),
    Impostor("says that there is no bucket", TESTS, _skips(proof.BUCKETS), PROOF,
             "buckets-anonymous is SKIPPED"),
    Impostor("answers other results than it records", TESTS, _answers_other_results, SUCCESS,
             "other results than it recorded"),
    Impostor("proves nothing", PROOF, _done, SUCCESS, "left no proof"),
    Impostor("proves another build", PROOF, _proves(build="9" * 64), SUCCESS,
             "the proof is of the build"),
    Impostor("compares no code", PROOF, _proves(code="fine"), SUCCESS, "no code was compared"),
    Impostor("leaves a part out", PROOF, _proves(config=None), SUCCESS, "no part 'config'"),
    Impostor("does not look what had to be tried", PROOF, _proves(isolation={}), SUCCESS,
             "does not say how many routes"),
    Impostor("finds no bucket to try", PROOF, _proves(isolation={"routes": 2, "buckets": 0}),
             SUCCESS, "the configuration lies in one"),
    Impostor("proves another configuration", PROOF, _proves(config={"sha256": "c" * 64}), SUCCESS,
             "not the one that was uploaded"),
    Impostor("proves another administrator", PROOF, _proves(admin={"username": "x@y.z"}), SUCCESS,
             "was not looked at"),
]  # fmt: skip


@pytest.mark.parametrize("one", IMPOSTORS, ids=lambda one: f"{one.step} {one.name}")
def test_a_worker_that_does_not_do_its_work_is_noticed(
    tenant: Tenant, one: Impostor, record_property: Record
) -> None:
    record_property("mutation", f"{one.step} {one.name}")
    record_property("kind", "worker")
    one.before(tenant)
    end = deploy(Course(tenant, {one.step: one.stands_in}))
    record_property("step", end.step or "GREEN")
    record_property("reason", end.reason)
    assert end.step is not None, f"{one.step} {one.name}: ended green"
    assert end.step == one.noticed_by, end
    assert re.search(one.reason, end.reason), end


@dataclass(frozen=True)
class Unnoticed:
    """A worker that does nothing, which no later step notices, and why that is so."""

    name: str
    step: str
    stands_in: StandIn
    why: str


def _other_build(course: Course, given: JsonObject) -> JsonObject:
    return {"fingerprint": "9" * 64, "reused": True, "done": True}


UNNOTICED = [
    Unnoticed("takes no slot", "AcquireSlot", _done,
              "the limit of deployments at once is exceeded by one"),
    Unnoticed("does not look at the stack", "CheckStack", lambda *_: {"action": "update"},
              "CreateChangeSet looks again, and decides"),
    Unnoticed("names another build", "StartBuild", _other_build,
              "AwaitBuild finds no such build, and starts the one that is needed"),
    Unnoticed("puts nothing back", "ReconcileFunction", _done,
              "nothing was patched; where something was, the proof notices"),
]  # fmt: skip


@pytest.mark.parametrize("one", UNNOTICED, ids=lambda one: f"{one.step} {one.name}")
def test_what_nobody_notices_is_listed_with_the_reason(
    tenant: Tenant, one: Unnoticed, record_property: Record
) -> None:
    record_property("mutation", f"{one.step} {one.name}")
    record_property("kind", "worker that is not noticed")
    end = deploy(Course(tenant, {one.step: one.stands_in}))
    record_property("step", end.step or "GREEN")
    record_property("reason", one.why)
    assert end.step is None, end
