"""What the routes work with, made once per process, on the first request."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from botocore.config import Config
from fastapi import Depends, Request

from rawscribe import build
from rawscribe.config import ConfigStore, Loaded
from rawscribe.errors import Forbidden
from rawscribe.identity import Identity, identify
from rawscribe.permissions import Permission, allows
from rawscribe.settings import Settings, Store
from rawscribe.storage import DocumentStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Well below the function's 30 s, so that a storage that hangs is answered with a reason.
S3_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@dataclass
class Services:
    """Clients and configuration of this process."""

    environ: Mapping[str, str]
    fingerprint: str = field(default_factory=build.fingerprint)

    @cached_property
    def s3(self) -> "S3Client":
        """The S3 client of the function's own role."""
        return boto3.client("s3", config=S3_CONFIG)

    @cached_property
    def config(self) -> ConfigStore:
        """The configuration of this tenant."""
        return ConfigStore(self.environ, lambda: self.s3, time.monotonic)

    def store(self, store: Store, settings: Settings) -> DocumentStore:
        """The documents in one of the tenant's buckets."""
        return DocumentStore(self.s3, store.bucket, store.prefix, settings.limits.document_bytes)


def services(request: Request) -> Services:
    """The services of the application that answers `request`."""
    found: Services = request.app.state.services
    return found


def loaded(services: Annotated[Services, Depends(services)]) -> Loaded:
    """The configuration, and where it came from."""
    return services.config.current()


def settings(loaded: Annotated[Loaded, Depends(loaded)]) -> Settings:
    """The configuration."""
    return loaded.settings


def identity(request: Request, settings: Annotated[Settings, Depends(settings)]) -> Identity:
    """Who is asking. Raises Unauthenticated."""
    event: Mapping[str, Any] = request.scope.get("aws.event") or {}
    return identify(event, settings.auth)


CurrentServices = Annotated[Services, Depends(services)]
CurrentConfig = Annotated[Loaded, Depends(loaded)]
CurrentSettings = Annotated[Settings, Depends(settings)]
CurrentIdentity = Annotated[Identity, Depends(identity)]


class Needs:
    """The identity, when it has `permission`. Raises Forbidden."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, identity: CurrentIdentity) -> Identity:
        if not allows(identity.groups, self.permission):
            raise Forbidden(f"this needs the permission {self.permission}")
        return identity
