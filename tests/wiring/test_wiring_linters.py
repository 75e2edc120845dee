"""Other people's linters have nothing to say: cfn-lint on the state machine, SAM on templates."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from asl_graph import ROOT, Json, definition
from cfnlint.api import lint
from cfnlint.config import ManualArgs

SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
TEMPLATES = ("template.yaml", "backend/template.yaml")


def _complaints(machine: Json) -> list[str]:
    """What cfn-lint says of a template that holds this definition."""
    names = sorted(set(re.findall(r"\$\{(\w+)\}", json.dumps(machine))))
    arn = "arn:aws:lambda:us-east-1:123456789012:function"
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/machine",
                    "Definition": machine,
                    "DefinitionSubstitutions": {name: f"{arn}:{name}:1" for name in names},
                },
            }
        },
    }
    found = lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))
    return [f"{match.rule.id} {match.message}" for match in found]


def test_cfn_lint_accepts_the_definition() -> None:
    assert _complaints(definition()) == []


@pytest.mark.parametrize(
    ("state", "member", "value"),
    [("RunTests", "Type", "Tusk"), ("RunTests", "ResultPath", "$.x"), ("IsBuilt", "Choices", [{}])],
)
def test_cfn_lint_notices_a_broken_definition(state: str, member: str, value: object) -> None:
    broken = definition()
    broken["States"][state][member] = value
    assert any(complaint.startswith("E3601") for complaint in _complaints(broken))


def _validating(template: Path, home: Path) -> subprocess.Popen[str]:
    assert SAM.exists(), f"{SAM} is missing: run `make tools`"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.Popen(
        [SAM, "validate", "--lint", "--template", template],
        cwd=home, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What SAM says of each template, and of one that is broken. Asked at once: each takes 5 s."""
    broken = tmp_path_factory.mktemp("broken") / "template.yaml"
    text = (ROOT / "template.yaml").read_text()
    broken.write_text(text.replace("!Ref RecordLogs", "!Ref RecordLog"))
    asked = {"broken": broken} | {name: ROOT / name for name in TEMPLATES}
    running = {
        name: _validating(path, tmp_path_factory.mktemp("home")) for name, path in asked.items()
    }
    said = {name: process.communicate(timeout=120)[0] for name, process in running.items()}
    return {name: (running[name].returncode, text) for name, text in said.items()}


@pytest.mark.parametrize("template", TEMPLATES)
def test_sam_validates_the_template(template: str, verdicts: dict[str, tuple[int, str]]) -> None:
    status, said = verdicts[template]
    assert status == 0, said
    assert "is a valid SAM Template" in said


def test_sam_notices_a_broken_template(verdicts: dict[str, tuple[int, str]]) -> None:
    status, said = verdicts["broken"]
    assert status != 0
    assert "RecordLog" in said
