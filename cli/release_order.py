"""Which of two releases is the newer one, and what an installation does to the one that runs."""

from typing import Any

from cli.failure import Refused
from control_plane import __version__, aws
from control_plane.errors import TenantNotReady
from control_plane.models import JsonObject
from control_plane.services import stack_reading as reading
from control_plane.services.client import signed_get


def in_words(release: JsonObject) -> str:
    """A release in a line: version, source and build, each `unknown` where it is not told."""
    source, build = (str(release.get(name) or "unknown")[:12] for name in ("source", "build"))
    return f"{release.get('version') or 'unknown'}, source {source}, build {build}"


def is_newer(version: Any, than: str) -> bool:
    """Whether a version is later than another one; one that is no dotted numbers never is."""
    numbers, others = _numbers(version), _numbers(than)
    return bool(numbers and others and numbers > others)


def running_release(stack: str) -> JsonObject | None:
    """What the control plane of a stack says it is; None when it does not say so.

    Nothing is raised for a stack without an API, and for an API that is broken: it is to be
    repaired.
    """
    found = reading.describe(stack)
    outputs = found.get("Outputs", []) if found else []
    url = next((item["OutputValue"] for item in outputs if item["OutputKey"] == "ApiUrl"), None)
    if url is None:
        return None
    try:
        answer = signed_get(f"{url}/health", aws.cloudformation().meta.region_name)
    except TenantNotReady:
        return None
    is_told = answer.status == 200 and isinstance(answer.body, dict) and "version" in answer.body
    return answer.body if is_told else None


def replaced_by(running: JsonObject | None, source: str, *, downgrade: bool) -> str:
    """What an installation of this checkout does to the release that runs; empty when nothing.

    `source`: the checkout's SHA-256. `downgrade`: an older release is meant. Raises Refused when
    this checkout is the older one otherwise.
    """
    if running is None or running.get("source") == source:
        return ""
    change = f"release {in_words(running)} -> {__version__}, source {source[:12]}"
    if is_newer(running["version"], __version__) and not downgrade:
        raise Refused(
            f"{change}: this checkout is the older one; 'git pull' it or check that release out "
            "and try again, or --downgrade to mean it"
        )
    return change


def _numbers(version: Any) -> tuple[int, ...]:
    parts = str(version).split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
