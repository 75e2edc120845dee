"""When a function may be patched, and with which package."""

import io
import zipfile
from typing import Any

import pytest

from control_plane import manifest
from control_plane.errors import InvalidRequest
from control_plane.manifest import PackageTable
from control_plane.models import Env, Tenant
from control_plane.rules import patching
from control_plane.rules.patching import Package, SourceFiles
from control_plane.templates import parse

MANIFEST = """
schema = 1
name = "notes"
[build]
stamp = "code/build.json"
dependencies = "layer/requirements.txt"
dependency_overrides = "layer/overrides/{env}-{org}.txt"
[package]
code = "code"
into = "notes"
exclude = ["Makefile"]
[stack]
function = "Function"
layer = "Layer"
[config]
directory = "config"
bucket = "b"
key = "k"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
"""
TEMPLATE = """
Description: notes
Globals: {Function: {Timeout: 3, Environment: {Variables: {LEVEL: INFO}}}}
Parameters: {Environment: {Type: String}}
Resources:
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}
  Function:
    Type: AWS::Serverless::Function
    Properties: {Handler: a.b, Environment: {Variables: {ENV: !Ref Environment, ONE: '1'}}}
  Other:
    Type: AWS::Serverless::Function
    Properties: {Environment: {Variables: {ONE: '1'}}}
  FormsBucket: {Type: AWS::S3::Bucket}
"""
FILES = {
    "application.toml": MANIFEST,
    "template.yaml": TEMPLATE,
    "code/main.py": "1",
    "code/Makefile": "all:",
    "layer/requirements.txt": "a==1",
    "layer/Makefile": "build:",
    "layer/overrides/dev-x.txt": "a==0",
    "config/base.json": "{}",
    "README.md": "notes",
}
TENANT = Tenant(application="notes", env=Env.STAGE, org="alpha")
OWN_LOCK = {"layer/overrides/stage-alpha.txt": "a==2"}


def described(files: dict[str, str]) -> SourceFiles:
    """A source of these files."""
    return SourceFiles(
        manifest.parse(files["application.toml"]),
        parse(files["template.yaml"]),
        {path: text.encode() for path, text in files.items()},
    )


def changes(new: dict[str, str], old: dict[str, str] | None = None) -> list[str]:
    """What `new` files change beside the code."""
    return patching.other_changes(
        TENANT, described({**FILES, **(old or {})}), described({**FILES, **(old or {}), **new})
    )


def template(old: str, new: str) -> dict[str, str]:
    """The template with another text in one place."""
    assert TEMPLATE.count(old) == 1
    return {"template.yaml": TEMPLATE.replace(old, new)}


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({}, []),
        ({"code/main.py": "2", "code/new.py": "3", "README.md": "other"}, []),
        ({"config/base.json": '{"a": 1}'}, []),
        (template("notes\n", "other words\n"), []),
        ({"template.yaml": TEMPLATE.replace("!Ref Environment", "{Ref: Environment}")}, []),
        (
            template("ONE: '1'}}}\n  Other", "ONE: '2', TWO: x}}}\n  Other"),
            ["environment variables: Function ONE, TWO"],
        ),
        (
            template(", ONE: '1'}}}\n  Other", "}}}\n  Other"),
            ["environment variables: Function ONE"],
        ),
        (
            template(
                "{Variables: {ENV: !Ref Environment, ONE: '1'}}",
                "{Variables: {'Fn::If': [C, {ONE: '1'}, {}]}}",
            ),
            ["environment variables: Function ENV, ONE"],
        ),
        (template("{LEVEL: INFO}", "{LEVEL: DEBUG}"), ["environment variables: Globals LEVEL"]),
        (
            template("{Environment: {Variables: {ONE: '1'}}}\n  F", "{}\n  F"),
            ["infrastructure: Other"],
        ),
        (
            template("Handler: a.b", "Handler: a.c"),
            ["infrastructure: Function"],
        ),
        (
            template("FormsBucket: {Type: AWS::S3::Bucket}", "Table: {Type: AWS::S3::Bucket}"),
            ["infrastructure: FormsBucket, Table"],
        ),
        (template("Timeout: 3", "Timeout: 4"), ["infrastructure: Globals"]),
        (template("Type: String", "Type: Number"), ["infrastructure: Parameters"]),
        ({"layer/requirements.txt": "a==2"}, ["dependencies: layer/requirements.txt"]),
        ({"layer/Makefile": "x"}, ["dependencies: layer/Makefile"]),
        (OWN_LOCK, [
            "dependencies: layer/overrides/stage-alpha.txt, layer/requirements.txt"
        ]),
        ({"layer/overrides/dev-x.txt": "a==3"}, []),
        ({"code/Makefile": "x"}, ["build: code/Makefile"]),
        (
            {"application.toml": MANIFEST.replace('health = "/health"', 'health = "/h"')},
            ["build: application.toml"],
        ),
        ({"application.toml": MANIFEST + "# a comment\n"}, []),
        (
            {**template("Timeout: 3", "Timeout: 4"), "layer/requirements.txt": "b"},
            ["infrastructure: Globals", "dependencies: layer/requirements.txt"],
        ),
    ],
)  # fmt: skip
def test_what_a_source_changes_beside_the_code_is_named(
    new: dict[str, str], told: list[str]
) -> None:
    assert changes(new) == told


