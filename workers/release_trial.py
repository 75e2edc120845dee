"""The trial of a new version: started and followed through its API, as an operator would do it."""

from typing import Any

from control_plane import aws
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.own import TRIAL_APPLICATION
from control_plane.reasons import plain, shortened
from control_plane.rules import trials
from control_plane.rules.trials import Execution, Move, Phase
from control_plane.services.client import ApiError, Client, push, push_to
from control_plane.settings import ReleaseSettings, settings
from control_plane.store.progress import Progress
from workers import release_check, release_files
from workers.step import Outcome

ADMINISTRATOR = "trial@tests.invalid"
"""Below `.invalid` (RFC 2606): no message can ever reach anybody."""


def start_trial(deployment: Deployment, event: JsonObject) -> Outcome:
    """Have the new version deploy the trial. Raises TrialFailed, and TenantNotReady while its API
    does not answer."""
    known = settings(ReleaseSettings)
    tenant = trials.tenant_of(
        deployment.tenant, known.approval_environments, rolling_back=deployment.rolling_back
    )
    trial = {"env": tenant.env, "org": tenant.org, "attempt": 1}
    started = _deploy(deployment, event, tenant, attempt=1)
    return Outcome({"trial": {**trial, **started}}, f"{tenant.stack_name}: {started['id']}")


def await_trial(deployment: Deployment, event: JsonObject) -> Outcome:
    """Follow the trial to its end: deployed and removed, by the build that is on trial.

    Then the new version is asked whether it could bring the next one. Raises TrialFailed, and
    TenantNotReady while the API or a worker does not answer.
    """
    trial = event["trial"]
    if trial["phase"] == Phase.CHECKING:
        return _checked(deployment, event)
    tenant = Tenant(application=TRIAL_APPLICATION, env=trial["env"], org=trial["org"])
    execution = _execution(trial["execution_arn"])  # first: its record ends before it does
    record = _call(event, "GET", f"/deployments/{trial['id']}")
    judgement = trials.judge(Phase(trial["phase"]), record, execution, event["fingerprint"])
    match judgement.move:
        case Move.WAIT:
            return Outcome({"trial": trial}, judgement.reason, done=False)
        case Move.DEPLOY_AGAIN:
            attempt = trial["attempt"] + 1
            started = _deploy(deployment, event, tenant, attempt)
            again = {**trial, **started, "attempt": attempt}
            return Outcome({"trial": again}, judgement.reason, done=False)
        case Move.CLEAR:
            started = _remove(deployment, event, tenant, trial["attempt"], Phase.CLEARING)
            return Outcome({"trial": {**trial, **started}}, judgement.reason, done=False)
        case Move.REMOVE:
            started = _remove(deployment, event, tenant, trial["attempt"], Phase.REMOVING)
            removing = {**trial, **started, "deployed": trial["id"]}
            return Outcome({"trial": removing}, judgement.reason, done=False)
        case Move.DONE:
            proven = {"phase": Phase.CHECKING, "ran_on": record["control_plane"]}
            return Outcome({"trial": {**trial, **proven}}, judgement.reason, done=False)


def _checked(deployment: Deployment, event: JsonObject) -> Outcome:
    """The last part: all workers that only an update needs are content."""
    trial, build = event["trial"], event["fingerprint"][:12]
    if not release_check.ask(deployment, event):
        return Outcome({"trial": trial}, f"{build} looks whether it could be updated", done=False)
    facts = {"deployed": trial["deployed"], "removed": trial["id"], "attempts": trial["attempt"]}
    facts |= {"ran_on": trial["ran_on"], "could_be_updated": True}
    Progress(settings(ReleaseSettings).table_name).add_facts(deployment, {"trial": facts})
    return Outcome({"trial": trial}, f"deployed and removed by {build}, which could be updated")


def _deploy(
    deployment: Deployment, event: JsonObject, tenant: Tenant, attempt: int
) -> dict[str, Any]:
    content, sha256 = trials.source_of(release_files.files(), f"{deployment.operation} {attempt}")
    try:
        _push(_client(event), content, sha256, tenant)
    except ApiError as error:
        raise release_check.told(error) from error
    body = {
        "application": tenant.application,
        "source": sha256,
        "admin_username": ADMINISTRATOR,
        "rollback_on_failure": False,
    }
    key = f"{deployment.operation}-trial-{attempt}"
    path = f"/envs/{tenant.env}/orgs/{tenant.org}/deployments"
    record = _call(event, "POST", path, body, key)
    return _started(Phase.DEPLOYING, record)


def _push(client: Client, content: bytes, sha256: str, tenant: Tenant) -> None:
    try:
        push(client, content, sha256, tenant.application, [tenant.env])
    except ApiError as error:
        # API Gateway's answer for a route that an API does not have: that of an earlier release,
        # which is what a rollback of the control plane tries.
        if error.status not in (403, 404):
            raise
        push_to(client, content, f"/sources/{sha256}", tenant.application, [tenant.env])


def _remove(
    deployment: Deployment, event: JsonObject, tenant: Tenant, attempt: int, phase: Phase
) -> dict[str, Any]:
    body = {"application": tenant.application, "confirm": tenant.stack_name, "purge": True}
    key = f"{deployment.operation}-{phase}-{attempt}"
    record = _call(event, "DELETE", f"/envs/{tenant.env}/orgs/{tenant.org}", body, key)
    return _started(phase, record)


def _started(phase: Phase, record: JsonObject) -> dict[str, Any]:
    return {"phase": phase, "id": record["id"], "execution_arn": record["execution_arn"]}


def _execution(arn: str) -> Execution:
    states = aws.stepfunctions()
    try:
        found = states.describe_execution(executionArn=arn)
    except states.exceptions.ExecutionDoesNotExist:
        return Execution("NOT_STARTED")
    told = " ".join((found.get("error", ""), plain(found.get("cause", "")))).strip()
    return Execution(found["status"], shortened(told))


def _call(
    event: JsonObject, method: str, path: str, body: JsonObject | None = None, key: str = ""
) -> JsonObject:
    headers = {"Idempotency-Key": key} if key else None
    try:
        return _client(event).call(method, path, body, headers)
    except ApiError as error:
        raise release_check.told(error) from error


def _client(event: JsonObject) -> Client:
    return Client(event["outputs"]["ApiUrl"], settings(ReleaseSettings).aws_region)
