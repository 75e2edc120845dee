"""`syndi up`, `down` and `reset`: the laptop's AWS, with the control plane in it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import connection, installing, laptop_work, source
from cli.connection import ROOT
from cli.context import command, current, say
from cli.first_source import push_first
from cli.hosted_zone import routes_in
from cli.install import Target, this_machine
from cli.options import JsonOption
from cli.output import err, out, print_json
from control_plane import aws
from control_plane.services import stack_reading as reading
from local import lifecycle, operator_user
from local.laptop import Laptop
from local.names import JOURNAL

POLL_SECONDS = 0.3
"""How often the laptop's CloudFormation is asked what AWS's would be asked once in 5 seconds."""


@command
def up(
    prefixes: installing.PrefixesOption = None,
    approval_in: installing.ApprovalOption = None,
    manual_start_in: installing.ManualStartOption = None,
    explicit_creation_in: installing.ExplicitCreationOption = None,
    hosted_zone: installing.HostedZoneOption = None,
    domain: installing.DomainOption = None,
    downgrade: installing.DowngradeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start the laptop's AWS, install the control plane into it, and push a first source."""
    current.local = True  # it can mean nothing else
    laptop = connection.laptop()
    cut_off, saved = lifecycle.was_cut_off(laptop), lifecycle.saved_at(laptop)
    started = lifecycle.up(laptop)
    say("started the laptop's AWS" if started else "the laptop's AWS is running already")
    connection.act_as_root()
    architecture, platform = this_machine()
    tenant = installing.own(connection.stack_name(local=True))
    installed = installing.installed_parameters(tenant.stack_name)
    before = installed.get("ApplicationPrefixes", installing.DEFAULT_PREFIXES)
    zone, below = routes_in(hosted_zone, domain, installed)
    target = Target(
        tenant=tenant,
        runtime=_emulator_runtime(laptop),
        architecture=architecture,
        layer_platform=platform,
        prefixes=installing.with_trial(prefixes or before),
        default_application="rawscribe",
        variables=laptop.aws_environment(),
        approval_in=installing.approval_environments(approval_in, installed),
        manual_start_in=installing.manual_start_environments(manual_start_in, installed),
        explicit_creation_in=installing.explicit_creation_environments(
            explicit_creation_in, installed
        ),
        hosted_zone=zone,
        domain=below,
        version_retention_days=0,
        poll_seconds=POLL_SECONDS,
        downgrade=downgrade,
    )
    packed = source.pack(ROOT)
    stamp, wanted = laptop.state_dir / "installed", f"{packed.sha256} {target.parameters()}"
    if downgrade or not _is_installed(target.stack) or _read(stamp) != wanted:
        stamp.unlink(missing_ok=True)
        log = laptop.logs_dir / "install.log"
        installing.install_stack(target, packed, laptop.state_dir / "install", log, say)
        stamp.write_text(wanted)
    operator_user.ensure_operator(laptop, _operator_policy(laptop, target.stack))
    push_first()
    report = _report(laptop, target.stack, cut_off=cut_off, saved=saved) if started else {}
    lifecycle.save(laptop)
    if current.as_json:
        print_json({"endpoint": laptop.endpoint, "stack": target.stack, **report})
    else:
        out.print(f"the laptop's AWS is up at {laptop.endpoint}; stop it with 'syndi --local down'")


def _report(laptop: Laptop, stack: str, *, cut_off: bool, saved: str | None) -> dict[str, Any]:
    """Close what was at work when AWS stopped, and say what that was and what is lost."""
    connection.act_as_root()
    closed = laptop_work.close_what_was_cut_off(stack)
    missing = laptop_work.lost(laptop.state_dir / JOURNAL) if cut_off else []
    if cut_off:
        of = f"is that of {saved}" if saved else "was never saved"
        err.print(
            f"the laptop's AWS was killed or lost power: its state {of}, and what was changed "
            "after that is lost (objects in S3 are kept)"
        )
    for name in missing:
        err.print(f"lost, with its record: execution {name}", markup=False)
    for name in closed:
        err.print(f"interrupted, and closed now: {name}: 'syndi --local show {name}'", markup=False)
    lifecycle.forget_journal(laptop)
    return {"cut_off": cut_off, "state_of": saved, "lost": missing, "closed": closed}


