"""Which build a tenant needs of a source: its fingerprint, and its own lock of dependencies."""

from dataclasses import dataclass
from pathlib import Path

from control_plane import naming
from control_plane.manifest import Manifest
from control_plane.models import Tenant
from control_plane.store.builds import fingerprint
from control_plane.store.sources import SourceArchive

BUILDSPEC = Path(__file__).resolve().parents[2] / "buildspec.yml"


@dataclass(frozen=True)
class NeededBuild:
    """`overrides_path`: where the tenant's own lock lies in the source; empty when it has none."""

    fingerprint: str
    overrides_path: str


def needed_build(
    tenant: Tenant, source: str, described: Manifest, bucket: str, runtime: str, architecture: str
) -> NeededBuild:
    """The build that a tenant needs. Raises InvalidRequest for a source that cannot be read."""
    path = _overrides(tenant, source, described, bucket)
    scope = naming.build_scope(tenant, per_tenant=described.build.per_tenant)
    print_ = fingerprint(source, path, runtime, architecture, BUILDSPEC.read_text(), scope)
    return NeededBuild(print_, path)


def _overrides(tenant: Tenant, source: str, described: Manifest, bucket: str) -> str:
    pattern = described.build.dependency_overrides
    if pattern is None:
        return ""
    path = naming.filled(pattern, tenant)
    return path if _archive(bucket, tenant, source).read(path) is not None else ""


_read: dict[str, SourceArchive] = {}
"""The source that was read last, by its name."""


def _archive(bucket: str, tenant: Tenant, source: str) -> SourceArchive:
    """A source, which never changes: a rollout asks the same one about each of its tenants."""
    if source not in _read:
        archive = SourceArchive.fetch(bucket, tenant, source)
        _read.clear()
        _read[source] = archive
    return _read[source]
