"""`syndi simulate`: what it prints, for people and for programs, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.context import current
from cli.main import app

SMALL = ("simulate", "--tenants", "12", "--slots", "4", "--waves", "1,25%,rest")


@pytest.fixture(autouse=True)
def _for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "as_json", False)
    monkeypatch.setattr(current, "local", False)


def said(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.output
    return result.output


def test_it_says_how_long_what_is_asked_of_aws_and_what_it_costs() -> None:
    text = said(*SMALL)
    assert "SUCCEEDED: " in text
    assert " min for 12 tenants at 4 slots (seed 1)" in text
    for told in ("cloudformation:DescribeStackEvents", "waited for a slot", "in all", "assumed:"):
        assert told in text, told
    assert "of 25,000" in text
    assert "AWS publishes none" in text


def test_a_rollout_that_fails_is_an_answer_and_says_why() -> None:
    text = said(*SMALL, "--failure-rate", "1")
    assert "1 of wave 1 failed, and 0 may" in text


def test_a_program_gets_the_same_for_the_same_seed() -> None:
    first, second = (json.loads(said(*SMALL, "--json")) for _ in range(2))
    assert first == second
    assert [wave["size"] for wave in first["waves"]] == [1, 3, 8]


def test_a_plan_may_say_more_than_the_options(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"waves": [{"count": 2}, {"rest": True}], "step_seconds": 0}))
    found = json.loads(said(*SMALL, "--plan", str(plan), "--json"))
    assert [wave["size"] for wave in found["waves"]] == [2, 10]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--waves", "1"), "in no wave"),
        (("--waves", "all"), "'all' is no count"),
        (("--failure-rate", "2"), "--failure-rate: must be 1 or less"),
        (("--max-failures", "few"), "--max-failures: must be a number or a whole percentage"),
        (("--waves", "0,rest"), "--waves.0.count: must be 1 or more"),
        (("--quota", "s3:GetObject=5"), "s3:GetObject"),
        (("--quota", "cloudformation:DescribeStacks=few"), "requests a second"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(app, ["simulate", "--tenants", "5", *arguments])
    assert result.exit_code == 2
    assert told in result.output
