"""Which build a tenant needs of a source: its fingerprint, and its own lock of dependencies."""

from dataclasses import dataclass
from functools import lru_cache
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
    path, text = _overrides(tenant, source, described, bucket)
    print_ = fingerprint(source, text, runtime, architecture, BUILDSPEC.read_text())
    return NeededBuild(print_, path)


def _overrides(tenant: Tenant, source: str, described: Manifest, bucket: str) -> tuple[str, str]:
    pattern = described.build.dependency_overrides
    if pattern is None:
        return "", ""
    path = naming.filled(pattern, tenant)
    text = _archive(bucket, source).read(path)
    return (path, text) if text is not None else ("", "")


@lru_cache(maxsize=1)
def _archive(bucket: str, source: str) -> SourceArchive:
    """A source, which never changes: a rollout asks the same one about each of its tenants."""
    return SourceArchive.fetch(bucket, source)
