"""The control plane's own lock, held by a person who installs or removes it."""

from datetime import timedelta

from botocore.exceptions import ClientError

from cli.failure import Refused
from control_plane import aws, naming
from control_plane.models import Tenant, utc_now
from control_plane.services import executions
from control_plane.store.locks import Locks

MANUAL_WORK = timedelta(minutes=30)
"""How long a command is believed to be at work since it said so: a build, or a stack's change."""


class Hold:
    """The lock of one control plane, as one installation or removal of it takes it.

    Who has it is an execution that never existed, and an update would take its lock at once: so it
    counts for some time, which is set anew before each long piece of work. A command that dies
    keeps updates away for no longer, and other people not at all: two who install at once are kept
    apart by CloudFormation, which changes a stack once at a time. `id`: the deployment
    that this is in the history.
    """

    def __init__(self, tenant: Tenant, account: str, region: str, what: str) -> None:
        self.tenant, self.started = tenant, utc_now()
        self.id = naming.new_deployment_id(self.started)
        self.machine = naming.own_state_machine(tenant.stack_name, account, region)
        self.arn = naming.execution_arn(self.machine, f"{what}-{self.id}")
        self.table = naming.history_table(tenant.stack_name)

    def take(self) -> None:
        """Take the lock, where there is a table. Raises Refused while an update runs."""
        stack = self.tenant.stack_name
        try:
            holder = Locks(self.table).holder(self.tenant)
        except ClientError as error:
            if not _is_without_table(error):
                raise
            return  # nothing is installed yet
        if holder and executions.is_running(holder["execution_arn"]):
            raise Refused(
                f"{stack} is being updated by deployment {holder['deployment_id']}: "
                f"let it end, or 'syndi cancel {holder['deployment_id']}'"
            )
        self.keep(instead_of=holder["execution_arn"] if holder else self.arn)

    def keep(self, instead_of: str = "") -> None:
        """Have the lock, also of a table that is new. Raises Refused when another one has it."""
        other, until = instead_of or self.arn, utc_now() + MANUAL_WORK
        try:
            mine = Locks(self.table).acquire(self.tenant, self.id, self.arn, other, until)
        except ClientError as error:
            if not _is_without_table(error):
                raise
            return  # nothing is installed yet
        if not mine:
            raise Refused(f"{self.tenant.stack_name} is being updated by somebody else right now")

    def release(self) -> None:
        """Give the lock back; harmless when it is not held, or when there is no table."""
        try:
            Locks(self.table).release(self.tenant, self.arn)
        except ClientError as error:
            if not _is_without_table(error):
                raise


def _is_without_table(error: ClientError) -> bool:
    return aws.error_code(error) == "ResourceNotFoundException"
