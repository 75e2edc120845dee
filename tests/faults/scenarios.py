"""For each Task state of the state machines: a small AWS in which its step has something to do.

A scenario is named as its state. It prepares the world and gives what the state machine would call.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import codebuild_answers
import config_calls
import function_calls
import new_version
import offboard_calls
import old_versions
import pytest
import record_calls
import rollout_calls
import route_calls
import scripted_aws as scripted
import test_worker_build_choice as choice
import test_worker_verify_proof as proof
import worker_builders as build
from cloudformation_answers import CHANGE_SET_ID, STACK_ID, looked_at, upload_template
from fake_tenant import PRINT, URL, FakeTenant
from injection import as_aws
from joserfc import jwk
from moto import mock_aws
from moto.utilities.utils import load_resource
from pool_builders import new_pool, owns
from stateful_stack import Stack
from verify_calls import ON, Pools
from worker_builders import ALPHA, TABLE

from control_plane import aws, manifest
from control_plane.models import Deployment, JsonObject
from control_plane.settings import forget_settings
from control_plane.store.progress import Progress
from control_plane.store.slots import Slots
from workers import admin, config, offboard, record, release, rollout, route, stack, verify
from workers import build as building
from workers import code as coding

Handler = Callable[[Any, object], Any]
IDS = {"change_set_id": CHANGE_SET_ID, "stack_id": STACK_ID}
ADMIN = "admin@example.com"


@dataclass
class Case:
    """What a state calls: a worker and its event. `made`: the deployment, if it is about one.

    `shown`: what else is there after the step; `stopped`: the end of its execution by hand, which
    gives what is wrong afterwards (`swept`: no event tells of it, and its worker sweeps instead).
    `restarted`: what becomes of the rest of AWS when a laptop's restarts.
    """

    handler: Handler
    event: JsonObject
    made: Deployment | None = None
    shown: Callable[[], Any] = dict
    stopped: Callable[[bool], list[str]] | None = None
    restarted: Callable[[], None] = lambda: None


@dataclass
class World:
    """moto's AWS, with what moto cannot do scripted."""

    patch: pytest.MonkeyPatch
    script: scripted.Scripted = field(default_factory=scripted.Scripted)

    def step(self, made: Deployment, handler: Handler, name: str, **given: Any) -> Case:
        """A step of a deployment that has its tenant and a slot."""
        build.take_lock(made)
        Slots(TABLE, 1).take(made)
        return Case(handler, build.event(made, name, **given), made)


_KEY = jwk.RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))


