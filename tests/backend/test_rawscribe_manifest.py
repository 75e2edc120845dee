"""The manifest speaks of things that exist: in the template, in the source, in the answers."""

import json
import re
import subprocess
import time
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from rawscribe import build, config
from rawscribe.permissions import Group
from template_reading import ACCOUNT, Stack, read

BACKEND = Path(__file__).parents[2] / "backend"
MANIFEST: dict[str, Any] = tomllib.loads((BACKEND / "application.toml").read_text())
TEMPLATE = read(BACKEND / MANIFEST["build"]["template"])


def named(pattern: str) -> str:
    return pattern.format(env="stage", org="myorg", account=ACCOUNT)


def test_logical_ids() -> None:
    resources = TEMPLATE["Resources"]
    assert resources[MANIFEST["stack"]["function"]]["Type"] == "AWS::Serverless::Function"
    assert resources[MANIFEST["stack"]["layer"]]["Type"] == "AWS::Serverless::LayerVersion"


def test_parameters() -> None:
    stack = MANIFEST["stack"]
    for name in stack["parameters"].values():
        assert name in TEMPLATE["Parameters"]
    for name, value in stack["first_deployment"].items():
        assert value in TEMPLATE["Parameters"][name]["AllowedValues"]


def test_outputs() -> None:
    outputs = set(TEMPLATE["Outputs"])
    admin, tests = MANIFEST["admin"], MANIFEST["tests"]
    assert {admin["user_pool"], admin["client"], tests["endpoint"]} <= outputs
    assert set(MANIFEST["config"]["outputs"].values()) <= outputs


def test_config_paths_are_read_by_the_application(tmp_path: Path) -> None:
    document: dict[str, Any] = {}
    for path in MANIFEST["config"]["outputs"]:
        *sections, last = path.split(".")
        inner = document
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = "from-the-stack"
    (tmp_path / "config.json").write_text(json.dumps(document))
    settings = (
        config.ConfigStore({}, Mock(), time.monotonic, tmp_path / "config.json").current().settings
    )
    assert settings.auth.cognito.user_pool_id == "from-the-stack"
    assert settings.auth.cognito.client_id == "from-the-stack"
    assert settings.auth.cognito.region == "from-the-stack"
    assert settings.api.endpoint == "from-the-stack"
    assert settings.frontend["url"] == "from-the-stack"


def test_buckets_are_the_templates() -> None:
    stack = Stack(TEMPLATE, Environment="stage", Organization="myorg", CreateBuckets="true")
    resources = stack.section("Resources").values()
    created = {
        item["Properties"]["BucketName"] for item in resources if item["Type"] == "AWS::S3::Bucket"
    }
    assert {named(pattern) for pattern in MANIFEST["stack"]["buckets"]} == created
    variables = stack.section("Resources")["RawscribeLambda"]["Properties"]["Environment"]
    assert named(MANIFEST["config"]["bucket"]) == variables["Variables"]["CONFIG_S3_BUCKET"]
    assert MANIFEST["config"]["key"] == variables["Variables"]["CONFIG_S3_KEY"]


def test_stateful_types_cover_the_template() -> None:
    types = {item["Type"] for item in TEMPLATE["Resources"].values()}
    holds_data = {"AWS::Cognito::UserPool", "AWS::S3::Bucket", "AWS::DynamoDB::Table"}
    assert types & holds_data <= set(MANIFEST["stack"]["stateful_types"])


def test_administrators_are_the_templates() -> None:
    assert MANIFEST["admin"]["group"] == Group.ADMINS


def test_files() -> None:
    source = MANIFEST["build"]
    assert BACKEND / source["stamp"] == build.STAMP
    assert (BACKEND / source["dependencies"]).is_file()
    assert (BACKEND / MANIFEST["config"]["directory"] / "base.json").is_file()


def test_commands_bundle_the_base_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "rawscribe").mkdir()
    for file in (BACKEND / "config").iterdir():
        (tmp_path / "config" / file.name).write_text(file.read_text())
    for command in MANIFEST["build"]["commands"]:
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, check=True)
    bundled = tmp_path / "rawscribe" / config.BUNDLED.relative_to(BACKEND / "rawscribe")
    assert json.loads(bundled.read_text()) == json.loads((BACKEND / "config/base.json").read_text())
    inside = [path for path in (tmp_path / "rawscribe").rglob("*") if path.is_file()]
    assert inside == [bundled], "nothing of a tenant's is bundled"


def test_answers(tenant: Any, user: Any) -> None:
    tests = MANIFEST["tests"]
    assert tenant.call("GET", tests["health"]).body[tests["fingerprint"]] == "f1n9e4"
    me = tenant.call("GET", tests["protected"], user("ADMINS", sub="s")).body
    assert me[tests["identity"]] == "s@example.com"
    assert me[tests["groups"]] == ["ADMINS"]
    runtime = tenant.call("GET", tests["runtime_config"]).body
    assert runtime[tests["runtime_user_pool"]] == "us-east-1_Alpha0001"


