"""JSONata for the tests: this environment has no library for it, the emulator's has."""

import json
import subprocess
from pathlib import Path
from typing import Any

from asl_graph import ROOT

PYTHON = ROOT / ".tools" / "ministack" / "bin" / "python"
READER = Path(__file__).with_name("jsonata_reader.py")


def parse(texts: list[str]) -> list[dict[str, Any]]:
    """For each expression {"variables": paths} or {"error": why it is none}."""
    return list(_ask(texts, [])["parsed"])


def evaluate(text: str, **variables: Any) -> Any:
    """The value of an expression with these variables."""
    return _ask([], [{"text": text, "variables": variables}])["evaluated"][0]


def _ask(texts: list[str], evaluations: list[dict[str, Any]]) -> dict[str, Any]:
    request = json.dumps({"parse": texts, "evaluate": evaluations})
    assert PYTHON.exists(), f"{PYTHON} is missing: run `make tools`"
    done = subprocess.run(
        [PYTHON, READER], input=request, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
