"""`syndi install`: the control plane in a real account; `up` does the same on a laptop."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli import connection, own_stack, recording, release_order, source
from cli.connection import ROOT
from cli.context import command, current, say
from cli.failure import Refused
from cli.first_source import push_first
from cli.holding import Hold
from cli.hosted_zone import routes_in
from cli.install import Target, build, lambda_platform
from cli.options import NOWHERE, JsonOption
from cli.output import out, print_json
from cli.proving import prove
from control_plane import aws, templates
from control_plane.errors import InvalidRequest
from control_plane.manifest import FILE_NAME, parse
from control_plane.models import Env, Tenant
from control_plane.naming import check_length
from control_plane.own import TRIAL_APPLICATION, TRIAL_DIRECTORY, own_tenant
from control_plane.rules import trials
from control_plane.services import stack_reading as reading

DEFAULT_PREFIXES = "rawscribe,syndi-frontend"
PREFIXES_VARIABLE = "SYNDI_PREFIXES"
ROLE_NAME_LIMIT = 64
"""Characters of a role's name (IAM quotas)."""

GENERATED = 12
"""Characters that CloudFormation puts behind the stack's name and the logical id, with which it
names what has no name of its own."""

PrefixesOption = Annotated[
    str | None,
    typer.Option(
        envvar=PREFIXES_VARIABLE, help="what the names of the applications' resources begin with"
    ),
]

RoleOption = Annotated[
    str | None,
    typer.Option(
        help="the role in which CloudFormation works, instead of the one it worked in last"
    ),
]

ApprovalOption = Annotated[
    str | None,
    typer.Option(
        help="environments where every deployment waits for an approval: prod,stage, or none"
    ),
]

ManualStartOption = Annotated[
    str | None,
    typer.Option(
        help="environments that accept executions which were started by hand: dev,test, or none"
    ),
]

ExplicitCreationOption = Annotated[
    str | None,
    typer.Option(
        "--explicit-creation-in",
        help="environments where only --create makes a new tenant: prod,stage, or none",
    ),
]

HostedZoneOption = Annotated[
    str | None,
    typer.Option(
        "--hosted-zone",
        help="the Route 53 hosted zone in which 'syndi route' makes weighted records, or none",
    ),
]

DomainOption = Annotated[
    str | None,
    typer.Option("--domain", help="its domain, or one below: routes are {org}.{env}.{domain}"),
]

DowngradeOption = Annotated[
    bool,
    typer.Option("--downgrade", help="install this checkout also where a newer release runs"),
]


