"""Where a laptop's AWS lives: directories, ports, addresses and credentials, computed in one place.

Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import SettingInvalid

PORT_VARIABLE = "SYNDI_LOCAL_PORT"
CODEBUILD_PORT_VARIABLE = "SYNDI_LOCAL_CODEBUILD_PORT"
DIRECTORY_VARIABLE = "SYNDI_LOCAL_DIR"


@dataclass(frozen=True)
class AccessKey:
    """A long-term AWS access key. Its repr hides the secret, so that it cannot reach a log."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key_id})"


# The emulator's root. With AUTH=true it takes three kinds of access key for root *without* checking
# their signature: "test", the account id, and whatever AWS_ACCESS_KEY_ID it was started with. This
# is no secret and protects nothing but against mistakes; the loopback binding is the protection.
ROOT = AccessKey("test", "test")


@dataclass(frozen=True)
class Laptop:
    """One local AWS. Two of them run side by side when directories and ports differ."""

    root: Path
    state_dir: Path
    port: int = 4566
    codebuild_port: int = 4567
    region: str = "us-east-1"
    account: str = "000000000000"
    credentials: AccessKey = ROOT

    @classmethod
    def at(cls, root: Path, environ: Mapping[str, str] | None = None) -> Laptop:
        """The laptop of a checkout.

        `root` is the directory that holds `local/` and `.tools/`. SYNDI_LOCAL_DIR (absolute, or
        relative to `root`), SYNDI_LOCAL_PORT and SYNDI_LOCAL_CODEBUILD_PORT in `environ` (default:
        this process's environment) override the defaults. Raises SettingInvalid.
        """
        environ = os.environ if environ is None else environ
        root = root.resolve()
        laptop = cls(
            root=root,
            state_dir=(root / (environ.get(DIRECTORY_VARIABLE) or ".local")).resolve(),
            port=_port(environ, PORT_VARIABLE, cls.port),
            codebuild_port=_port(environ, CODEBUILD_PORT_VARIABLE, cls.codebuild_port),
        )
        if laptop.port == laptop.codebuild_port:
            raise SettingInvalid(
                f"{PORT_VARIABLE} and {CODEBUILD_PORT_VARIABLE} are both {laptop.port}: "
                "the emulator and the CodeBuild endpoint need a port each."
            )
        return laptop

    @property
    def endpoint(self) -> str:
        """Address of the emulator: every AWS service but CodeBuild's builds."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def codebuild_endpoint(self) -> str:
        """Address of the endpoint that really runs builds."""
        return f"http://127.0.0.1:{self.codebuild_port}"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def tools_dir(self) -> Path:
        return self.root / ".tools"

    def aws_environment(self, key: AccessKey | None = None) -> dict[str, str]:
        """The variables with which any AWS SDK or CLI talks to this laptop, as `key` (default:
        root) and never with a profile or session of the developer's own."""
        key = key or self.credentials
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_CODEBUILD": self.codebuild_endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingInvalid(f"{name}={text!r} is not a port number (1 to 65535).")
    return int(text)
