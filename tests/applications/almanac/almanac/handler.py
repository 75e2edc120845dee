"""When is the full moon? Standard library only; without the generated table it answers nothing."""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def _moons() -> list[str]:
    moons: list[str] = json.loads((HERE / "moons.json").read_text())
    return moons


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
    }


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """GET /status and GET /moons/{year}."""
    if event["resource"] == "/status":
        stamp = json.loads((HERE / "version.json").read_text())
        version = {"build": stamp["fingerprint"], "tenant": os.environ["TENANT"]}
        return _answer(200, {"version": version, "moons": len(_moons())})
    year = event["pathParameters"]["year"]
    found = [day for day in _moons() if day.startswith(f"{year}-")]
    return _answer(200, {"moons": found}) if found else _answer(404, {"reason": "not this century"})
