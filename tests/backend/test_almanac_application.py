"""The second application: unlike rawscribe, and useless without its pre-build command."""

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from template_reading import Stack, read

SOURCE = Path(__file__).parents[1] / "applications" / "almanac"
MANIFEST: dict[str, Any] = tomllib.loads((SOURCE / "application.toml").read_text())
STATUS = {"resource": "/status", "pathParameters": None}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The function's package, as `sam build` would make it, without the generated file."""
    (tmp_path / "handler.py").write_text((SOURCE / "almanac" / "handler.py").read_text())
    (tmp_path / "version.json").write_text('{"fingerprint": "abc"}')
    return tmp_path


def generate(into: Path) -> None:
    (command,) = MANIFEST["build"]["commands"]
    program, script, _output = command.split()
    assert program == "python3"
    subprocess.run([sys.executable, SOURCE / script, into / "moons.json"], check=True)


def load(built: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TENANT", "stage-m")
    spec = importlib.util.spec_from_file_location("almanac_handler", built / "handler.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_status_has_the_fingerprint_where_the_manifest_says(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(built)
    answer = load(built, monkeypatch).handler(STATUS, None)
    assert answer["statusCode"] == 200
    found = json.loads(answer["body"])
    for key in MANIFEST["tests"]["fingerprint"].split("."):
        found = found[key]
    assert found == "abc"


def test_full_moons(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(built)
    handler = load(built, monkeypatch).handler
    ask = {"resource": "/moons/{year}", "pathParameters": {"year": "2026"}}
    moons = json.loads(handler(ask, None)["body"])["moons"]
    assert "2026-11-24" in moons
    assert 12 <= len(moons) <= 13
    ask["pathParameters"] = {"year": "1999"}
    assert handler(ask, None)["statusCode"] == 404


def test_nothing_without_the_generated_file(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        load(built, monkeypatch).handler(STATUS, None)


def test_it_has_nothing_of_rawscribe() -> None:
    assert set(MANIFEST) == {"schema", "name", "build", "stack", "route", "tests"}
    assert set(MANIFEST["stack"]) == {"function"}
    stack = Stack(read(SOURCE / "stack.yaml"), Environment="stage", Organization="m")
    resources = stack.section("Resources")
    types = {item["Type"] for item in resources.values()}
    assert not [name for name in types if "Cognito" in name or "S3" in name or "Layer" in name]
    assert MANIFEST["stack"]["function"] in resources
    assert MANIFEST["tests"]["endpoint"] in stack.section("Outputs")
    assert not [file for file in SOURCE.rglob("*") if "rawscribe" in file.name]
