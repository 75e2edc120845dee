"""Where an execution comes from, and what one that was started by hand may do. Pure."""

from control_plane.errors import InvalidRequest
from control_plane.events import STARTED_BY, ExecutionInput, Trigger
from control_plane.models import JsonObject, Mode
from control_plane.rollout_models import Rollout, RolloutStatus


def child_input(rollout: Rollout, org: str, previous: str | None, driver: str) -> JsonObject:
    """The input of the deployment of one of a rollout's tenants.

    `previous`: the deployment that a tenant is rolled back to; `driver`: the rollout's execution.
    """
    given: JsonObject = {
        "application": rollout.application,
        "env": rollout.env,
        "org": org,
        "mode": rollout.mode,
        "priority": rollout.priority,
        "trigger": Trigger.ROLLOUT,
        "rollout": rollout.id,
        STARTED_BY: driver,
    }
    if rollout.status == RolloutStatus.ROLLING_BACK:
        return {**given, "mode": Mode.ROLLBACK, "to": previous}
    return {**given, "source": rollout.source} if rollout.mode == Mode.FULL else given


def by_hand(request: ExecutionInput) -> ExecutionInput:
    """A request without what its input says of its origin: nobody has proved that.

    Raises InvalidRequest for a secret: it is read with the control plane's permissions.
    """
    if request.admin_secret_arn is not None:
        raise InvalidRequest.of(
            "admin_secret_arn",
            "belongs to the deployment that the API made it for: leave it out, or give a password "
            "through the API ('syndi deploy ENV ORG --admin-username …')",
        )
    unproven = {"requested_by": None, "retry_of": None, "rollout": None, "started_by": None}
    return request.model_copy(update={**unproven, "trigger": Trigger.MANUAL})


def check_by_hand(env: str, accepted: str, what: str, instead: str) -> None:
    """Raise InvalidRequest where an environment accepts no execution that is started by hand.

    `accepted`: the environments that do, with commas between (the installation's parameter).
    `what` was started, and `instead` is the command that starts it properly.
    """
    if env in accepted.split(","):
        return
    where = ", ".join(filter(None, accepted.split(","))) or "no environment"
    raise InvalidRequest.of(
        "env",
        f"{env} accepts no {what} that was started by hand (this control plane accepts them in "
        f"{where}): start it through the API, such as '{instead}', or change the installation: "
        "'syndi install --manual-start-in ENVIRONMENTS'",
    )


def check_mode_by_hand(request: ExecutionInput) -> None:
    """Raise InvalidRequest for a removal that was started by hand, wherever it is."""
    if request.mode == Mode.OFFBOARD:
        raise InvalidRequest.of(
            "mode",
            "offboard is never started by hand, because nobody would know who asked for it: "
            f"'syndi offboard {request.env} {request.org}'",
        )
