"""What the options of `syndi rollout start` mean in its request."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from cli.failure import Refused
from control_plane.models import Mode


class RolloutMode(StrEnum):
    """The modes of a rollout's deployments."""

    FULL = Mode.FULL
    DEPLOY_ONLY = Mode.DEPLOY_ONLY


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


def label(text: str) -> tuple[str, str]:
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
