"""`syndi up`, `down`, `reset`, and `install`: where the control plane runs."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from cli import connection, source
from cli.connection import ROOT
from cli.context import command, current
from cli.failure import Refused
from cli.install import Target, fingerprint, lambda_platform, this_machine
from cli.install import install as install_stack
from cli.options import JsonOption
from cli.output import err, out, print_json
from control_plane import aws
from control_plane.models import Env
from local import lifecycle, operator_user
from local.laptop import Laptop

DEFAULT_PREFIXES = "rawscribe,syndi-frontend"
PREFIXES_VARIABLE = "SYNDI_PREFIXES"

PrefixesOption = Annotated[
    str | None,
    typer.Option(
        envvar=PREFIXES_VARIABLE, help="what the names of the applications' resources begin with"
    ),
]

ApprovalOption = Annotated[
    str | None,
    typer.Option(
        help="environments where every deployment waits for an approval: prod,stage, or none"
    ),
]


@command
def up(
    prefixes: PrefixesOption = None,
    approval_in: ApprovalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the laptop's AWS, install the control plane into it, and push the application."""
    current.local = True  # it can mean nothing else
    laptop = connection.laptop()
    started = lifecycle.up(laptop)
    _say("started the laptop's AWS" if started else "the laptop's AWS is running already")
    connection.act_as_root()
    architecture, platform = this_machine()
    target = Target(
        stack=connection.stack_name(local=True),
        environment="dev",
        organization="local",
        runtime=_emulator_runtime(laptop),
        architecture=architecture,
        layer_platform=platform,
        prefixes=prefixes or _installed_prefixes(connection.stack_name(local=True)),
        default_application="rawscribe",
        # Polls once in 0.2 s what AWS would be asked once in 5 s (SAM CLI's own variable).
        variables={**laptop.aws_environment(), "SAM_CLI_POLL_DELAY": "0.2"},
        approval_in=_approval_in(approval_in, connection.stack_name(local=True)),
    )
    installed, current_files = laptop.state_dir / "installed", fingerprint(target)
    if not _is_installed(target.stack) or _read(installed) != current_files:
        installed.unlink(missing_ok=True)
        _say("installing the control plane")
        install_stack(target, laptop.state_dir / "install", laptop.logs_dir / "install.log")
        installed.write_text(current_files)
    operator_user.ensure_operator(laptop, _operator_policy(laptop, target.stack))
    _push_first(Env)
    if current.as_json:
        print_json({"endpoint": laptop.endpoint, "stack": target.stack})
    else:
        out.print(f"the laptop's AWS is up at {laptop.endpoint}; stop it with 'syndi --local down'")


@command
def down(as_json: JsonOption = False) -> None:
    """Stop the laptop's AWS; its state is kept."""
    current.local = True  # it can mean nothing else
    _stopped(lifecycle.down(connection.laptop()), "stopped")


@command
def reset(as_json: JsonOption = False) -> None:
    """Stop the laptop's AWS and forget everything in it."""
    current.local = True  # it can mean nothing else
    _stopped(lifecycle.reset(connection.laptop()), "stopped and forgotten")


@command
def install(
    prefixes: PrefixesOption = None,
    approval_in: ApprovalOption = None,
    runtime: Annotated[str, typer.Option(help="the functions' runtime")] = "python3.13",
    architecture: Annotated[str, typer.Option(help="arm64 or x86_64")] = "arm64",
    as_json: JsonOption = False,
) -> None:
    """Install or update the control plane in a real account, with the usual AWS credentials."""
    if current.local:
        raise Refused("'syndi --local up' installs the laptop's control plane")
    if architecture not in ("arm64", "x86_64"):
        raise Refused(f"--architecture {architecture}: must be arm64 or x86_64")
    stack = connection.stack_name(local=False)
    environment, _, organization = stack.removeprefix("control-plane-").partition("-")
    target = Target(
        stack=stack,
        environment=environment,
        organization=organization,
        runtime=runtime,
        architecture=architecture,
        layer_platform=lambda_platform(architecture),
        prefixes=prefixes or _installed_prefixes(stack),
        default_application="rawscribe",
        variables={},
        approval_in=_approval_in(approval_in, stack),
    )
    _say(f"installing {stack}: a few minutes")
    work = Path(tempfile.gettempdir()) / f"{stack}-install-{os.getuid()}"
    install_stack(target, work, work / "install.log")
    _push_first(Env)
    if current.as_json:
        print_json({"stack": stack})
    else:
        out.print(f"installed {stack}: 'syndi deploy ENV ORG' deploys a tenant")


def _stack(name: str) -> dict[str, Any]:
    """The control plane's stack, or nothing: after a crash the emulator may have lost it."""
    try:
        return dict(aws.cloudformation().describe_stacks(StackName=name)["Stacks"][0])
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}


def _is_installed(stack: str) -> bool:
    return _stack(stack).get("StackStatus") in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _installed_prefixes(stack: str) -> str:
    """What the control plane was installed for: it keeps that when nothing else is said, since the
    first prefix names its artifact bucket."""
    return _installed(stack).get("ApplicationPrefixes", DEFAULT_PREFIXES)


def _installed(stack: str) -> dict[str, str]:
    """The parameters that the control plane was installed with."""
    return {p["ParameterKey"]: p["ParameterValue"] for p in _stack(stack).get("Parameters", [])}


NOWHERE = "none"
"""What `--approval-in` is told when no environment shall need an approval any more."""


def _approval_in(given: str | None, stack: str) -> tuple[str, ...]:
    """The environments that need an approval: as given, otherwise as installed. Raises Refused."""
    if given == NOWHERE:
        return ()
    if given is None:
        installed = _installed(stack).get("ApprovalEnvironments", "")
        return tuple(installed.split(",")) if installed else ()
    named = [name.strip() for name in given.split(",")]
    if not set(named) <= set(Env):
        raise Refused(
            f"--approval-in {given}: must be environments ({', '.join(Env)}) with commas between, "
            f"or {NOWHERE}"
        )
    return tuple(sorted(set(named)))


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _push_first(environments: type[Env]) -> None:
    """Push the application that comes with the project, so that there is something to deploy."""
    packed = source.pack(ROOT / "backend")
    api = connection.connect(current.local)
    source.push(api, packed, [str(env) for env in environments])
    _say(f"pushed {packed.application} {packed.sha256[:12]}")


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
        "SignIn": ("cognito-idp:AdminInitiateAuth", f"arn:aws:cognito-idp:{here}:userpool/*"),
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


def _stopped(result: lifecycle.Stopped, what: str) -> None:
    if current.as_json:
        print_json({"stopped": result.stopped, "killed": result.killed})
        return
    for name in result.killed:
        err.print(f"{name} did not stop by itself and was killed: its last changes are lost")
    out.print(what if result.stopped or result.killed else "nothing was running")


def _say(message: str) -> None:
    if not current.as_json:
        err.print(message, style="dim")
