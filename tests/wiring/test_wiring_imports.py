"""Imports go one way, importing does nothing, and nothing knows what it deploys."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from asl_graph import ROOT, definition, texts
from source_code import files, imported, texts_in_code

FORBIDDEN = {
    "control_plane": {"workers", "cli", "local", "simulation", "tests", "backend", "rawscribe"},
    "workers": {"cli", "local", "simulation", "tests", "backend", "rawscribe"},
    "local": {"cli", "workers", "simulation", "tests", "backend", "rawscribe"},
    "simulation": {"workers", "cli", "local", "tests", "backend", "rawscribe"},
    "cli": {"workers", "tests", "backend", "rawscribe"},
}
"""By package, what it never imports. `cli` is imported by nobody."""

FLOORS = ("api", "use_cases", "services", "store", "rules")
"""Packages of `control_plane`, from the top: each imports those below it, and the modules beside
them, which import none of them."""

APPLICATION = "rawscribe"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    "path", [path for package in FORBIDDEN for path in files(package)], ids=_name
)
def test_imports_go_one_way(path: Path) -> None:
    forbidden = FORBIDDEN[path.relative_to(ROOT).parts[0]]
    assert {name.split(".")[0] for name in imported(path)} & forbidden == set()


@pytest.mark.parametrize("path", files("control_plane"), ids=_name)
def test_a_floor_of_the_control_plane_stands_on_those_below_it(path: Path) -> None:
    own = path.relative_to(ROOT / "control_plane").parts[0]
    above = FLOORS[: FLOORS.index(own)] if own in FLOORS else FLOORS
    assert [
        name for name in imported(path) if name.split(".")[1:2] and name.split(".")[1] in above
    ] == []


def test_every_package_of_the_control_plane_has_its_floor() -> None:
    folders = {path.parent.name for path in (ROOT / "control_plane").glob("*/*.py")}
    assert folders == set(FLOORS)


@pytest.mark.parametrize("path", files("control_plane/rules"), ids=_name)
def test_rules_ask_nobody(path: Path) -> None:
    """Neither AWS nor the network nor the clock: facts and the time are given to them."""
    outside = {"boto3", "botocore", "requests", "control_plane.aws", "control_plane.models.utc_now"}
    assert imported(path) & outside == set()


def test_an_import_inside_a_function_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def f():\n    from cli import main\n    import workers.stack\n")
    assert imported(file) == {"cli", "cli.main", "workers.stack"}


# Knowing no application ---------------------------------------------------------------------------


def _mentions_in(path: Path) -> list[int]:
    return [line for line, text in texts_in_code(path) if APPLICATION in text.lower()]


@pytest.mark.parametrize("path", files("control_plane", "workers"), ids=_name)
def test_the_code_does_not_know_the_application(path: Path) -> None:
    assert _mentions_in(path) == []


def test_a_mention_in_code_is_found_and_one_in_a_docstring_is_not(tmp_path: Path) -> None:
    file = tmp_path / "knowing.py"
    file.write_text('"""rawscribe"""\n# rawscribe\nX = f"rawscribe-{1}"\n"""rawscribe"""\n')
    assert _mentions_in(file) == [3]


def test_neither_the_state_machine_nor_the_build_knows_the_application() -> None:
    buildspec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    known = [text for _, text in texts([definition(), buildspec])]
    assert len(known) > 100
    assert [text for text in known if APPLICATION in text.lower()] == []


# Importing does nothing ---------------------------------------------------------------------------

POISONED = """
import importlib, os, sys, datetime, time
root = sys.argv[1]
sys.path.insert(0, root)
import boto3
own = tuple(os.path.join(root, package) + os.sep for package in ("control_plane", "workers"))

def refuse(*arguments, **options):
    raise AssertionError("a client was made by an import")

boto3.client = boto3.resource = boto3.Session = boto3.session.Session = refuse

class Watched(type(os.environ)):
    def __getitem__(self, name):
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename.startswith(("<frozen", os.path.dirname(os.__file__)
                + os.sep + "os.py")):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(own):
            raise AssertionError(f"{name} was read by an import: {frame.f_code.co_filename}")
        return super().__getitem__(name)

os.environ.__class__ = Watched
for module in sys.argv[2:]:
    importlib.import_module(module)
print("imported", len(sys.argv) - 2)
"""


def _import(root: Path, modules: list[str]) -> subprocess.CompletedProcess[str]:
    """Import modules in a new interpreter, with nothing in its environment."""
    return subprocess.run(
        [sys.executable, "-B", "-c", POISONED, str(root), *modules],
        env={}, cwd=root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_importing_makes_no_client_and_reads_no_environment() -> None:
    paths = files("control_plane", "workers")
    modules = [_name(path).removesuffix(".py").replace("/", ".") for path in paths]
    done = _import(ROOT, modules)
    assert done.stdout.strip() == f"imported {len(modules)}", done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import boto3; boto3.client('s3', region_name='x')",
        "import os; os.environ['HOME']",
        "import os; os.environ.get('HOME')",
        "import os; os.getenv('HOME')",
    ],
)
def test_an_import_that_does_something_is_found(tmp_path: Path, line: str) -> None:
    package = tmp_path / "workers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "hasty.py").write_text(line)
    done = _import(tmp_path, ["workers.hasty"])
    assert done.returncode != 0
    assert "by an import" in done.stderr
