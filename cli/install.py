"""The build of a control plane: what a checkout becomes, on a laptop as in CodeBuild.

buildspec.yml does the same for an update that the control plane makes of itself: from the same
source it makes the same build, with the same fingerprint.
"""

import io
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cli.connection import ROOT
from cli.failure import Failed
from cli.source import Source
from control_plane import aws, manifest, naming
from control_plane.manifest import Manifest
from control_plane.models import Tenant
from control_plane.services import build_artifacts
from control_plane.store.builds import fingerprint

_MACHINES = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """Where and for what the control plane is installed.

    `hosted_zone` and `domain`: where weighted routes are made, or empty. `variables`: what `sam` is
    told of the AWS that it works with. `poll_seconds`: how often CloudFormation is asked how far it
    is. `role_arn`: in which role it works, instead of the one that it worked in last. `downgrade`:
    also where a newer release runs.
    """

    tenant: Tenant
    runtime: str
    architecture: str
    layer_platform: str
    prefixes: str
    default_application: str
    variables: dict[str, str]
    approval_in: tuple[str, ...] = ()
    manual_start_in: tuple[str, ...] = ("dev", "stage", "test")
    explicit_creation_in: tuple[str, ...] = ()
    hosted_zone: str = ""
    domain: str = ""
    version_retention_days: int = 14
    poll_seconds: float = 5
    role_arn: str | None = None
    downgrade: bool = False

    @property
    def stack(self) -> str:
        """The name of its stack."""
        return self.tenant.stack_name

    def parameters(self) -> dict[str, str]:
        """The stack's parameters, but for the one that says which build it is."""
        return {
            "Environment": self.tenant.env,
            "Organization": self.tenant.org,
            "Runtime": self.runtime,
            "Architecture": self.architecture,
            "LayerPlatform": self.layer_platform,
            "ApplicationPrefixes": self.prefixes,
            "DefaultApplication": self.default_application,
            "ApprovalEnvironments": ",".join(self.approval_in),
            "ManualStartEnvironments": ",".join(self.manual_start_in),
            "ExplicitCreationEnvironments": ",".join(self.explicit_creation_in),
            "HostedZoneId": self.hosted_zone,
            "Domain": self.domain,
            "VersionRetentionDays": str(self.version_retention_days),
        }


@dataclass(frozen=True)
class Built:
    """A build of the control plane, and where its packaged template lies."""

    manifest: Manifest
    source: str
    fingerprint: str
    bucket: str
    template_key: str


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


def build(target: Target, packed: Source, bucket: str, work: Path, log: Path) -> Built:
    """Build a packed control plane into its artifact bucket, where it is not complete already.

    `work` is a directory for the build, made anew but for its cache; `log` gets what is said.
    Raises Failed with the end of the log.
    """
    buildspec = (ROOT / "buildspec.yml").read_text()
    scope = naming.build_scope(target.tenant, per_tenant=False)
    print_ = fingerprint(packed.sha256, "", target.runtime, target.architecture, buildspec, scope)
    key = f"{naming.build_prefix(target.stack, print_)}/template.yaml"
    described = manifest.parse(_text(packed, manifest.FILE_NAME))
    made = Built(described, packed.sha256, print_, bucket, key)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    if build_artifacts.missing(bucket, key, target.stack):
        _make(target, packed, made, work, log)
    return made


def _make(target: Target, packed: Source, made: Built, work: Path, log: Path) -> None:
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    _unpack(packed, tree)
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
    described = made.manifest.build
    for command in described.commands:
        _run(["bash", "-euo", "pipefail", "-c", command], tree, environment, log)
    stamp = tree / described.stamp
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(f'{{"fingerprint":"{made.fingerprint}","source":"{made.source}"}}\n')
    # fmt: off
    _run([
        "sam", "build", "--cached", "--parallel", "--cache-dir", str(work / "cache"),
        "--template", described.template, "--parameter-overrides",
        f"Runtime={target.runtime}", f"Architecture={target.architecture}",
    ], tree, environment, log)
    _run([
        "sam", "package", "--no-progressbar", "--template-file", ".aws-sam/build/template.yaml",
        "--s3-bucket", made.bucket, "--s3-prefix", target.stack,
        "--output-template-file", "packaged.yaml",
    ], tree, environment, log)
    # fmt: on
    # Last, because its being there says that the build is complete.
    aws.s3().put_object(
        Bucket=made.bucket,
        Key=made.template_key,
        Body=(tree / "packaged.yaml").read_bytes(),
        ContentType="application/yaml",
    )


def _unpack(packed: Source, tree: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        for info in archive.infolist():
            file = tree / info.filename
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(info))
            file.chmod(info.external_attr >> 16 & 0o777)


def _text(packed: Source, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        return archive.read(name).decode()


def _run(command: list[str], directory: Path, environment: dict[str, str], log: Path) -> None:
    with log.open("ab") as output:
        answer = subprocess.run(
            command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    if answer.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"'{' '.join(command[:2])}' failed; the end of {log}:\n{end}")