@command
def install(
    prefixes: PrefixesOption = None,
    approval_in: ApprovalOption = None,
    manual_start_in: ManualStartOption = None,
    explicit_creation_in: ExplicitCreationOption = None,
    hosted_zone: HostedZoneOption = None,
    domain: DomainOption = None,
    runtime: Annotated[str, typer.Option(help="the functions' runtime")] = "python3.13",
    architecture: Annotated[str, typer.Option(help="arm64 or x86_64")] = "arm64",
    role_arn: RoleOption = None,
    downgrade: DowngradeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Install or update the control plane in a real account, with the usual AWS credentials."""
    if current.local:
        raise Refused("'syndi --local up' installs the laptop's control plane")
    if architecture not in ("arm64", "x86_64"):
        raise Refused(f"--architecture {architecture}: must be arm64 or x86_64")
    tenant = own(connection.stack_name(local=False))
    installed = installed_parameters(tenant.stack_name)
    zone, below = routes_in(hosted_zone, domain, installed)
    target = Target(
        tenant=tenant,
        runtime=runtime,
        architecture=architecture,
        layer_platform=lambda_platform(architecture),
        prefixes=with_trial(prefixes or installed.get("ApplicationPrefixes", DEFAULT_PREFIXES)),
        default_application="rawscribe",
        variables={},
        approval_in=approval_environments(approval_in, installed),
        manual_start_in=manual_start_environments(manual_start_in, installed),
        explicit_creation_in=explicit_creation_environments(explicit_creation_in, installed),
        hosted_zone=zone,
        domain=below,
        role_arn=role_arn,
        downgrade=downgrade,
    )
    work = Path(tempfile.gettempdir()) / f"{target.stack}-install-{os.getuid()}"
    changed = install_stack(target, source.pack(ROOT), work, work / "install.log", say)
    push_first()
    if current.as_json:
        print_json({"stack": target.stack, "changed": changed})
    else:
        done = "installed" if changed else "nothing to change:"
        out.print(f"{done} {target.stack}: 'syndi deploy ENV ORG' deploys a tenant")


def own(stack: str) -> Tenant:
    """The tenant that a control plane is, by its stack's name. Raises Refused for any other."""
    try:
        return own_tenant(stack)
    except InvalidRequest as error:
        raise Refused(f"{connection.STACK_VARIABLE}: {error}") from error


def with_trial(prefixes: str) -> str:
    """The prefixes, with that of the application that every update deploys as a trial."""
    names = [name.strip() for name in prefixes.split(",") if name.strip()]
    return ",".join(names if TRIAL_APPLICATION in names else [*names, TRIAL_APPLICATION])


def check_names(target: Target, account: str) -> None:
    """Raise Refused for an organization that is too long for what an update makes of it.

    Otherwise no trial of it could ever be started, nor that of a way back.
    """
    room = ROLE_NAME_LIMIT - len("-CloudFormationRole-") - GENERATED
    if len(target.stack) > room:
        raise Refused(
            f"{target.stack} has {len(target.stack)} characters: with more than {room} the names "
            "of its roles are cut, and policies that name them no longer fit; choose a shorter "
            "organization"
        )
    described = parse((ROOT / TRIAL_DIRECTORY / FILE_NAME).read_text())
    for rolling_back in (False, True):
        environments = ",".join(target.approval_in)
        tried = trials.tenant_of(target.tenant, environments, rolling_back=rolling_back)
        try:
            check_length(tried, described, account)
        except InvalidRequest as error:
            raise Refused(
                f"{target.stack}: no update could try itself as {tried.stack_name}: {error}"
            ) from error


def installed_parameters(stack: str) -> dict[str, str]:
    """The parameters that the control plane was installed with: it keeps those that are not said,
    since the first prefix names its artifact bucket."""
    found = reading.describe(stack)
    return reading.parameters(found) if found else {}


def explicit_creation_environments(given: str | None, installed: dict[str, str]) -> tuple[str, ...]:
    """The environments where a tenant is created with `create` only: as given, otherwise as
    installed. Raises Refused."""
    before = installed.get("ExplicitCreationEnvironments", "")
    return _environments("--explicit-creation-in", given, before)


def approval_environments(given: str | None, installed: dict[str, str]) -> tuple[str, ...]:
    """The environments that need an approval: as given, otherwise as installed. Raises Refused."""
    named = _environments("--approval-in", given, installed.get("ApprovalEnvironments", ""))
    if given is not None and set(named) >= {Env.DEV, Env.TEST, Env.STAGE}:
        raise Refused(
            f"--approval-in {given}: leave one of dev, test and stage out, where an update of the "
            "control plane can try itself without somebody's approval"
        )
    return named


def _environments(option: str, given: str | None, before: str) -> tuple[str, ...]:
    """The environments that an option names; without it, those from before. Raises Refused."""
    if given == NOWHERE:
        return ()
    if given is None:
        return tuple(before.split(",")) if before else ()
    named = {name.strip() for name in given.split(",")}
    if not named <= set(Env):
        raise Refused(
            f"{option} {given}: must be environments ({', '.join(Env)}) with commas between, "
            f"or {NOWHERE}"
        )
    return tuple(sorted(named))


def manual_start_environments(given: str | None, installed: dict[str, str]) -> tuple[str, ...]:
    """The environments that accept executions which were started by hand: as given, otherwise as
    installed, otherwise all but prod. Raises Refused."""
    before = installed.get("ManualStartEnvironments", f"{Env.DEV},{Env.STAGE},{Env.TEST}")
    return _environments("--manual-start-in", given, before)


def install_stack(
    target: Target, packed: source.Source, work: Path, log: Path, tell: Callable[[str], None]
) -> bool:
    """Build the control plane and bring its stack to that build; False when nothing changed.

    The same template, the same build and the same change set as an update that it makes of itself.
    Raises Refused, and Failed with what went wrong.
    """
    account = aws.sts().get_caller_identity()["Account"]
    check_names(target, account)
    region = aws.cloudformation().meta.region_name
    hold = Hold(target.tenant, account, region, recording.BUILD_ID)
    hold.take()
    try:
        running = release_order.running_release(target.stack)
        change = release_order.replaced_by(running, packed.sha256, downgrade=target.downgrade)
        if change:
            tell(change)
        bucket = own_stack.artifact_bucket(target, account)
        template = templates.parse((ROOT / "template.yaml").read_text())
        if not own_stack.make_ready(target):
            tell(f"creating {target.stack} with its artifact bucket")
            own_stack.create_bucket(target, template, bucket)
        tell("building the control plane")
        built = build(target, packed, bucket, work, log)
        hold.keep()  # a build takes minutes
        tell(f"deploying build {built.fingerprint[:12]}")
        types = recording.deployed_types(hold)
        change_set = own_stack.deploy(target, built, account, hold.keep, types)
        own_stack.protect(target)
        installation = recording.Installation(target, hold)
        prove(target, built)
        changed = bool(change_set["has_changes"]) or not installation.knows(built)
        if changed:
            installation.record(packed, built, change_set)
        return changed
    finally:
        hold.release()
