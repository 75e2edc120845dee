"""Installing the control plane: `sam build` and `sam deploy`, the same on a laptop and on AWS."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.connection import ROOT
from cli.failure import Failed
from cli.source import tracked_files

_MACHINES = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """Where and for what the control plane is installed."""

    stack: str
    environment: str
    organization: str
    runtime: str
    architecture: str
    layer_platform: str
    prefixes: str
    default_application: str
    variables: dict[str, str]
    approval_in: tuple[str, ...] = ()

    def parameters(self) -> list[str]:
        """The stack's parameters, as `sam` takes them."""
        values = {
            "Environment": self.environment,
            "Organization": self.organization,
            "Runtime": self.runtime,
            "Architecture": self.architecture,
            "LayerPlatform": self.layer_platform,
            "ApplicationPrefixes": self.prefixes,
            "DefaultApplication": self.default_application,
            # SAM takes an empty value only in quotes, and keeps the previous one without any.
            "ApprovalEnvironments": ",".join(self.approval_in) or '""',
        }
        return [f"{name}={value}" for name, value in values.items()]


def lambda_platform(architecture: str) -> str:
    """What uv calls the platform of Lambda's functions (manylinux2014: any of its runtimes)."""
    return {"arm64": "aarch64", "x86_64": "x86_64"}[architecture] + "-manylinux2014"


def this_machine() -> tuple[str, str]:
    """The architecture of this machine, and the platform for which its layers are built."""
    architecture = _MACHINES[platform.machine().lower()]
    if sys.platform == "darwin":
        machine = "aarch64" if architecture == "arm64" else "x86_64"
        return architecture, f"{machine}-apple-darwin"
    return architecture, lambda_platform(architecture)


def fingerprint(target: Target) -> str:
    """What an installation is made of: the tracked files and the stack's parameters."""
    digest = hashlib.sha256("\0".join(target.parameters()).encode())
    for name in tracked_files(ROOT)[0]:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()


def install(target: Target, work: Path, log: Path) -> None:
    """Build the control plane from the tracked files and deploy its stack.

    `work` is a directory for the build, made anew but for its cache; `log` gets what `sam` says.
    Raises Failed with the end of the log.
    """
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in tracked_files(ROOT)[0]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    environment = {
        **os.environ,
        **target.variables,
        "PATH": os.pathsep.join(
            [str(ROOT / ".tools/sam/bin"), str(ROOT / ".tools/uv/bin"), os.environ["PATH"]]
        ),
        "SAM_CLI_TELEMETRY": "0",
        "LAYER_PYTHON_VERSION": target.runtime.removeprefix("python"),
        "LAYER_PYTHON_PLATFORM": target.layer_platform,
    }
    environment.pop("VIRTUAL_ENV", None)  # uv would install into it
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    # fmt: off
    _run([
        "sam", "build", "--cached", "--parallel", "--cache-dir", str(work / "cache"),
        "--parameter-overrides", *target.parameters(),
    ], tree, environment, log)
    _run([
        "sam", "deploy", "--stack-name", target.stack, "--resolve-s3", "--no-confirm-changeset",
        "--no-fail-on-empty-changeset", "--capabilities", "CAPABILITY_IAM",
        "--parameter-overrides", *target.parameters(),
    ], tree, environment, log)
    # fmt: on


def _run(command: list[str], directory: Path, environment: dict[str, str], log: Path) -> None:
    with log.open("ab") as output:
        answer = subprocess.run(
            command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    if answer.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"'{' '.join(command[:2])}' failed; the end of {log}:\n{end}")
