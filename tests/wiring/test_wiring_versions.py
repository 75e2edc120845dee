"""What an installation is told reaches the versions that the state machine calls."""

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from asl_graph import ROOT

from control_plane import templates
from control_plane.rules import changes

PYTHON = ROOT / ".tools" / "sam" / "bin" / "python"
READER = Path(__file__).with_name("sam_versions.py")

KINDS = ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::Serverless::Api")


def packaged() -> dict[str, Any]:
    """The control plane's template as `sam package` leaves it, as far as versions need it."""
    template = templates.parse((ROOT / "template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = "s3://artifacts/bundle"
    for resource in template["Resources"].values():
        if "ContentUri" in resource.get("Properties", {}):
            resource["Properties"]["ContentUri"] = "s3://artifacts/layer"
    template["Resources"] = {
        name: item for name, item in template["Resources"].items() if item["Type"] in KINDS
    }
    return template


def as_told(**values: str) -> dict[str, Any]:
    template = packaged()
    told = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    declared = template["Parameters"]
    parameters = changes.all_values(told, declared=declared, previous={})
    return templates.with_versions_of(template, parameters)


def versions(*made: dict[str, Any]) -> list[list[str]]:
    done = subprocess.run(
        [PYTHON, READER], input=json.dumps(made), capture_output=True, text=True, timeout=120,
        check=False, env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [list(found) for found in json.loads(done.stdout)]


@pytest.mark.parametrize(
    "other",
    [
        {"ApprovalEnvironments": "prod"},
        {"ApplicationPrefixes": "rawscribe,notes"},
        {"DefaultApplication": "notes"},
    ],
)
def test_another_parameter_makes_every_function_a_new_version(other: dict[str, str]) -> None:
    before, same, after = versions(as_told(), as_told(), as_told(**other))
    functions = [
        name
        for name, item in packaged()["Resources"].items()
        if item["Type"] == "AWS::Serverless::Function"
    ]
    assert before == same
    assert sorted(re.sub(r"Version\w{10}$", "", name) for name in before) == sorted(functions)
    assert not set(before) & set(after)


def test_a_function_that_is_not_published_so_stays_as_it_is() -> None:
    template: dict[str, Any] = {
        "Resources": {
            "Plain": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "a.b"}},
            "Coded": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"AutoPublishAlias": "live"},
            },
            "Table": {"Type": "AWS::DynamoDB::Table"},
        }
    }
    untouched = copy.deepcopy(template)
    assert templates.with_versions_of(template, {"A": "b"}) == untouched


def test_a_functions_own_environment_stays_in_it() -> None:
    template = as_told()
    before = packaged()["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]
    after = template["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert {name: after[name] for name in before} == before
