"""Every name, computed from (application, environment, organization, account).

The patterns of tenants' resources are the application's own and stand in its manifest; what is here
is the control plane's. No name is ever looked up by a part of it: `lab` must not find `lab2`.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from control_plane.errors import Conflict, InvalidRequest
from control_plane.manifest import Manifest
from control_plane.models import DEPLOYMENT_ID_PATTERN, Deployment, Env, Tenant

BUCKET_NAME_LIMIT = 63
"""Characters in a bucket's name (S3 user guide, bucket naming rules)."""

SCHEDULE_NAME_LIMIT = 64
"""Characters in a schedule's name (EventBridge Scheduler API)."""

DRIFT_SUFFIX = "-drift"
"""A tenant's schedules have its stack's name, and for drift checks this behind it."""

OWNER_TAG = "syndi:stack"
"""The tag that says which tenant's stack a bucket belongs to; also a tag of every stack."""

OWN_APPLICATION = "control-plane"
"""The control plane as an application of its own."""

_STACK_NAME = re.compile(rf"(?P<application>.+?)-(?P<tenant>(?:{'|'.join(Env)})-.+)")

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID = re.compile(DEPLOYMENT_ID_PATTERN)

NAMED_BEFORE = timedelta(hours=25)
"""How old the id in an execution's name may be at its start. EventBridge Scheduler delivers for up
to a day (its MaximumEventAgeInSeconds), then Lambda calls the record worker for up to an hour
(template.yaml, RecordFunction). A repeated request goes on with its first id for a day."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""How much later than its execution's start an id may be: the clocks are two."""


def owner_tags(stack_name: str) -> dict[str, str]:
    """The tags of a tenant's stack, which reach all of its resources and bound what its roles may
    do (TenantBoundary).

    An application's name has no environment in it, so the first one is the tenant's.
    """
    found = _STACK_NAME.fullmatch(stack_name)
    if found is None or found["application"] == OWN_APPLICATION:
        return {OWNER_TAG: stack_name}  # the control plane's own roles have no boundary
    named = found.groupdict()
    return {OWNER_TAG: stack_name, **{f"syndi:{key}": value for key, value in named.items()}}


def _deployment_id(at: datetime, salt: bytes) -> str:
    digest = hashlib.sha256(salt).digest()
    tail = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:5])
    at = at.astimezone(UTC)
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}{tail}"


def new_deployment_id(now: datetime) -> str:
    """A new id that sorts by time (milliseconds): `20261122-201502-123k3f9q`."""
    return _deployment_id(now, secrets.token_bytes(16))


def earliest_id(at: datetime) -> str:
    """What sorts before the id of every deployment from that second on."""
    return f"{at.astimezone(UTC):%Y%m%d-%H%M%S}-"


def deployment_of_token(token: str) -> str | None:
    """The id of the deployment whose operation on a stack has that token, or None."""
    found = re.match(DEPLOYMENT_ID_PATTERN.removeprefix("^").removesuffix("$"), token)
    return found[0] if found else None


