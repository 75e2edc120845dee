"""Releases of the control plane for the end-to-end tests: this checkout, changed a little."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from syndi_command import ROOT, Result, Syndi

OWN = "control-plane"
STACK = "control-plane-dev-local"

Edit = tuple[str, str, str]
"""A file, what occurs in it once, and what stands there instead."""


def release(directory: Path, version: str, *edits: Edit) -> Path:
    """The checkout's tracked files, copied, with another version and these changes."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, names):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    package = directory / "control_plane" / "__init__.py"
    head, _, _ = package.read_text().partition("__version__")
    package.write_text(f'{head}__version__ = "{version}"\n')
    for name, old, new in edits:
        text = (directory / name).read_text()
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        (directory / name).write_text(text.replace(old, new))
    return directory


def update(syndi: Syndi, source: Path, *options: str) -> Result:
    """A self-update, to its end or with --no-wait to its start."""
    return syndi.run("--local", "self-update", "--path", str(source), *options, "--json")


def updated(syndi: Syndi, source: Path, *options: str) -> dict[str, Any]:
    """A self-update that must succeed; gives its record."""
    result = update(syndi, source, *options)
    assert result.exit_code == 0, f"{result.stdout}\n{result.stderr}"
    record: dict[str, Any] = result.json
    assert record["status"] == "SUCCEEDED", record
    return record


def running(syndi: Syndi) -> dict[str, Any]:
    """The release that the control plane says it is: version, source and build."""
    found: dict[str, Any] = syndi.ok("--local", "version", "--json").json["control_plane"]
    return found


def updates(syndi: Syndi) -> list[dict[str, Any]]:
    """The control plane's own deployments, newest first."""
    return syndi.history("dev", "local", "--application", OWN)
