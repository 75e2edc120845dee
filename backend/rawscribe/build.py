"""Which build this is."""

import json
from pathlib import Path

STAMP = Path(__file__).parent / "build.json"
UNSTAMPED = "unstamped"


def fingerprint(stamp: Path = STAMP) -> str:
    """The fingerprint that the build wrote beside the code, or "unstamped" without one."""
    try:
        return str(json.loads(stamp.read_text())["fingerprint"])
    except FileNotFoundError:
        return UNSTAMPED
