"""In whose name CloudFormation works on a stack."""

from control_plane.models import Tenant
from control_plane.own import is_own
from control_plane.settings import StackSettings, settings


def role_of(tenant: Tenant) -> str:
    """The ARN of the service role for a tenant's stack.

    The control plane's own stack has another one, of the build that does the work: a new build
    cannot take away what the way back needs.
    """
    known = settings(StackSettings)
    return known.update_role_arn if is_own(tenant) else known.cloudformation_role_arn
