"""The environment of each function: typed, complete, and parsed on first use.

One model per function, so that a missing variable is named before the first step runs and a
function declares no more than it needs.
"""

import os
from functools import cache
from typing import TypeVar, cast

from pydantic import BaseModel, ConfigDict


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=str.upper)

    account_id: str
    aws_region: str
    control_plane_stack: str
    table_name: str


class _TenantSettings(_Settings):
    """Of functions that work in sessions of a tenant role (`control_plane.aws.of_tenant`)."""

    tenant_role_arn: str


class RecordSettings(_Settings):
    """workers/record.py. `…_environments`: with commas between, or empty."""

    artifact_bucket: str
    default_application: str
    approval_environments: str
    explicit_creation_environments: str
    deployment_slots: int
    manual_start_environments: str
    schedule_group: str


class StackSettings(_Settings):
    """workers/stack.py"""

    artifact_bucket: str
    cloudformation_role_arn: str
    update_role_arn: str
    permissions_boundary_arn: str
    tenant_runtime: str
    tenant_architecture: str


class BuildSettings(_Settings):
    """workers/build.py. `build_projects`: one for each environment, with commas between."""

    artifact_bucket: str
    build_projects: str
    own_build_project: str
    tenant_runtime: str
    tenant_architecture: str
    tenant_platform: str


class ConfigSettings(_TenantSettings):
    """workers/config.py"""

    artifact_bucket: str


class CodeSettings(_TenantSettings):
    """workers/code.py"""

    artifact_bucket: str


class OffboardSettings(_Settings):
    """workers/offboard.py"""

    artifact_bucket: str
    schedule_group: str


class ReleaseSettings(_Settings):
    """workers/release.py. `approval_environments`: with commas between, or empty."""

    approval_environments: str
    version_retention_days: int


class RolloutSettings(_Settings):
    """workers/rollout.py. `…_environments`: with commas between, or empty."""

    deployment_slots: int
    manual_start_environments: str
    schedule_group: str
    application_prefixes: str
    approval_environments: str
    explicit_creation_environments: str
    artifact_bucket: str
    default_application: str
    tenant_runtime: str
    tenant_architecture: str


class AdminSettings(_TenantSettings):
    """workers/admin.py"""


class VerifySettings(_TenantSettings):
    """workers/verify.py"""

    artifact_bucket: str
    stranger_pool_id: str
    stranger_client_id: str


class RouteSettings(_Settings):
    """workers/route.py. `manual_start_environments`: with commas between, or empty."""

    default_application: str
    manual_start_environments: str


class ApiSettings(_Settings):
    """control_plane/api/app.py. `approval_environments`: with commas between, or empty."""

    application_prefixes: str
    approval_environments: str
    explicit_creation_environments: str
    artifact_bucket: str
    default_application: str
    state_machine_arn: str
    rollout_machine_arn: str
    schedule_group: str
    scheduler_role_arn: str
    config_function: str
    code_function: str
    record_function: str
    deployment_slots: int
    route_function: str
    shift_state_machine_arn: str


S = TypeVar("S", bound=_Settings)


def settings(kind: type[S]) -> S:
    """The function's environment. Raises pydantic's ValidationError that names what is missing."""
    return cast(S, _parsed(kind))


def forget_settings() -> None:
    """Read the environment again at the next use: for tests that change it."""
    _parsed.cache_clear()


@cache
def _parsed(kind: type[_Settings]) -> _Settings:
    return kind.model_validate(dict(os.environ))