@command
def down(
    now: Annotated[
        bool, typer.Option("--now", help="wait for nothing: interrupt what is at work")
    ] = False,
    wait: Annotated[
        int, typer.Option("--wait", min=0, help="seconds to wait for what is at work")
    ] = 120,
    as_json: JsonOption = False,
) -> None:
    """Stop the laptop's AWS when nothing is at work any more; its state is kept.

    What is interrupted is listed, and its records are closed.
    """
    current.local = True  # it can mean nothing else
    laptop = connection.laptop()
    interrupted = _interrupted(laptop, 0 if now else wait)
    for name in interrupted:
        err.print(f"interrupted: {name}", markup=False)
    _stopped(lifecycle.down(laptop), "stopped", interrupted)


def _interrupted(laptop: Laptop, seconds: float) -> list[str]:
    """Wait for what is at work, then interrupt what still is; gives its names."""
    emulator = next(one for one in lifecycle.status(laptop) if one.name == "emulator")
    if not emulator.healthy:
        return []
    connection.act_as_root()
    stack = connection.stack_name(local=True)
    try:
        work = laptop_work.await_end(stack, laptop.account, laptop.region, seconds)
        laptop_work.interrupt(work)
        if work:  # an operation that goes on may keep the emulator from stopping by itself
            lifecycle.save(laptop)
    except aws.FAILURES as error:  # it is stopped all the same: the next `up` closes what is open
        err.print(f"what is at work could not be looked at: {error}", markup=False)
        return []
    return [one.name for one in work]


@command
def reset(as_json: JsonOption = False) -> None:
    """Stop the laptop's AWS and forget everything in it."""
    current.local = True  # it can mean nothing else
    _stopped(lifecycle.reset(connection.laptop()), "stopped and forgotten")


def _is_installed(stack: str) -> bool:
    """Whether the stack is there: after a crash the emulator may have lost it."""
    found = reading.describe(stack)
    return found is not None and found["StackStatus"] in reading.SUCCEEDED


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _operator_policy(laptop: Laptop, stack: str) -> dict[str, Any]:
    """What a person needs: to call the API, to look, and to start an execution by hand."""
    here = f"{laptop.region}:{laptop.account}"
    allowed = {
        "Call": ("execute-api:Invoke", f"arn:aws:execute-api:{here}:*/*"),
        "Find": ("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{here}:stack/{stack}/*"),
        "Executions": (
            ["states:StartExecution", "states:ListExecutions", "states:ListStateMachines"],
            f"arn:aws:states:{here}:stateMachine:*",
        ),
        "Execution": (
            ["states:DescribeExecution", "states:GetExecutionHistory", "states:StopExecution"],
            f"arn:aws:states:{here}:execution:{stack}-deployment:*",
        ),
        "Passwords": (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{here}:secret:syndi/*",
        ),
        "SignIn": (  # into a pool that is the tenant's own
            [
                "cognito-idp:AdminInitiateAuth",
                "cognito-idp:DescribeUserPool",
                "cognito-idp:DescribeUserPoolClient",
            ],
            f"arn:aws:cognito-idp:{here}:userpool/*",
        ),
        "WhatIsTheirs": (
            ["cloudformation:ListStackResources", "cloudformation:DescribeStackResources"],
            f"arn:aws:cloudformation:{here}:stack/*",
        ),
        "Addresses": ("lambda:ListFunctionUrlConfigs", f"arn:aws:lambda:{here}:function:*"),
        "LoadBalancers": ("elasticloadbalancing:DescribeLoadBalancers", "*"),
        "Distributions": (
            "cloudfront:GetDistribution",
            f"arn:aws:cloudfront::{laptop.account}:distribution/*",
        ),
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
            for sid, (action, resource) in allowed.items()
        ],
    }


def _emulator_runtime(laptop: Laptop) -> str:
    """The runtime that the emulator really has: Lambda code runs on its own interpreter."""
    python = laptop.tools_dir / "ministack" / "bin" / "python"
    code = "import sys; print('python%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def _stopped(result: lifecycle.Stopped, what: str, interrupted: Sequence[str] = ()) -> None:
    if current.as_json:
        told = {"stopped": result.stopped, "killed": result.killed}
        print_json({**told, "interrupted": list(interrupted)})
        return
    for name in result.killed:
        err.print(f"{name} did not stop by itself and was killed: its last changes are lost")
    out.print(what if result.stopped or result.killed else "nothing was running")
