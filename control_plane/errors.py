"""Every way a deployment can go wrong, by what happens next.

The class names are the error names of `state_machine.asl.json`: Lambda reports an exception by its
class name, and a Catch or Retry there matches on it. This module imports nothing, so that naming an
error costs nothing.
"""


class ControlPlaneError(Exception):
    """A failure with a message written for the operator: what is wrong and what to do."""


# The request is wrong: stop. Trying again with the same request fails again. ----------------------


class InvalidRequest(ControlPlaneError):
    """The request cannot be carried out as it stands.

    `details` names each field and the reason, for the answer of the API.
    """

    def __init__(self, message: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.details = details or []

    @classmethod
    def of(cls, field: str, reason: str) -> "InvalidRequest":
        """One wrong field: `field` is its name in the request, `reason` says what to do."""
        return cls(f"{field}: {reason}", [{"field": field, "reason": reason}])


class IdempotencyConflict(ControlPlaneError):
    """The idempotency key was used before, for another request."""


class NotFound(ControlPlaneError):
    """What the request names does not exist."""


class Conflict(ControlPlaneError):
    """What the request asks does not fit what is there: not any more, or not yet."""


# The target is bad: this deployment fails, the tenant stays as it was. ----------------------------


class StackRefused(ControlPlaneError):
    """The stack's status forbids a deployment (table A of docs/lifecycle.md)."""


class WrongTenant(ControlPlaneError):
    """A step was given another tenant, or another deployment, than its execution is of."""


class StackFailed(ControlPlaneError):
    """CloudFormation could not carry out this deployment's operation on the stack."""


class ChangeSetFailed(ControlPlaneError):
    """CloudFormation could not make a change set: usually a broken template."""


class ReplacementRefused(ControlPlaneError):
    """The change set would remove or replace a resource that holds data, or adopt another's."""


class IsolationRefused(ControlPlaneError):
    """The template would let its tenant reach another one, or others reach this one."""


class NoSuchBuild(ControlPlaneError):
    """The mode needs an earlier build of the tenant, and there is none that fits."""


class PatchRefused(ControlPlaneError):
    """The source changes more than the function's code, so `function` mode would lose the rest."""


class PatchFailed(ControlPlaneError):
    """Lambda did not take the function's code, or did not become active with it."""


class OffboardFailed(ControlPlaneError):
    """Something of the tenant could not be exported or removed."""


class BuildFailed(ControlPlaneError):
    """CodeBuild finished, and not with success."""


class ConfigInvalid(ControlPlaneError):
    """The tenant's configuration cannot be merged, or its bucket is somebody else's."""


class LiveConfigUnreadable(ControlPlaneError):
    """What lies in a tenant's bucket could not be read; nothing is said about what it is."""


class HealthUnreadable(ControlPlaneError):
    """What AWS measured of a tenant's function could not be read; nothing is said about it."""


class AdminFailed(ControlPlaneError):
    """The administrator could not be created."""


class TestsFailed(ControlPlaneError):
    """The live tenant does not do what a deployed tenant must."""

    __test__ = False  # pytest would take a class of this name for tests


class OutputRefused(ControlPlaneError):
    """An output of the stack names something that is not the stack's own."""


class ProofIncomplete(ControlPlaneError):
    """The deployment seems to be through, but it is not proven: a part of the proof is missing."""


class TrialFailed(ControlPlaneError):
    """The new version of the control plane did not deploy and remove its trial application."""


class RouteRefused(ControlPlaneError):
    """A route cannot be what was asked for: the hosted zone, or a tenant that it leads to."""


class ShiftUnsafe(ControlPlaneError):
    """The tenant that gets the traffic does not work, or an alarm rings: traffic goes back."""


# The world is busy: the deployment did nothing wrong. ---------------------------------------------


class DeploymentInProgress(ControlPlaneError):
    """Another deployment holds the tenant, and this one was asked not to wait."""


class Superseded(ControlPlaneError):
    """A newer deployment of the same tenant took this one's place in the queue."""


class Cancelled(ControlPlaneError):
    """Somebody asked for this deployment's end."""


class ApprovalRejected(ControlPlaneError):
    """Somebody looked at the change set and said no."""


class RouteTaken(ControlPlaneError):
    """A route is not this shift's any more: it was reversed, or somebody changed the records."""


class ServiceBusy(ControlPlaneError):
    """AWS throttled a call or had a passing fault: the step is retried by the state machine."""


class TenantNotReady(ControlPlaneError):
    """The tenant does not answer yet: the step is retried by the state machine."""


RETRIED = (ServiceBusy, TenantNotReady)
"""Errors that the state machine retries: a step that raises one has not failed yet."""
