"""What a build gets and gives: source zips, artifacts, caches. No AWS here, only files."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from local.codebuild.spec import Artifacts


class BundleInvalid(Exception):
    """An archive that must not be unpacked, or artifacts that are not there."""


def unpack_source(archive: Path, target: Path) -> None:
    """Unpack a source zip into an empty directory, with the executable bits it records.

    Refused as a whole, before anything is written, when an entry would land outside `target` or is
    a link. Raises BundleInvalid.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            for entry in source.infolist():
                _check_entry(entry)
            for entry in source.infolist():
                written = Path(source.extract(entry, target))
                if not entry.is_dir() and (mode := entry.external_attr >> 16 & 0o777):
                    written.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
    except (zipfile.BadZipFile, OSError) as error:
        raise BundleInvalid(f"the source cannot be unpacked: {error}") from error


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # zipfile would quietly write such an entry to another place inside: better no build than one
    # of a source that was tampered with.
    name = entry.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in name.partition("/")[0]:
        raise BundleInvalid(f"the source has an entry outside of its directory: {name!r}")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise BundleInvalid(f"the source has a link: {name!r}")


def artifact_files(artifacts: Artifacts, source_dir: Path) -> list[tuple[Path, str]]:
    """The files that the buildspec names, each with its name below the artifact's prefix.

    Patterns are relative to `base-directory`; `**/*` is everything. Raises BundleInvalid when
    nothing matches, which fails a build on AWS too, or when something leads out of the source.
    """
    base = (source_dir / artifacts.base_directory).resolve()
    _check_inside(base, source_dir)
    found: dict[str, Path] = {}
    for pattern in artifacts.files:
        for path in _matches(base, pattern):
            _check_inside(path.resolve(), source_dir)
            found[path.relative_to(base).as_posix()] = path
    if not found:
        raise BundleInvalid(f"no matching artifact paths found: {', '.join(artifacts.files)}")
    return [(path, name) for name, path in sorted(found.items())]


def _check_inside(path: Path, directory: Path) -> None:
    if not path.is_relative_to(directory.resolve()):
        raise BundleInvalid(f"an artifact is not in the build's directory: {path}")


def _matches(base: Path, pattern: str) -> Iterator[Path]:
    plain = base / pattern
    if plain.is_dir():
        pattern = f"{pattern.rstrip('/')}/**/*"
    yield from (path for path in base.glob(pattern) if path.is_file())


def pack_cache(paths: list[str], source_dir: Path, archive: Path) -> list[str]:
    """Pack the buildspec's cache paths; returns those that are ignored because they are not in the
    source directory, which is the only place a laptop's build owns."""
    ignored = []
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for pattern in paths:
            relative = os.path.relpath(source_dir / pattern.split("*")[0], source_dir)
            top = source_dir / relative
            if relative == "." or relative.startswith(".."):
                ignored.append(pattern)
            elif top.exists():
                tar.add(top, arcname=relative)
    return ignored


def unpack_cache(archive: Path, source_dir: Path) -> None:
    """Raises BundleInvalid when it would write outside of `source_dir`, or is damaged."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(source_dir, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleInvalid(f"the cache cannot be unpacked: {error}") from error
