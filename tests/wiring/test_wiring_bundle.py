"""What `sam build` puts into a function, and what it must not."""

import shutil
import subprocess
from pathlib import Path

import pytest
from asl_graph import ROOT
from sam_template import function_defaults, functions, resource

from control_plane import manifest

OWN = {"control_plane", "workers", "trial", "buildspec.yml"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker function's bundle, made as a build makes it: by the pre-build command, in a copy of
    the checkout, and by the Makefile that SAM calls."""
    checkout, target = (tmp_path_factory.mktemp(name) for name in ("checkout", "bundle"))
    for name in (*OWN, "bundle", "Makefile", "tools.mk"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    (command,) = manifest.parse((ROOT / "application.toml").read_text()).build.commands
    _make(command.split(), checkout)
    _make(["make", "build-RecordFunction", f"ARTIFACTS_DIR={target}"], checkout / "bundle")
    return target


def _make(command: list[str], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_bundle_holds_the_workers_and_what_they_import_and_nothing_else(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == OWN


def test_a_bundle_holds_every_module_unchanged(bundle: Path) -> None:
    for package in ("control_plane", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            assert (bundle / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_a_bundle_holds_nothing_that_running_python_left_behind(bundle: Path) -> None:
    """Compiled files name this machine and its time: the same source would be another version."""
    left = [
        path for path in bundle.rglob("*") if path.suffix == ".pyc" or path.name == "__pycache__"
    ]
    assert [str(path.relative_to(bundle)) for path in left] == []


def test_a_handler_is_in_the_bundle(bundle: Path) -> None:
    for function in functions().values():
        module = function["Handler"].rpartition(".")[0].replace(".", "/")
        assert (bundle / f"{module}.py").exists()


def test_every_function_is_built_by_the_makefile() -> None:
    assert function_defaults()["CodeUri"] == "bundle"
    for name in functions():
        assert name.endswith("Function"), "bundle/Makefile's target is build-%Function"
        assert resource(name)["Metadata"] == {"BuildMethod": "makefile"}
        assert "CodeUri" not in resource(name)["Properties"]
