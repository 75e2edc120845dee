"""What to do about a rollout or a shift, as tables; and every error that ends one is in them."""

import json
import re
from pathlib import Path

import pytest
from fleet import rollout

from control_plane.models import Env, Tenant
from control_plane.rollout_models import FINAL, RolloutStatus
from control_plane.rules import fleet_hints as hints

ROOT = Path(__file__).parents[2]
ALPHA = Tenant(application="notes", env=Env.STAGE, org="alpha")
SHOW = "syndi rollout show r1 --tenants"
STILL = (
    "ShiftUnsafe: x; the weights could not be brought back: RestoreWeights: others keep changing"
)
BUSY = "AdvanceRollout: AWS is busy: Rate exceeded"

ROLLOUT_CASES = [
    ("RolloutFailed", "1 of wave 1 failed, and 0 may", SHOW),
    ("RolloutFailed", "after wave 1: in alarm: notes-errors", "CloudWatch"),
    ("RolloutFailed", "after wave 1: there is no alarm notes-errors", "make the alarm"),
    ("RolloutFailed", "1 failed in all, and 0 may; 1 could not be brought back", "NOT_ROLLED_BACK"),
    ("RolloutRolledBack", "1 of wave 2 failed, and 0 may", "waves before it keep the new build"),
    ("RolloutRolledBack", "after wave 1: in alarm: notes-errors", "CloudWatch"),
    ("ServiceBusy", BUSY, "too many requests at once: in a few minutes"),
    ("ServiceBusy", "PrepareRollout: AWS is busy: reset by peer", "in a few minutes 'syndi"),
    ("StepFunctions.ExecutionLimitExceeded", "ContinueRollout: many", "in a few minutes 'syndi"),
    ("TIMED_OUT", "TIMED_OUT: it was stopped", "waited for too long"),
    ("States.Timeout", "AdvanceRollout: States.Timeout", "too slow or died"),
    ("KeyError", "AdvanceRollout: 'x'", "did not expect"),
]
SHIFT_CASES = [
    ("ShiftUnsafe", "CheckShift: alpha-blue: alarm a rings: x", "CloudWatch"),
    ("ShiftUnsafe", "CheckShift: alpha-blue: health: 500", "'syndi check stage alpha-blue'"),
    ("TenantNotReady", "CheckShift: it does not answer", "'syndi health stage alpha-blue'"),
    ("ShiftUnsafe", STILL, "'syndi route reverse stage alpha'"),
    ("RouteTaken", STILL, "'syndi route reverse stage alpha'"),
    ("ShiftTimedOut", "CheckShift: AWS was too busy", "in a few minutes"),
    ("ServiceBusy", "PrepareShift: AWS is busy", "in a few minutes"),
    ("ShiftNotStarted", "the execution could not be started", "in a few minutes"),
    ("ShiftLost", "its execution ended without a word", "nobody brought its traffic back"),
    ("TIMED_OUT", "the execution ended TIMED_OUT", "in fewer steps"),
    ("States.Timeout", "SetWeights: States.Timeout", "too slow or died"),
    ("KeyError", "CheckShift: 'x'", "did not expect"),
]


def rollout_hint(error: str, reason: str, default: str = "notes") -> str | None:
    one = rollout(2, status=RolloutStatus.FAILED, failure=reason)
    return hints.of_rollout(one, error, default)


def shift_hint(error: str, reason: str, default: str = "notes") -> str | None:
    return hints.of_shift(ALPHA, "alpha-blue", error, reason, default)


@pytest.mark.parametrize(("error", "reason", "told"), ROLLOUT_CASES)
def test_a_rollouts_end_has_the_hint_that_fits(error: str, reason: str, told: str) -> None:
    assert told in (rollout_hint(error, reason) or "")


@pytest.mark.parametrize(("error", "reason", "told"), SHIFT_CASES)
def test_a_shifts_end_has_the_hint_that_fits(error: str, reason: str, told: str) -> None:
    assert told in (shift_hint(error, reason) or "")


def named_in(file: str) -> set[str]:
    """The errors of this project that a definition catches, and those that it fails with itself."""
    text = json.dumps(json.loads((ROOT / file).read_text()))
    lists = re.findall(r'"ErrorEquals": \[([^]]*)\]', text)
    caught = {name for names in lists for name in re.findall(r'"(\w+)"', names)}
    return caught | set(re.findall(r'"error": "([A-Za-z]+)"', text))


WORDS = {"ABORTED", "TIMED_OUT"}
"""How an execution may have ended that says no error: EventBridge's word."""
ROLLOUT_ENDS = {
    f"Rollout{status.title().replace('_', '')}" for status in FINAL if not status.is_good
}
ROLLOUT_ERRORS = named_in("rollout.asl.json") | ROLLOUT_ENDS | WORDS
SHIFT_ERRORS = named_in("shift.asl.json") | {"ShiftNotStarted", "ShiftLost"} | WORDS


def test_the_errors_are_those_of_the_definitions() -> None:
    assert {"ServiceBusy", "RolloutFailed", "Superseded"} <= ROLLOUT_ERRORS
    assert {"ShiftTimedOut", "ShiftUnsafe", "RouteTaken", "NotFound"} <= SHIFT_ERRORS


@pytest.mark.parametrize("error", sorted(ROLLOUT_ERRORS))
def test_every_error_of_a_rollout_has_a_hint_or_needs_none(error: str) -> None:
    told = rollout_hint(error, "why")
    assert (told is None) == (error in hints.ROLLOUT_NEEDS_NONE)
    assert "did not expect" not in (told or ""), "a row of its own says more"


@pytest.mark.parametrize("error", sorted(SHIFT_ERRORS))
def test_every_error_of_a_shift_has_a_hint_or_needs_none(error: str) -> None:
    told = shift_hint(error, "why")
    assert (told is None) == (error in hints.SHIFT_NEEDS_NONE)
    assert "did not expect" not in (told or ""), "a row of its own says more"


def test_every_row_is_the_first_that_fits_some_failure() -> None:
    """A row that another one always hides would never be read."""
    for table, cases in ((hints.ROLLOUTS, ROLLOUT_CASES), (hints.SHIFTS, SHIFT_CASES)):
        found = {
            next((row.todo for row in table if row.fits("", error, reason)), None)
            for error, reason, _ in cases
        }
        assert [row.todo for row in table if row.todo not in found] == []


def test_every_hint_is_made_out_for_whose_it_is() -> None:
    for error, reason, _ in ROLLOUT_CASES:
        for default in ("notes", "rawscribe"):
            told = str(rollout_hint(error, reason, default))
            assert not re.search(r"\b(ENV|ORG|TO|ID)\b", told), told
            other = " --application notes" if default == "rawscribe" else ""
            assert "start" not in told or f"'syndi rollout start stage{other}'" in told
    for error, reason, _ in SHIFT_CASES:
        for default in ("notes", "rawscribe"):
            told = str(shift_hint(error, reason, default))
            assert not re.search(r"\b(ENV|ORG|TO|ID)\b", told), told
            assert (default == "rawscribe") == ("--application notes" in told)