@contextmanager
def world() -> Iterator[World]:
    """An AWS with the table, the artifact bucket and the state machines."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in build.ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("DEPLOYMENT_SLOTS", "1")
        patch.setattr(aws, "of_tenant", lambda _: scripted.SameClients())
        forget_settings()
        patch.setattr(jwk.RSAKey, "import_key", lambda _: _KEY)
        # The same ids in every run: what is computed from one can be compared, too.
        salts = count()
        patch.setattr(
            "control_plane.naming.secrets.token_bytes",
            lambda n: bytes(n - 1) + bytes([next(salts)]),
        )
        made = World(patch)
        build.create_table()
        aws.s3().create_bucket(Bucket=build.ARTIFACTS)
        for machine in ("syndi-deployment", "syndi-rollout"):
            aws.stepfunctions().create_state_machine(
                name=machine, definition="{}", roleArn=build.ROLE
            )
        made.script.on(aws.events(), "PutEvents", {"FailedEntryCount": 0, "Entries": []})
        try:
            yield made
        finally:
            made.script.forget()
            forget_settings()


Scenario = Callable[[World], Case]
SCENARIOS: dict[str, Scenario] = {}

INTEGRATIONS = {"ContinueRollout", "StartDeployment"}
"""Tasks that call an AWS service without a worker: Step Functions itself retries their calls."""


def scenario(make: Scenario) -> Scenario:
    """Register a scenario under its own name, in the words of the state machine."""
    SCENARIOS[make.__name__] = make
    return make


def _opened(**options: Any) -> Deployment:
    return build.opened(build.deployment(**options))


# Records, lock, slot ------------------------------------------------------------------------------


@scenario
def PrepareDeployment(w: World) -> Case:
    build.push_source()
    event = {"step": "PrepareDeployment", "execution": record_calls.execution(record_calls.BARE)}
    return Case(record.handler, event)


@scenario
def AcquireLock(w: World) -> Case:
    made = _opened()
    return Case(record.handler, build.event(made, "AcquireLock"), made)


@scenario
def AcquireSlot(w: World) -> Case:
    made = _opened()
    build.take_lock(made)
    return Case(record.handler, build.event(made, "AcquireSlot"), made)


@scenario
def RegainSlot(w: World) -> Case:
    made = _opened()
    build.take_lock(made)
    return Case(record.handler, build.event(made, "RegainSlot"), made)


@scenario
def AwaitApproval(w: World) -> Case:
    return w.step(_opened(approval=True), record.handler, "AwaitApproval", token="t-1")


PROOF: JsonObject = {
    "build": {"fingerprint": PRINT, "reused": False},
    "change_set": {"summary": {"added": ["Function"]}},
    "stack": {"outputs": {"Url": URL}, "parameters": ON},
    "config": {"version_id": "v1", "sha256": "c" * 64},
    "tests": [{"name": "health", "status": "PASSED"}],
    "admin": {},
    "patch": {},
}


@scenario
def RecordSuccess(w: World) -> Case:
    made = _opened()
    tests = record_calls.passed(made, ON)
    found = {
        "build": PRINT, "code": {"equal": ["Function"], "not_compared": []},
        "config": {"sha256": "c" * 64}, "admin": {"username": None},
        "isolation": {"routes": 2, "buckets": 1},
    }  # fmt: skip
    Progress(TABLE).add_facts(made, {"tests": tests, "proof": found})
    return w.step(made, record.handler, "RecordSuccess", **{**PROOF, "tests": tests})


@scenario
def RecordDryRun(w: World) -> Case:
    given = {name: PROOF[name] for name in ("build", "change_set")} | {"config_changes": {}}
    return w.step(_opened(dry_run=True), record.handler, "RecordDryRun", **given)


@scenario
def RecordOffboarding(w: World) -> Case:
    given = {"leftovers": {"items": []}, "exported": {}}
    return w.step(_opened(mode="offboard"), record.handler, "RecordOffboarding", **given)


@scenario
def RecordDrift(w: World) -> Case:
    kinds = {kind: {"findings": []} for kind in ("stack", "function", "config")}
    return w.step(_opened(mode="drift"), record.handler, "RecordDrift", drift=kinds)


@scenario
def RecordFailure(w: World) -> Case:
    case = w.step(_opened(), record.handler, "RecordFailure")
    assert case.made
    failure = {"state": "AwaitStack", "error": "StackFailed", "cause": "it is broken"}
    rollback = record_calls.NO_ROLLBACK
    case.event = {
        "step": "RecordFailure", "execution": execution_of(case.made), "failure": failure,
        "rollback": rollback,
    }  # fmt: skip
    return case


def execution_of(made: Deployment) -> JsonObject:
    """The execution of a deployment, as the context object has it."""
    tenant = made.tenant
    given = {"env": tenant.env, "org": tenant.org, "application": tenant.application}
    return {
        "Id": made.execution_arn, "StartTime": made.started_at.isoformat(), "Input": given,
    }  # fmt: skip


# The stack ----------------------------------------------------------------------------------------


def _with_stack(w: World, status: str | None, name: str, **given: Any) -> tuple[Case, Stack]:
    options = given.pop("options", {})
    cloud = Stack(w.script, status)
    case = w.step(_opened(**options), stack.handler, name, **given)
    case.shown, case.restarted = cloud.shown, cloud.restarts
    return case, cloud


@scenario
def CheckStack(w: World) -> Case:
    return _with_stack(w, "UPDATE_COMPLETE", "CheckStack", rollback_continued=False)[0]


@scenario
def ContinueRollback(w: World) -> Case:
    return _with_stack(w, "UPDATE_ROLLBACK_FAILED", "ContinueRollback")[0]


@scenario
def DeleteFailedStack(w: World) -> Case:
    return _with_stack(w, "ROLLBACK_COMPLETE", "DeleteFailedStack")[0]


@scenario
def AwaitDeletion(w: World) -> Case:
    return _with_stack(w, "DELETE_COMPLETE", "AwaitDeletion", stack_id=STACK_ID)[0]


@scenario
def CreateChangeSet(w: World) -> Case:
    key = upload_template()
    return _with_stack(w, "UPDATE_COMPLETE", "CreateChangeSet", template_key=key)[0]


@scenario
def AwaitChangeSet(w: World) -> Case:
    case, cloud = _with_stack(w, "UPDATE_COMPLETE", "AwaitChangeSet", **IDS)
    cloud.has_change_set()
    return case


@scenario
def ExecuteChangeSet(w: World) -> Case:
    case, cloud = _with_stack(w, "UPDATE_COMPLETE", "ExecuteChangeSet", **IDS)
    cloud.has_change_set()
    assert case.made
    looked_at(case.made)
    return case


@scenario
def AwaitStack(w: World) -> Case:
    case, cloud = _with_stack(w, "UPDATE_COMPLETE", "AwaitStack", stack_id=STACK_ID,
                              has_changes=True)  # fmt: skip
    assert case.made
    cloud.begins("UPDATE_IN_PROGRESS", case.made.operation)
    cloud.settles("UPDATE_COMPLETE", case.made.operation)
    return case


@scenario
def DiscardChangeSet(w: World) -> Case:
    case, cloud = _with_stack(w, "REVIEW_IN_PROGRESS", "DiscardChangeSet", **IDS)
    cloud.has_change_set()
    return case


OFFBOARD = {"mode": "offboard", "confirm": "notes-stage-alpha"}


@scenario
def DeleteStack(w: World) -> Case:
    case, cloud = _with_stack(w, "UPDATE_COMPLETE", "DeleteStack", options=OFFBOARD)
    cloud.is_protected = True
    return case


@scenario
def AwaitRemoval(w: World) -> Case:
    given = {"stack_id": STACK_ID, "options": OFFBOARD}
    return _with_stack(w, "DELETE_COMPLETE", "AwaitRemoval", **given)[0]


@scenario
def DetectDrift(w: World) -> Case:
    return _with_stack(w, "UPDATE_COMPLETE", "DetectDrift", options={"mode": "drift"})[0]


@scenario
def AwaitDrift(w: World) -> Case:
    given = {"detection_id": "d-1", "options": {"mode": "drift"}}
    return _with_stack(w, "UPDATE_COMPLETE", "AwaitDrift", **given)[0]


# The build ----------------------------------------------------------------------------------------


class Builds(codebuild_answers.CodeBuild):
    """CodeBuild, where the same token is the same build (API reference, StartBuild)."""

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        for number, earlier in enumerate(self.started, 1):
            if earlier["idempotencyToken"] == asked["idempotencyToken"]:
                return {"build": self.builds[f"syndi-build:{number}"]}
        return super()._start(asked)


def _building(w: World, name: str) -> tuple[Case, Builds]:
    made, found = _opened(source=build.push_source()), Builds(w.script)
    case = w.step(made, building.handler, name)
    case.shown = lambda: {"builds": len(found.started)}
    return case, found


@scenario
def StartBuild(w: World) -> Case:
    return _building(w, "StartBuild")[0]


@scenario
def AwaitBuild(w: World) -> Case:
    case, found = _building(w, "AwaitBuild")
    assert case.made
    started = codebuild_answers.start(case.made)
    found.ends()
    case.event |= {name: started[name] for name in ("fingerprint", "reused")}
    return case


@scenario
def FindBuild(w: World) -> Case:
    source = build.push_source()
    choice.deployed(1, source, "a")
    made = _opened(number=9, source=source, mode="deploy-only")
    return w.step(made, building.handler, "FindBuild")


@scenario
def RollBack(w: World) -> Case:
    source = build.push_source()
    choice.deployed(1, source, "a")
    made = _opened(number=9, source=source)
    Progress(TABLE).add_facts(made, {"build": choice.built(source, "b")})
    return w.step(made, building.handler, "RollBack")


# Configuration, code, administrator, tests --------------------------------------------------------


def _configuring(w: World, name: str, **given: Any) -> Case:
    config_calls.accept_policies(w.script)
    made = _opened(number=9, source=build.push_source())
    return w.step(made, config.handler, name, **given)


@scenario
def UploadConfig(w: World) -> Case:
    return _configuring(w, "UploadConfig")


def _configured(w: World, name: str, **given: Any) -> Case:
    """With a configuration that an earlier deployment uploaded, and that is another one now."""
    config_calls.accept_policies(w.script)
    source = build.push_source()
    before = _opened(source=source)
    receipt = config_calls.upload(before)["config"]
    config_calls.succeed(before, config=receipt, last_good=before.id, config_source=source)
    if name == "RestoreConfig":
        aws.s3().put_object(Bucket=config_calls.BUCKET, Key="config.json", Body=b"{}")
    made = _opened(number=9, source=source)
    return w.step(made, config.handler, name, **given)


@scenario
def SyncConfig(w: World) -> Case:
    given = {"outputs": {"PoolId": "p", "Url": URL}, "config": {"overrides_version": 0}}
    owns(w.script, ("AWS::Cognito::UserPool", "p"), ("AWS::ApiGateway::RestApi", "abc123"))
    return _configured(w, "SyncConfig", **given)


@scenario
def RestoreConfig(w: World) -> Case:
    return _configured(w, "RestoreConfig")


@scenario
def PreviewConfig(w: World) -> Case:
    return _configured(w, "PreviewConfig")


@scenario
def CheckConfig(w: World) -> Case:
    return _configured(w, "CheckConfig")


class Function(function_calls.Function):
    """A function that takes its new code between two looks, and no other until then."""

    def __init__(self, script: scripted.Scripted) -> None:
        super().__init__(script)
        script.on(aws.lambda_(), "GetFunctionConfiguration", self._looked_at)

    def _looked_at(self, asked: JsonObject) -> JsonObject:
        seen = dict(self.state)
        self.settles()
        return seen

    def _update(self, asked: JsonObject) -> JsonObject:
        if self.state["LastUpdateStatus"] == "InProgress":
            return scripted.failure("ResourceConflictException", "An update is in progress")
        return super()._update(asked)


def _coding(w: World, name: str) -> Case:
    found = Function(w.script)
    source = build.push_source(function_calls.FILES)
    function_calls.deployed(source)
    if name == "PatchFunction":
        source = build.push_source({**function_calls.FILES, "code/main.py": "2"})
    else:
        found.state["CodeSha256"] = "another"
    made = _opened(number=9, source=source, manifest=function_calls_manifest())
    case = w.step(made, coding.handler, name)
    case.shown = lambda: {"code": found.state["CodeSha256"]}
    return case


def function_calls_manifest() -> Any:
    """The manifest of the source with a package."""
    return manifest.parse(function_calls.MANIFEST)


@scenario
def ReconcileFunction(w: World) -> Case:
    return _coding(w, "ReconcileFunction")


@scenario
def PatchFunction(w: World) -> Case:
    return _coding(w, "PatchFunction")


@scenario
def CheckFunction(w: World) -> Case:
    return _coding(w, "CheckFunction")


@scenario
def CreateAdmin(w: World) -> Case:
    pool, client = new_pool()
    owns(w.script, ("AWS::Cognito::UserPool", pool))
    made = _opened(admin_username=ADMIN)
    case = w.step(made, admin.handler, "CreateAdmin", outputs={"PoolId": pool})

    def signs_in() -> bool:
        """With the password that is kept for whoever looks it up."""
        name = f"syndi/notes-stage-alpha/admin/{ADMIN}"
        kept = aws.secretsmanager().get_secret_value(SecretId=name)["SecretString"]
        answer = aws.cognito().admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": ADMIN, "PASSWORD": json.loads(kept)["password"]},
        )
        return "AuthenticationResult" in answer

    case.shown = lambda: {"signs in": signs_in()}
    return case


@scenario
def RunTests(w: World) -> Case:
    pools = Pools(w.script)
    w.patch.setenv("STRANGER_POOL_ID", pools.stranger)
    w.patch.setenv("STRANGER_CLIENT_ID", pools.stranger_client)
    forget_settings()
    w.patch.setattr("workers.verify.get", FakeTenant(pools.pool).get)
    # What the other checks look at is in the tests of their modules.
    w.patch.setattr("workers.verify.CHECKS", (verify.health, verify.authentication))
    given = {"outputs": pools.outputs(), "parameters": ON, "fingerprint": PRINT}
    case = w.step(_opened(), verify.handler, "RunTests", **given)
    case.shown = lambda: {"users": pools.users()}
    return case


@scenario
def ProveDeployment(w: World) -> Case:
    tenant = proof.World(w.script)
    claims = {
        "build": {
            "fingerprint": PRINT, "source": "5" * 64, "build_id": "b:1",
            "template_key": proof.TEMPLATE_KEY, "reused": False,
        },
        "stack": {"outputs": tenant.outputs, "parameters": {}}, "config": tenant.config,
        "admin": {"username": ADMIN, "password_set": True}, "patch": {},
    }  # fmt: skip
    return w.step(tenant.made, verify.handler, "ProveDeployment", **claims)


# The control plane's own release ------------------------------------------------------------------


def _trying(w: World, name: str, **given: Any) -> Case:
    version = new_version.NewVersion()

    def request(*asked: Any, **more: Any) -> new_version.Reply:
        with as_aws():  # the new version's API makes its own calls
            return version.request(*asked, **more)

    w.patch.setattr("urllib3.request", request)
    w.patch.setenv("APPLICATION_PREFIXES", "notes,syndi-trial")
    forget_settings()
    made = new_version.updating()
    event = {"fingerprint": new_version.PRINT, "outputs": {"ApiUrl": new_version.API}, **given}
    if name == "AwaitTrial":
        event["trial"] = new_version.started(made)
        version.tells(event["trial"]["id"], "RUNNING")
    return w.step(made, release.handler, name, **event)


@scenario
def StartTrial(w: World) -> Case:
    return _trying(w, "StartTrial")


@scenario
def AwaitTrial(w: World) -> Case:
    return _trying(w, "AwaitTrial")


@scenario
def PruneVersions(w: World) -> Case:
    w.patch.setattr("workers.release_pruning.utc_now", lambda: build.NOON)
    made = new_version.updating()
    plane = old_versions.Plane(w.script, build.NOON)

    def delete(asked: JsonObject) -> JsonObject:
        answer = plane._delete(asked)
        plane.gone.add((asked["FunctionName"], asked["Qualifier"]))
        return answer

    w.script.on(aws.lambda_(), "DeleteFunction", delete)
    case = w.step(made, release.handler, "PruneVersions", fingerprint=new_version.PRINT)

    def left() -> JsonObject:
        pages = aws.iam().get_paginator("list_roles").paginate(PathPrefix="/")
        roles = sorted(role["Arn"] for page in pages for role in page["Roles"])
        return {"gone": sorted(plane.gone), "roles": roles}

    case.shown = left
    return case


# Offboarding --------------------------------------------------------------------------------------


def _offboarding(w: World, name: str, **given: Any) -> Case:
    index = offboard_calls.tag_index(w.script)
    offboard_calls.make_bucket(**{"config.json": "{}", "a": "1"})
    pool = offboard_calls.make_pool()
    index.append(f"arn:aws:cognito-idp:{build.REGION}:{build.ACCOUNT}:userpool/{pool}")
    offboard_calls.deployed(pool)
    made = offboard_calls.offboarding(
        number=20, confirm="notes-stage-alpha", purge=True, export=["config", "users", "buckets"]
    )
    Stack(w.script, "DELETE_COMPLETE")
    return w.step(made, offboard.handler, name, **given)


@scenario
def ExportData(w: World) -> Case:
    return _offboarding(w, "ExportData", position={})


@scenario
def PurgeLeftovers(w: World) -> Case:
    return _offboarding(w, "PurgeLeftovers")


@scenario
def InspectLeftovers(w: World) -> Case:
    return _offboarding(w, "InspectLeftovers")


# Rollouts -----------------------------------------------------------------------------------------

ASKED = {"env": "stage", "application": "notes", "tenants": ["alpha", "beta"]}


def _rollout(w: World, event: JsonObject) -> Case:
    def stopped(swept: bool) -> list[str]:
        event = {"detail": rollout_calls.detail("ABORTED", ASKED)}
        rollout.handler({"sweep": True} if swept else event, None)
        items = [item for item in build.everything() if item["SK"]["S"] == "ROLLOUT"]
        open_ = [i for i in items if "finished_at" not in i]
        return [f"rollout {item['PK']['S']} is still open" for item in open_]

    return Case(rollout.handler, event, stopped=stopped)


def _tenants() -> None:
    source = build.push_source()
    for number, of in enumerate((ALPHA, build.BETA), 1):
        made = build.opened(build.deployment(of, number, source=source))
        config_calls.succeed(made, last_good=made.id, source=source)


@scenario
def PrepareRollout(w: World) -> Case:
    _tenants()
    event = {"step": "PrepareRollout", "execution": rollout_calls.execution(ASKED)}
    return _rollout(w, event)


@scenario
def AdvanceRollout(w: World) -> Case:
    _tenants()
    id_ = rollout_calls.prepare(ASKED)
    event = {"step": "AdvanceRollout", "rollout": id_, "execution_arn": rollout_calls.ARN}
    return _rollout(w, {**event, "spent": 10, "refused": []})


@scenario
def StopRollout(w: World) -> Case:
    _tenants()
    rollout_calls.prepare(ASKED)
    failure = {"state": "AdvanceRollout", "error": "KeyError", "cause": "x"}
    event = {"step": "StopRollout", "execution": rollout_calls.execution(ASKED)}
    return _rollout(w, {**event, "failure": failure})


# Shifts of a route --------------------------------------------------------------------------------


def _shift(w: World, event: Callable[[route_calls.Traffic, JsonObject], JsonObject],
           prepared: bool = True) -> Case:  # fmt: skip
    traffic = next(route_calls.begin(w.script, w.patch))
    route.handler({
        "ask": "set", "of": ALPHA.model_dump(mode="json"), "weights": {"alpha": 100},
        "by": route_calls.BY,
    }, None)  # fmt: skip
    traffic.running.add(route_calls.RUN)
    shift = route_calls.prepared(traffic) if prepared else {}

    def stopped(swept: bool) -> list[str]:
        traffic.running.discard(route_calls.RUN)
        detail = rollout_calls.detail("ABORTED", route_calls.execution()["Input"], route_calls.RUN)
        route.handler({"sweep": True} if swept else {"detail": detail}, None)
        wrong = ["the shift still has the route"] if "holder" in route_calls.item() else []
        if traffic.weights() != {"alpha": 100} or route_calls.item()["weights"] != {"alpha": 100}:
            wrong.append(f"the weights are {traffic.weights()}")
        return wrong

    case = Case(route.handler, event(traffic, shift), stopped=stopped)
    case.shown = lambda: {"records": traffic.records()}
    return case


@scenario
def PrepareShift(w: World) -> Case:
    event = {"step": "PrepareShift", "execution": route_calls.execution()}
    return _shift(w, lambda traffic, shift: event, prepared=False)


@scenario
def CheckShift(w: World) -> Case:
    given = {"step": "CheckShift", "reached": 0, "bakes_until": ""}
    return _shift(w, lambda traffic, shift: {**given, "shift": shift})


@scenario
def SetWeights(w: World) -> Case:
    return _shift(w, lambda traffic, shift: {"step": "SetWeights", "shift": shift, "reached": 0})


def _one_step(shift: JsonObject) -> None:
    route_calls.step("SetWeights", shift, reached=0)


@scenario
def RestoreWeights(w: World) -> Case:
    def event(traffic: route_calls.Traffic, shift: JsonObject) -> JsonObject:
        _one_step(shift)
        failure = route_calls.failure("CheckShift", "ShiftUnsafe", "it is broken")
        return {"step": "RestoreWeights", "shift": shift, "failure": failure}

    return _shift(w, event)


@scenario
def RecordShift(w: World) -> Case:
    event = {
        "step": "RecordShift", "execution": route_calls.execution(), "restored": "",
        "failure": route_calls.failure("CheckShift", "ShiftUnsafe", "it is broken"),
        "not_restored": route_calls.failure(),
    }  # fmt: skip
    return _shift(w, lambda traffic, shift: event)
