"""What the options of a rollout mean in its request."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from cli.failure import Refused
from control_plane.models import Mode, Priority
from control_plane.rollout_models import Failure


class RolloutMode(StrEnum):
    """The modes of a rollout's deployments."""

    FULL = Mode.FULL
    DEPLOY_ONLY = Mode.DEPLOY_ONLY


def request(
    *,
    canary: list[str] | None,
    waves: str,
    org: list[str] | None,
    label: list[str] | None,
    build: str | None,
    source: str | None,
    mode: RolloutMode,
    concurrency: int,
    max_failures: str | None,
    on_failure: Failure,
    bake: str,
    alarm: list[str] | None,
    approval: bool,
    priority: Priority,
    plan: Path | None,
    application: str | None,
) -> dict[str, Any]:
    """The API's request for what was asked for. A field of `plan` counts more than its option.

    Raises Refused, which names the option.
    """
    first = [{"tenants": canary}] if canary else []
    given = {
        "application": application,
        "source": source,
        "mode": None if mode == RolloutMode.FULL else mode,
        "tenants": org,
        "labels": dict(labelled(text) for text in label) if label else None,
        "build": build,
        "waves": [*first, *(wave(text) for text in waves.split(","))],
        "concurrency": concurrency,
        "max_failures": max_failures,
        "on_failure": on_failure,
        "bake_seconds": seconds(bake),
        "alarms": alarm,
        "approval": approval or None,
        "priority": priority,
    }
    body = {name: value for name, value in given.items() if value is not None}
    return body | (read(plan) if plan else {})


def wave(text: str) -> dict[str, Any]:
    """A wave: a count, a percentage, or the rest. Raises Refused."""
    text = text.strip()
    if text == "rest":
        return {"rest": True}
    if re.fullmatch(r"\d+(\.\d+)?%", text):
        return {"percent": float(text[:-1])}
    if re.fullmatch(r"\d+", text):
        return {"count": int(text)}
    raise Refused(f"--waves: {text!r} is no count, no percentage and not 'rest'")


def labelled(text: str) -> tuple[str, str]:
    """A label's key and value. Raises Refused."""
    key, sign, value = text.partition("=")
    if not sign:
        raise Refused(f"--label: {text!r} must be key=value")
    return key, value


def seconds(text: str) -> int:
    """A length of time such as 90s, 10m, 2h, in seconds. Raises Refused."""
    match = re.fullmatch(r"(\d+)([smh])", text)
    if not match:
        raise Refused(f"--bake: {text!r} must be a length such as 90s, 10m or 2h")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def read(path: Path) -> dict[str, Any]:
    """A request from a JSON file. Raises Refused."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"--plan: {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f"--plan: {path} must be a JSON object")
    return found
