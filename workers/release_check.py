"""Whether the next update would work: asked of the new version's workers, and answered by them."""

import json

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
    functions = naming.own_functions_of(machine, stack, self_checks.WORKERS)
    return all(_told(*function, asked, event["fingerprint"]) for function in functions.items())


def _told(worker: str, function: str, asked: JsonObject, fingerprint: str) -> bool:
    """What one worker answers."""
    payload = json.dumps({self_checks.KEY: asked})
    answer = aws.lambda_().invoke(FunctionName=function, Payload=payload)
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        said = told.get("errorMessage") or answer["FunctionError"]
        kind = TenantNotReady if told.get("errorType") in _PASSING else TrialFailed
        raise kind(f"the next update would fail in the new version's {worker} worker: {said}")
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
