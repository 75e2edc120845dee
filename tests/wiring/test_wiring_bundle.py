"""What `sam build` puts into a function, and what it must not."""

import subprocess
from pathlib import Path

import pytest
from asl_graph import ROOT
from sam_template import function_defaults, functions, resource

OWN = {"control_plane", "workers", "buildspec.yml"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker function's bundle, made as SAM makes it: by the Makefile's target."""
    target = tmp_path_factory.mktemp("bundle")
    done = subprocess.run(
        ["make", "--silent", "build-RecordFunction", f"ARTIFACTS_DIR={target}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


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
    assert function_defaults()["CodeUri"] == "."
    for name in functions():
        assert name.endswith("Function"), "the Makefile's target is build-%Function"
        assert resource(name)["Metadata"] == {"BuildMethod": "makefile"}
        assert "CodeUri" not in resource(name)["Properties"]
