"""The environments that local processes get.

The emulator hands its own environment on to every Lambda function, so it is built from a short
list and nothing of a developer's shell (credentials, profiles, a virtual environment) can leak
into a function or change how it behaves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from local.laptop import Laptop

STACK_SECONDS_VARIABLE = "SYNDI_LOCAL_STACK_SECONDS"
# For the tests that show what a patch is good for: a comma separated list of patches to leave out.
WITHOUT_VARIABLE = "SYNDI_LOCAL_WITHOUT_PATCHES"
# For the tests of a busy AWS: where functions find CloudFormation, such as a proxy that throttles.
CLOUDFORMATION_VARIABLE = "SYNDI_LOCAL_CLOUDFORMATION_ENDPOINT"

Environ = Mapping[str, str] | None

_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip


def base_environment(environ: Environ = None) -> dict[str, str]:
    """The harmless part of a developer's environment."""
    environ = os.environ if environ is None else environ
    return {name: environ[name] for name in _PASSED_ON if name in environ}


def emulator_environment(laptop: Laptop, environ: Environ = None) -> dict[str, str]:
    """What the emulator is started with; Lambda functions inherit all of it.

    A function's AWS_ENDPOINT_URL is not set here: the emulator derives it from GATEWAY_PORT.
    In `environ`: SYNDI_LOCAL_STACK_SECONDS is the length of a CloudFormation operation,
    SYNDI_LOCAL_CLOUDFORMATION_ENDPOINT another endpoint of CloudFormation for the functions only.
    """
    environ = os.environ if environ is None else environ
    state = laptop.state_dir
    env = base_environment(environ) | {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(laptop.port),
        "MINISTACK_ACCOUNT_ID": laptop.account,
        "MINISTACK_REGION": laptop.region,
        "AWS_ACCESS_KEY_ID": laptop.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": laptop.credentials.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_CODEBUILD": laptop.codebuild_endpoint,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "emulator"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "TMPDIR": str(state / "tmp"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        # A daemon that does not exist: the emulator would otherwise look through a developer's
        # Docker and remove containers that carry its label.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "PYTHONUNBUFFERED": "1",
    }
    settings = (STACK_SECONDS_VARIABLE, WITHOUT_VARIABLE)
    if CLOUDFORMATION_VARIABLE in environ:
        env["AWS_ENDPOINT_URL_CLOUDFORMATION"] = environ[CLOUDFORMATION_VARIABLE]
    return env | {name: environ[name] for name in settings if name in environ}


def endpoint_environment(laptop: Laptop, environ: Environ = None) -> dict[str, str]:
    """What the CodeBuild endpoint is started with: the developer's environment (a build may need a
    proxy setting or a package index) without anything that names an AWS or a Python of its own."""
    environ = os.environ if environ is None else environ
    env = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("AWS_", "PYTHON")) and name != "VIRTUAL_ENV"
    }
    return env | {
        "SYNDI_LOCAL_DIR": str(laptop.state_dir),
        "SYNDI_LOCAL_PORT": str(laptop.port),
        "SYNDI_LOCAL_CODEBUILD_PORT": str(laptop.codebuild_port),
        "PYTHONUNBUFFERED": "1",
    }
