"""What `syndi show` tells of the release that ran a deployment."""

from typing import Any

import pytest

from cli import output, summaries

RECORD: dict[str, Any] = {
    "id": "20261122-120000-000abcde", "status": "SUCCEEDED", "stack_name": "notes-stage-alpha",
    "console_url": "https://console",
}  # fmt: skip


def _told(capsys: pytest.CaptureFixture[str], **facts: Any) -> list[str]:
    summaries.summary({**RECORD, **facts})
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_the_release_that_ran_a_deployment_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    release = {"version": "1.2.3", "source": "5" * 64, "build": "f" * 64}
    line = "run by     control plane 1.2.3 (build ffffffffffff, source 555555555555)"
    assert line in _told(capsys, control_plane=release)


def test_a_control_plane_that_is_no_build_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    release = {"version": "1.2.3", "source": None, "build": None}
    assert "run by     control plane 1.2.3 (a checkout, not a build)" in _told(
        capsys, control_plane=release
    )


def test_an_old_record_names_no_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert not [line for line in _told(capsys) if line.startswith("run by")]


def test_of_the_control_plane_what_every_release_has_anew_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    version, role = ({"type": f"AWS::{kind}"} for kind in ("Lambda::Version", "IAM::Role"))
    summary = {
        "added": [
            *({**version, "id": f"V{n}"} for n in range(3)),
            {"id": "Topic", "type": "AWS::SNS::Topic"},
            {"id": "May", "type": "AWS::Lambda::Permission"},
        ],
        "replaced": [{**role, "id": "OneRole"}, {**role, "id": "TwoRole"}],
    }
    change_set = {"summary": summary}
    own = _told(capsys, change_set=change_set, application="control-plane")
    assert [line for line in own if line[:1] in ("+", "!")] == [
        "+ added Topic (AWS::SNS::Topic)",
        "+ added 1 permission, 3 versions",
        "! replaced 2 roles",
    ]
    tenants = _told(capsys, change_set=change_set, application="notes")
    assert len([line for line in tenants if line[:1] in ("+", "!")]) == 7
    assert "! replaced OneRole (AWS::IAM::Role)" in tenants


def test_a_history_does_not_show_a_dry_run_as_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    made = {**RECORD, "mode": "full", "build": {"fingerprint": "f" * 64}}
    output.out.print(output.deployments_table([{**made, "request": {"dry_run": True}}, made]))
    _, dry, real = capsys.readouterr().out.splitlines()
    assert "full (dry run)" in dry
    assert "ffff" not in dry
    assert "ffffffffffff" in real
    assert "dry" not in real


BRACKETS = (
    "declare it in application.toml: [isolation] shared; make: *** [/src/app/Makefile:2] Error"
)


def test_brackets_in_a_message_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """They were taken for colours: `syndi show` ended in a traceback, or left `[isolation]` out."""
    step = {"status": "FAILED", "note": BRACKETS}
    tests = [{"name": "health", "status": "FAILED", "detail": BRACKETS}]
    record = {**RECORD, "created_at": "2026-11-22", "steps": {"AwaitBuild": step}, "tests": tests}
    output.out.print(summaries.steps_table(record))
    output.out.print(output.deployments_table([{**record, "reason": BRACKETS}]))
    summaries.summary({**record, "reason": BRACKETS})
    assert " ".join(capsys.readouterr().out.split()).count(BRACKETS) == 4