def test_with_a_lock_of_its_own_the_common_one_does_not_count() -> None:
    assert changes({"layer/requirements.txt": "a==9"}, OWN_LOCK) == []
    own = {"layer/overrides/stage-alpha.txt": "a==3"}
    assert changes(own, OWN_LOCK) == ["dependencies: layer/overrides/stage-alpha.txt"]


def test_configuration_that_a_patch_leaves_out_is_known() -> None:
    new = described({**FILES, "config/stage.json": "{}", "config/base.json": "[]"})
    found = patching.configuration_changes(described(FILES), new)
    assert found == ["config/base.json", "config/stage.json"]


def test_a_patchs_fingerprint_is_its_own() -> None:
    prints = {
        patching.fingerprint("a" * 64, "b" * 64),
        patching.fingerprint("b" * 64, "a" * 64),
        patching.fingerprint("a" * 64, "c" * 64),
        "b" * 64,
    }
    assert len(prints) == 4
    assert patching.fingerprint("a" * 64, "b" * 64) in prints


@pytest.mark.parametrize(
    ("code", "package"),
    [
        ({"S3Bucket": "b", "S3Key": "k"}, Package("b", "k")),
        ({"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "v"}, Package("b", "k", "v")),
        ({"ZipFile": "x"}, None),
        ({"S3Bucket": {"Ref": "B"}, "S3Key": "k"}, None),
        ("./code", None),
    ],
)
def test_the_package_that_a_template_names(code: Any, package: Package | None) -> None:
    processed = {"Resources": {"Function": {"Properties": {"Code": code}}}}
    assert patching.template_package(processed, "Function") == package
    assert patching.template_package(processed, "Another") is None


def test_a_package_belongs_to_the_build_whose_template_names_it() -> None:
    packaged = {"Resources": {"Function": {"Properties": {"CodeUri": "s3://b/k"}}}}
    assert patching.is_package_of(Package("b", "k"), packaged, "Function")
    assert not patching.is_package_of(Package("b", "other"), packaged, "Function")
    assert not patching.is_package_of(Package("b", "k"), packaged, "Other")


def test_a_patchs_package_is_the_built_one_with_the_new_code() -> None:
    table = PackageTable(code="code", into="notes", exclude=("Makefile", "*.md"))
    built = {
        "notes/main.py": (b"old", False),
        "notes/gone.py": (b"old", False),
        "notes/build.json": (b"the build's", False),
        "notes/generated.json": (b"kept", False),
    }
    old = {"code/main.py": (b"old", False), "code/gone.py": (b"old", False)}
    new = {
        "code/main.py": (b"new", False),
        "code/sub/tool.sh": (b"new", True),
        "code/Makefile": (b"x", False),
        "code/sub/notes.md": (b"x", False),
    }
    stamp = ("code/build.json", b"the patch's")
    made = patching.packaged(table, stamp, built, old, new)
    assert made == patching.packaged(table, stamp, built, old, dict(reversed(new.items())))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        found = {info.filename: archive.read(info) for info in archive.infolist()}
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert {info.date_time for info in archive.infolist()} == {patching.EPOCH}
    assert list(found) == sorted(found)
    assert found == {
        "notes/build.json": b"the patch's",
        "notes/generated.json": b"kept",
        "notes/main.py": b"new",
        "notes/sub/tool.sh": b"new",
    }
    assert (modes["notes/sub/tool.sh"], modes["notes/main.py"]) == (0o755, 0o644)


def test_a_stamp_outside_of_the_packaged_code_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="must lie below"):
        manifest.parse(MANIFEST.replace("code/build.json", "build.json"))
