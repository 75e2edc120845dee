"""Whether the workers and the next update would work: asked of the new version's own workers."""

import json

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import TenantNotReady, TrialFailed
from control_plane.models import Deployment, JsonObject
from control_plane.rules import self_checks
from control_plane.services.client import ApiError, Client
from control_plane.settings import ReleaseSettings, settings
from workers import release_files, release_pruning

_PASSING = ("ServiceBusy", "TenantNotReady")
"""Errors of a worker after which it is asked again."""


def ask(deployment: Deployment, event: JsonObject) -> bool:
    """Ask the workers of the new version; answers whether all are content.

    Raises TrialFailed with what one of them says, and TenantNotReady while one may answer yet.
    """
    stack = deployment.tenant.stack_name
    machine = naming.state_machine_of(deployment.execution_arn)
    asked = self_checks.question(
        stack, machine, deployment.operation, event["outputs"], event["trial"]
    )
    workers = (*self_checks.LOADED, *self_checks.CHECKED)
    functions = naming.own_functions_of(machine, stack, workers)
    return all(_told(*function, asked, event["fingerprint"]) for function in functions.items())


def _told(worker: str, function: str, asked: JsonObject, fingerprint: str) -> bool:
    """What one worker answers."""
    payload = json.dumps({self_checks.KEY: asked})
    only_loads = worker in self_checks.LOADED
    try:
        answer = aws.lambda_().invoke(FunctionName=function, Payload=payload)
    except ClientError as error:
        if only_loads and aws.error_code(error) == "ResourceNotFoundException":
            return True  # going back: an earlier release has no such worker
        raise
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        if only_loads and self_checks.knows_no_question(told):
            return True  # going back: it loads
        said = told.get("errorMessage") or answer["FunctionError"]
        kind = TenantNotReady if told.get("errorType") in _PASSING else TrialFailed
        what = "a step would fail" if only_loads else "the next update would fail"
        raise kind(f"{what} in the new version's {worker} worker: {said}")
    if told["build"] != fingerprint:
        raise TenantNotReady(f"the {worker} worker that answers is of build {told['build']}")
    return bool(told["done"])


def check(asked: JsonObject) -> bool:
    """What this worker needs at the next update, but for what that would change.

    The API's own routes, the trial's files, and all that PruneVersions has to see.
    """
    if not release_files.files():
        raise TrialFailed("there is no trial in its bundle")
    client = Client(asked["api_url"], settings(ReleaseSettings).aws_region)
    for path in ("/control-plane/deployments", f"/deployments/{asked['trial_id']}"):
        try:
            client.call("GET", path)
        except ApiError as error:
            raise told(error) from error
    release_pruning.survey(asked["stack"], asked["state_machine_arn"])
    return True


def told(error: ApiError) -> Exception:
    """A refusal is an answer; silence and a fault may pass."""
    refused = 400 <= error.status < 500 and error.status != 429
    kind = TrialFailed if refused else TenantNotReady
    return kind(f"the new version's API: {error}")
