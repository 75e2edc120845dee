"""Old versions of the control plane: looked for, and removed where nothing can use them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from control_plane import aws, naming
from control_plane.models import Deployment, JsonObject, utc_now
from control_plane.rules import pruning
from control_plane.rules.pruning import Version
from control_plane.services import roles
from control_plane.settings import ReleaseSettings, settings
from workers.step import Outcome

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef


def prune_versions(deployment: Deployment, event: JsonObject) -> Outcome:
    """Remove the versions of the workers, and the roles, that no execution can use any more.

    This execution itself runs: the versions that it was started with go at the next update.
    """
    known, stack = settings(ReleaseSettings), deployment.tenant.stack_name
    seen = survey(stack, naming.state_machine_of(deployment.execution_arn))
    roles_in_use = set(seen.roles_in_use)
    removed = kept = 0
    for function, (found, now_in) in seen.versions.items():
        unused = pruning.unused_versions(
            found, seen.called, utc_now(), timedelta(days=known.version_retention_days)
        )
        gone = [version for version in unused if _delete(function, version)]
        removed, kept = removed + len(gone), kept + len(found) - len(gone)
        roles_in_use |= {version.role for version in found if version not in gone} | {now_in}
    path = naming.role_path(stack, event["fingerprint"])
    unused_roles = pruning.unused_roles(seen.roles, roles_in_use, path)
    for role in unused_roles:
        roles.delete(role)
    executions = f"{seen.running} running execution{'s' * (seen.running != 1)}"
    return Outcome(
        {},
        f"removed {removed} versions and {len(unused_roles)} roles; kept {kept} versions, "
        f"with {executions}",
    )


@dataclass(frozen=True)
class Survey:
    """What there is of old and new releases.

    `called`: the versions that a definition names which runs or may be started. `roles_in_use`: by
    those executions, and by CloudFormation for the stack. `running`: how many executions.
    `versions`: of each function, and the role that it has now. `roles`: all, of all builds.
    """

    called: frozenset[str]
    roles_in_use: frozenset[str]
    running: int
    versions: dict[str, tuple[list[Version], str]]
    roles: list[str]


def survey(stack: str, machine: str) -> Survey:
    """Look at all that may be removed or must stay; nothing is changed. `machine`: an ARN."""
    machines = naming.own_machines(machine)
    there = [found for one in machines for found in _machine(one)]
    running = [found for one in machines for found in _running(one)]
    called = pruning.called_by([text for text, _ in (*there, *running)])
    used = {role for _, role in (*there, *running)} | {*_stack_role(stack)}
    return Survey(
        called=called,
        roles_in_use=frozenset(used),
        running=len(running),
        versions={name: _versions(name) for name in naming.own_functions(stack, called)},
        roles=roles.below(f"/{stack}/"),
    )


def _machine(machine: str) -> list[tuple[str, str]]:
    """Definition and role of a state machine; none of one that the release does not have."""
    states = aws.stepfunctions()
    try:
        told = states.describe_state_machine(stateMachineArn=machine)
    except states.exceptions.StateMachineDoesNotExist:
        return []
    return [(told["definition"], told["roleArn"])]


def _running(machine: str) -> list[tuple[str, str]]:
    """Definition and role of every running execution, as it was started with them."""
    states = aws.stepfunctions()
    if not _machine(machine):
        return []
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="RUNNING"
    )
    found = []
    for page in pages:
        for execution in page["executions"]:
            told = states.describe_state_machine_for_execution(
                executionArn=execution["executionArn"]
            )
            found.append((told["definition"], told["roleArn"]))
    return found


def _stack_role(stack: str) -> list[str]:
    """The role in which CloudFormation last worked on the stack: the next operation may need it."""
    role = aws.cloudformation().describe_stacks(StackName=stack)["Stacks"][0].get("RoleARN")
    return [role] if role else []


def _versions(function: str) -> tuple[list[Version], str]:
    """The published versions of a function, and the role that it has now."""
    pages = aws.lambda_().get_paginator("list_versions_by_function").paginate(FunctionName=function)
    items = [item for page in pages for item in page["Versions"]]
    published = [_version(item) for item in items if item["Version"] != "$LATEST"]
    return published, next(item["Role"] for item in items if item["Version"] == "$LATEST")


def _version(item: "FunctionConfigurationTypeDef") -> Version:
    return Version(
        arn=item["FunctionArn"],
        number=int(item["Version"]),
        published_at=datetime.fromisoformat(item["LastModified"]),
        role=item["Role"],
    )


def _delete(function: str, version: Version) -> bool:
    """Delete a version; False for one that an alias names."""
    functions = aws.lambda_()
    try:
        functions.delete_function(FunctionName=function, Qualifier=str(version.number))
    except functions.exceptions.ResourceConflictException:
        return False
    except functions.exceptions.ResourceNotFoundException:
        return True  # by an earlier attempt of this step
    return True