# The lock and the layer's Makefile ------------------------------------------------------------

LAYER = BACKEND / "layers" / "dependencies"


def test_the_lock_is_complete_and_names_no_host() -> None:
    text = (LAYER / "requirements.txt").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    pins = [line for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    locked = {pin.split("==")[0].lower() for pin in pins}
    wanted = [line.split("#")[0].strip() for line in (LAYER / "requirements.in").open()]
    assert {name.lower() for name in wanted if name} <= locked


def make_layer(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    make = subprocess.run(["which", "make"], capture_output=True, text=True, check=True)
    return subprocess.run(
        [make.stdout.strip(), "build-DependencyLayer", f"ARTIFACTS_DIR={tmp_path}/out"],
        cwd=LAYER,
        env={"PATH": f"{tmp_path}/bin:/nonexistent", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def fake_uv(tmp_path: Path) -> Path:
    """A `uv` that writes down how it was called, and the few tools that the Makefile needs."""
    (tmp_path / "bin").mkdir()
    for tool in ("find", "rm", "touch", "mkdir"):
        real = subprocess.run(["which", tool], capture_output=True, text=True, check=True)
        (tmp_path / "bin" / tool).symlink_to(real.stdout.strip())
    uv = tmp_path / "bin" / "uv"
    uv.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/called\nmkdir -p {tmp_path}/out/python\n'
    )
    uv.chmod(0o755)
    return tmp_path / "called"


def test_the_layer_is_built_for_the_platform(tmp_path: Path, fake_uv: Path) -> None:
    lock = tmp_path / "tenant.txt"
    lock.write_text("")
    done = make_layer(
        tmp_path,
        LAYER_PYTHON_VERSION="3.13",
        LAYER_PYTHON_PLATFORM="aarch64-manylinux2014",
        LAYER_REQUIREMENTS=str(lock),
    )
    assert done.returncode == 0, done.stderr
    called = fake_uv.read_text().splitlines()
    assert called[:2] == ["pip", "install"]
    pairs = dict(pairwise(called))
    assert pairs["--python-version"] == "3.13"
    assert pairs["--python-platform"] == "aarch64-manylinux2014"
    assert pairs["--only-binary"] == ":all:"
    assert pairs["-r"] == str(lock)
    assert pairs["--target"] == f"{tmp_path}/out/python"
    assert {"--require-hashes", "--no-deps"} <= set(called)


def test_the_layer_defaults_to_this_machine_and_its_own_lock(tmp_path: Path, fake_uv: Path) -> None:
    assert make_layer(tmp_path, LAYER_REQUIREMENTS="").returncode == 0, "empty is absent"
    called = fake_uv.read_text().splitlines()
    assert "--python-version" not in called
    assert "--python-platform" not in called
    assert called[-1] == str(LAYER / "requirements.txt")


def test_the_layer_needs_uv(tmp_path: Path) -> None:
    done = make_layer(tmp_path)
    assert done.returncode != 0
    assert "uv is not on PATH" in done.stderr


def test_the_layer_needs_its_lock(tmp_path: Path, fake_uv: Path) -> None:
    done = make_layer(tmp_path, LAYER_REQUIREMENTS="/nowhere/lock.txt")
    assert done.returncode != 0
    assert "/nowhere/lock.txt" in done.stderr
    assert not fake_uv.exists()


# The schema of the configuration ------------------------------------------------------------------

SCHEMA = json.loads((BACKEND / MANIFEST["config"]["schema"]).read_text())


def closed(schema: dict[str, Any]) -> bool:
    """Whether every object of a schema says which keys it has."""
    objects = [schema] if schema.get("type") == "object" else []
    below = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return all(item.get("additionalProperties") is False for item in objects) and all(
        closed(item) for item in below
    )


def test_the_schema_knows_every_setting_and_no_other() -> None:
    """A misspelled key would be kept out by the code without a word."""
    assert closed(SCHEMA)
    defaults = config.Settings().model_dump(mode="json", by_alias=True)

    def keys(schema: dict[str, Any], value: dict[str, Any], path: str) -> None:
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
        if path != "frontend":  # the code hands it on as it is
            assert set(schema["properties"]) == set(value), path
        for key, below in value.items():
            if isinstance(below, dict):
                keys(schema["properties"][key], below, f"{path}.{key}".lstrip("."))

    keys(SCHEMA, defaults, "")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("documentBytes", (1_023, 1_024, 4_194_304, 4_194_305, "x", 1.5)),
        ("pageSize", (0, 1, 1_000, 1_001, None, True)),
    ],
)
def test_the_schema_takes_what_the_code_takes(key: str, values: tuple[Any, ...]) -> None:
    validator = Draft202012Validator(SCHEMA["properties"]["limits"])
    for value in values:
        try:
            config.Settings.model_validate({"limits": {key: value}}, strict=True)
            takes = True
        except ValidationError:
            takes = False
        assert validator.is_valid({key: value}) is takes, value
