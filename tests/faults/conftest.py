"""The world of the workers' tests is beside: the faults happen in it. Prints the matrix."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workers"))

import pytest

FAULTS = "fault"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The matrix: a line for each step, with what became of each fault."""
    cells: dict[str, dict[str, str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", "") == "call" and FAULTS in told:
                outcome = told.get("outcome", "WRONG") if report.passed else "WRONG"
                cells.setdefault(told["step"], {})[told[FAULTS]] = outcome
    if not cells:
        return
    terminalreporter.section("fault x step -> outcome (calls that met the fault)")
    for step, row in cells.items():
        told = "; ".join(f"{fault}: {outcome}" for fault, outcome in row.items())
        terminalreporter.write_line(f"{step}: {told}")
    count = sum(len(row) for row in cells.values())
    wrong = sum(outcome == "WRONG" for row in cells.values() for outcome in row.values())
    terminalreporter.write_line(f"{count} cells of {len(cells)} steps, {wrong} wrong")
