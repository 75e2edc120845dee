"""A source: a tree as a zip that is always the same bytes, and its push."""

import hashlib
import io
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.connection import Api, told
from cli.failure import Refused
from control_plane import manifest
from control_plane.errors import InvalidRequest
from control_plane.services import client

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


@dataclass(frozen=True)
class Source:
    """A packed tree: its bytes and the SHA-256 that names it; the files that were left out."""

    content: bytes
    sha256: str
    application: str
    untracked: list[str]


def pack(directory: Path) -> Source:
    """The tree's tracked files as a source. Raises Refused when it is no application.

    Sorted names, fixed times and modes: the same files are the same bytes, anywhere. Outside a git
    work tree every file counts but those below hidden directories.
    """
    described = directory / manifest.FILE_NAME
    if not described.is_file():
        raise Refused(f"{directory} has no {manifest.FILE_NAME}: it is not an application's source")
    try:
        application = manifest.parse(described.read_text(encoding="utf-8")).name
    except InvalidRequest as error:
        raise Refused(f"{described}: {error}", "InvalidRequest", error.details) from error
    except UnicodeDecodeError as error:
        raise Refused(f"{described} is not UTF-8: {error}", "InvalidRequest") from error
    names, untracked = tracked_files(directory)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            executable = (directory / name).stat().st_mode & 0o100
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(info, (directory / name).read_bytes())
    data = content.getvalue()
    return Source(data, hashlib.sha256(data).hexdigest(), application, untracked)


def tracked_files(directory: Path) -> tuple[list[str], list[str]]:
    """The files of a source, sorted, and those that git neither tracks nor ignores."""
    tracked = _git(directory, "--cached")
    if not tracked:  # no work tree, or nothing of this directory is in it
        found = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
        return sorted(
            path.as_posix()
            for path in found
            if not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
        ), []
    present = [name for name in tracked if (directory / name).is_file()]
    return sorted(present), _git(directory, "--others", "--exclude-standard") or []


def _git(directory: Path, *options: str) -> list[str]:
    try:
        answer = subprocess.run(
            ["git", "ls-files", "-z", *options], cwd=directory, capture_output=True, check=False
        )
    except FileNotFoundError:
        return []
    return [name for name in answer.stdout.decode().split("\0") if name]


def push(api: Api, source: Source, environments: list[str]) -> dict[str, Any]:
    """Upload a source where it is not there already, and make it the environments' current one."""
    with told():
        return client.push(
            api.client, source.content, source.sha256, source.application, environments
        )


def push_own(api: Api, source: Source, environments: list[str]) -> dict[str, Any]:
    """The same for a source of the control plane itself."""
    path = f"/control-plane/sources/{source.sha256}"
    with told():
        return client.push_to(api.client, source.content, path, source.application, environments)