def time_of(deployment_id: str) -> datetime | None:
    """When a deployment was asked for, to the second; None for digits that are no time.

    Earlier releases took the id out of any execution's name: the table may have such ones, and ones
    of the far future.
    """
    try:
        return datetime.strptime(deployment_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None


def latest_id(now: datetime) -> str:
    """What sorts behind the id of every deployment that was asked for until now. An id behind it is
    not a newer deployment's: nobody made it at its time."""
    return earliest_id(now + CLOCKS_DIFFER)


def execution_name(tenant: Tenant, deployment_id: str) -> str:
    """The execution of a deployment that the API starts: a second start is the same execution."""
    return f"{tenant.env}-{tenant.org}-{deployment_id}"


def deployment_id_of(tenant: Tenant, execution_arn: str, execution_started: datetime) -> str:
    """The deployment that an execution is, however it was started.

    An execution that the API started carries the id in its name. One started by hand has a name of
    its own: its id is computed from what never changes about it, so that every step, also a
    repeated one, computes the same. So is the id of one whose name carries a time that is not that
    of its start: ids order a tenant's deployments, and nobody chooses a place in that order.
    """
    name = execution_arn.rsplit(":", 1)[-1]
    prefix = f"{tenant.env}-{tenant.org}-"
    named = name.removeprefix(prefix)
    if name.startswith(prefix) and _ID.match(named) and _is_of_the_time(named, execution_started):
        return named
    return id_of(execution_arn, execution_started)


def _is_of_the_time(deployment_id: str, started: datetime) -> bool:
    """Whether an id may have been made for an execution that was started at that time."""
    made = time_of(deployment_id)
    if made is None:
        return False
    started = started.replace(microsecond=0)  # as in `id_of`
    return started - NAMED_BEFORE <= made <= started + CLOCKS_DIFFER


def id_of(execution_arn: str, execution_started: datetime) -> str:
    """An id for what an execution is about, computed from what never changes about it."""
    # To the second: what tells of an execution's start does not always agree on its milliseconds.
    return _deployment_id(execution_started.replace(microsecond=0), execution_arn.encode())


def route_name(of: Tenant, domain: str) -> str:
    """The name of a tenant's route in DNS. Raises Conflict where `domain` is empty."""
    if not domain:
        raise Conflict(
            "routes need a hosted zone, and this control plane was installed without one: "
            "'syndi install --hosted-zone Z0123456789 --domain example.com' sets its parameters "
            "HostedZoneId and Domain"
        )
    return f"{of.org}.{of.env}.{domain}"


def schedule_name(tenant: Tenant, *, drift: bool) -> str:
    """The schedule of a tenant's deployments, or the one of its drift checks."""
    return tenant.stack_name + (DRIFT_SUFFIX if drift else "")


def rollout_schedule_name(application: str, env: str) -> str:
    """The schedule of an application's rollouts in an environment."""
    return f"rollout-{application}-{env}"


def rollout_execution(env: str, rollout_id: str) -> str:
    """The execution of a rollout that the API starts."""
    return f"{env}-{rollout_id}"


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN that an execution of that name has or will have."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def console_url(arn: str) -> str:
    """The execution's page in the Step Functions console."""
    region = arn.split(":")[3]
    return (
        f"https://{region}.console.aws.amazon.com/states/home?region={region}"
        f"#/v2/executions/details/{arn}"
    )


def filled(pattern: str, tenant: Tenant, account: str = "") -> str:
    """A manifest's pattern with `{env}`, `{org}` and `{account}` filled in."""
    return (
        pattern.replace("{env}", tenant.env)
        .replace("{org}", tenant.org)
        .replace("{account}", account)
    )


def check_length(tenant: Tenant, manifest: Manifest, account: str) -> None:
    """Raise InvalidRequest when the organization is too long for a name that it becomes part of."""
    room = SCHEDULE_NAME_LIMIT - len(DRIFT_SUFFIX)
    if len(tenant.stack_name) > room:
        raise InvalidRequest.of(
            "org", f"is too long: {tenant.stack_name} may have {room} characters"
        )
    for pattern in manifest.stack.buckets:
        name = filled(pattern, tenant, account)
        if len(name) > BUCKET_NAME_LIMIT:
            room = BUCKET_NAME_LIMIT - (len(name) - len(tenant.org))
            raise InvalidRequest.of(
                "org",
                f"has {len(tenant.org)} characters; {tenant.application} in {tenant.env} has room "
                f"for {room}, because its bucket {pattern} may have {BUCKET_NAME_LIMIT}",
            )


def source_key(env: str, sha256: str) -> str:
    """Where a source that was pushed for an environment lies in the artifact bucket."""
    return f"sources/{env}/{sha256}.zip"


def kept_source_key(stack_name: str, sha256: str) -> str:
    """Where a source stays that a tenant was built from, as long as its builds do."""
    return f"{stack_name}/sources/{sha256}.zip"


def source_keys(tenant: Tenant, sha256: str) -> list[str]:
    """Where a tenant's source may lie, the likely place first; the last is of earlier releases."""
    return [
        source_key(tenant.env, sha256),
        kept_source_key(tenant.stack_name, sha256),
        f"sources/{sha256}.zip",
    ]


def build_scope(tenant: Tenant, *, per_tenant: bool) -> str:
    """Whom a build is for: all tenants of an application in an environment, or one of them."""
    return f"{tenant.env}/{tenant.org}" if per_tenant else str(tenant.env)


def build_output(tenant: Tenant, fingerprint: str) -> str:
    """Where CodeBuild puts a build, template and artifacts, in the artifact bucket.

    Nothing below it depends on a tenant. The role of an environment's builds may write below
    `builds/{env}/` only, that of the control plane's own below `builds/own/` (template.yaml).
    """
    if tenant.application == OWN_APPLICATION:
        return f"builds/own/{fingerprint}"
    return f"builds/{tenant.env}/{tenant.application}/{fingerprint}"


def build_cache(tenant: Tenant, *, per_tenant: bool) -> str:
    """Where builds keep their cache. Builds that see a tenant's name share none with others."""
    if tenant.application == OWN_APPLICATION:
        return "cache/own"
    whose = f"tenants/{tenant.org}" if per_tenant else "shared"
    return f"cache/{tenant.env}/{tenant.application}/{whose}"


def build_prefix(stack_name: str, fingerprint: str) -> str:
    """Where a tenant's copy of a build's packaged template lies in the artifact bucket.

    The artifacts that it refers to lie directly below `{stack}/`, named by their contents: one that
    did not change keeps its key, so CloudFormation sees no change. No build can write there.
    """
    return f"{stack_name}/builds/{fingerprint}"


def history_table(stack_name: str) -> str:
    """The table of a control plane, as template.yaml names it."""
    return f"{stack_name}-history"


def own_state_machine(stack_name: str, account: str, region: str) -> str:
    """The ARN of a control plane's state machine, as template.yaml names it."""
    return f"arn:aws:states:{region}:{account}:stateMachine:{stack_name}-deployment"


def own_machines(deployment_machine: str) -> list[str]:
    """The ARNs of all state machines of a control plane, by that of its deployments."""
    stem = deployment_machine.removesuffix("deployment")
    return [f"{stem}{name}" for name in ("deployment", "rollout", "shift")]


def own_layer(stack_name: str) -> str:
    """The layer of a control plane's functions, as template.yaml names it."""
    return f"{stack_name}-dependencies"


def build_label(template_key: str) -> str:
    """The first digits of the fingerprint of the build whose packaged template that is: what a
    template's parameter `Build` is given."""
    return template_key.rsplit("/", 2)[-2][:12]


def role_path(stack_name: str, fingerprint: str) -> str:
    """The IAM path of the roles of one build of the control plane."""
    return f"/{stack_name}/{fingerprint[:12]}/"


def state_machine_of(execution_arn: str) -> str:
    """The ARN of the state machine that an execution is of."""
    return execution_arn.rsplit(":", 1)[0].replace(":execution:", ":stateMachine:")


def own_functions(stack_name: str, versions: Collection[str]) -> list[str]:
    """The functions of a control plane: the workers whose `versions` (ARNs) are called, and the
    API's, which no state machine calls."""
    workers = {arn.rsplit(":", 2)[-2] for arn in versions}
    return sorted({f"{stack_name}-api", *(w for w in workers if w.startswith(f"{stack_name}-"))})


def own_functions_of(
    state_machine: str, stack_name: str, workers: Collection[str]
) -> dict[str, str]:
    """The ARNs of a control plane's workers, by worker, as the newest versions."""
    _, partition, _, region, account, *_ = state_machine.split(":")
    here = f"arn:{partition}:lambda:{region}:{account}:function"
    return {worker: f"{here}:{stack_name}-{worker}:live" for worker in workers}


def change_set_name(deployment: Deployment) -> str:
    """The change set of a deployment's operation on its stack."""
    return f"syndi-{deployment.operation}"


def resolved_key(template_key: str) -> str:
    """Where the template lies as it was last deployed: beside the packaged one it was made of."""
    return template_key.rsplit("/", 1)[0] + "/resolved.json"


def patch_key(stack_name: str, fingerprint: str) -> str:
    """Where the package of a patched function lies in the artifact bucket."""
    return f"{stack_name}/patches/{fingerprint}.zip"


def export_prefix(stack_name: str, deployment_id: str) -> str:
    """Where an offboarding copies what is exported, in the artifact bucket."""
    return f"{stack_name}/exports/{deployment_id}"


def secret_prefix(tenant: Tenant) -> str:
    """What the names of all secrets of a tenant begin with, and no other tenant's."""
    return f"syndi/{tenant.stack_name}/"


def admin_secret(tenant: Tenant, username: str) -> str:
    """The secret that holds the password of one of a tenant's administrators."""
    return f"{secret_prefix(tenant)}admin/{username}"


def given_secret(tenant: Tenant, deployment_id: str) -> str:
    """The secret that carries a given password to its deployment, and goes with its end."""
    return f"{secret_prefix(tenant)}given/{deployment_id}"
