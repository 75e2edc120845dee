"""The build's tools: on a laptop they are there, in CodeBuild's image others are, or none."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from asl_graph import ROOT

from control_plane.rules.build_variables import TENANT_VARIABLES

BUILDSPEC = yaml.safe_load((ROOT / "buildspec.yml").read_text())
WANTED = {"UV_VERSION": "0.9.9", "SAM_VERSION": "1.170.0"}
COMMANDS = yaml.safe_load((ROOT / "buildspec.yml").read_text())["phases"]["install"]["commands"]
VENV = """for last; do :; done
mkdir -p "$last/bin"
cat > "$last/bin/pip" <<'PIP'
for name in "$@"; do case $name in
  uv==*) command=uv;; aws-sam-cli==*) command=sam;; *) continue;; esac
  printf '#!/bin/sh\\necho %s %s\\n' $command "${name#*==}" > "$(dirname "$0")/$command"
  chmod +x "$(dirname "$0")/$command"
done
PIP
chmod +x "$last/bin/pip"
"""
"""What `python3 -m venv DIRECTORY` does in the image: its pip installs commands."""


def told(directory: Path, **commands: str) -> subprocess.CompletedProcess[str]:
    """What the install phase says on a machine that has these commands first in its PATH."""
    for name, text in commands.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    script = "\n".join(f"{command}\n[ $? = 0 ] || exit 1" for command in COMMANDS)
    environment = {**WANTED, "PATH": f"{directory}:{os.defpath}", "TMPDIR": str(directory)}
    which = "command -v uv sam python3"
    return subprocess.run(
        ["bash", "-c", f"{script}\n{which}"], env=environment, capture_output=True, text=True
    )


def test_tools_that_are_there_are_used(tmp_path: Path) -> None:
    done = told(tmp_path, uv="echo uv 0.9.9", sam="echo SAM CLI, version 1.170.0", python3="exit 1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-3:-1] == [f"{tmp_path}/uv", f"{tmp_path}/sam"]


@pytest.mark.parametrize(
    "image",
    [
        {"sam": "echo SAM CLI, version 1.145.2"},
        {},
        {"uv": "echo uv 0.9.9"},
        {"uv": "echo uv 0.9.99", "sam": "echo SAM CLI, version 1.170.0"},
    ],
)
def test_others_are_passed_by_and_the_images_python_stays(
    tmp_path: Path, image: dict[str, str]
) -> None:
    done = told(tmp_path, python3=VENV, **image)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["uv 0.9.9", "sam 1.170.0"]
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/python3"


def test_a_build_that_is_made_again_replaces_what_somebody_changed() -> None:
    """SAM uploads nothing where an object of that name is: the changed one would be recorded."""
    package = next(c for c in BUILDSPEC["phases"]["post_build"]["commands"] if "sam package" in c)
    assert "--force-upload" in package.split()


def test_no_command_of_the_build_itself_knows_a_tenant() -> None:
    commands = [c for phase in BUILDSPEC["phases"].values() for c in phase["commands"]]
    assert [c for c in commands for name in TENANT_VARIABLES if name in c] == []


@pytest.mark.parametrize("broken", ["exit 1", "exit 0"])
def test_a_build_without_its_tools_fails_at_once(tmp_path: Path, broken: str) -> None:
    assert told(tmp_path, python3=broken, sam="echo SAM CLI, version 1.1.1").returncode == 1
