"""How a tenant's function did over a period: what is asked, what the answer says, and its rules.

The numbers are Lambda's own metrics, and the cold starts are counted in the function's log: Lambda
has no metric of them. The log is filtered (FilterLogEvents) and not queried with Logs Insights: the
answer is there at once, costs nothing however large the log is, and needs none of the account's few
concurrent queries. Its price is a bound on what is read, and the answer says when it was met.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from control_plane import aws
from control_plane.errors import HealthUnreadable, InvalidRequest, NotFound
from control_plane.models import Frozen, JsonObject, LogicalId, Tenant
from control_plane.services.deployed import manifest_of
from control_plane.store.listing import why_not
from control_plane.use_cases.deployments import Front

LONGEST_DAYS = 60
"""CloudWatch keeps metrics of five minutes for 63 days (CloudWatch guide, metrics retention)."""

_PERIOD = re.compile(r"([1-9]\d{0,3})([hd])", re.ASCII)


class HealthQuestion(Frozen):
    """What the API asks the code worker for; `function`: by its logical id."""

    tenant: Tenant
    function: LogicalId
    hours: int


class Calls(Frozen):
    """What CloudWatch counted. Durations in milliseconds, without the start of the runtime; None
    where every call was throttled."""

    invocations: int
    errors: int
    throttles: int
    average_ms: float | None = None
    maximum_ms: float | None = None


class ColdStarts(Frozen):
    """What the log says. Not `complete`: at least so many. Without `count` there is a `problem`."""

    count: int | None = None
    complete: bool = True
    problem: str | None = None


class Health(Frozen):
    """The answer. Without `calls` there were none in the period, or there is a `problem`."""

    function: str
    since: datetime
    until: datetime
    calls: Calls | None = None
    cold_starts: ColdStarts | None = None
    problem: str | None = None


# Asking -------------------------------------------------------------------------------------------


def show(front: Front, tenant: Tenant, period: str) -> JsonObject:
    """How the tenant's function did. Raises NotFound, InvalidRequest or HealthUnreadable."""
    hours = hours_of(period)
    current = front.listing.current(tenant) or {}
    if "last_good" not in current:
        raise NotFound(why_not(tenant, current, "was never deployed with success"))
    build = {**current["build"], "source": current.get("source") or current["build"]["source"]}
    manifest = manifest_of(front.settings.table_name, tenant, build)
    if manifest.stack.function is None:
        raise NotFound(
            f"{tenant.application} names no function: its manifest has no stack.function"
        )
    question = HealthQuestion(tenant=tenant, function=manifest.stack.function, hours=hours)
    answer = _asked(front.settings.code_function, question)
    return {"tenant": tenant.stack_name, "period": period, **answer}


def _asked(function: str, question: HealthQuestion) -> JsonObject:
    """What the code worker, which may read the tenants' metrics and logs, answers."""
    payload = json.dumps({"health": question.model_dump(mode="json")}).encode()
    try:
        answer = aws.lambda_().invoke(FunctionName=function, Payload=payload)
    except aws.FAILURES as error:
        raise HealthUnreadable(f"the code worker cannot be asked: {error}") from error
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        reason = told.get("errorMessage") or answer["FunctionError"]
        raise HealthUnreadable(f"{question.tenant.stack_name}: {reason}")
    return dict(told)


# Rules --------------------------------------------------------------------------------------------


def hours_of(period: str) -> int:
    """`24h` or `7d` in hours. Raises InvalidRequest."""
    found = _PERIOD.fullmatch(period)
    hours = int(found[1]) * (24 if found[2] == "d" else 1) if found else 0
    if not 1 <= hours <= LONGEST_DAYS * 24:
        raise InvalidRequest.of("period", f"must be hours or days, 1h to {LONGEST_DAYS}d: 24h, 7d")
    return hours


def bucket_seconds(hours: int) -> int:
    """The length of the parts in which a period is asked for.

    CloudWatch rounds the beginning down to a whole part (API reference, GetMetricData), so they are
    short against the period; it keeps those below an hour for 63 days, below five minutes for 15.
    """
    if hours <= 3:
        return 60
    return 300 if hours <= 3 * 24 else 3600


METRICS = {
    "invocations": ("Invocations", "Sum"),
    "errors": ("Errors", "Sum"),
    "throttles": ("Throttles", "Sum"),
    "total_ms": ("Duration", "Sum"),
    "measured": ("Duration", "SampleCount"),
    "maximum_ms": ("Duration", "Maximum"),
}
"""What is asked for, by id. The average is made of sum and count: an average of the parts' averages
would give a quiet hour the weight of a busy one."""


def calls_of(values: Mapping[str, Sequence[float]]) -> Calls | None:
    """The numbers of a period from those of its parts, by id; None when nothing was counted."""
    invocations, throttles = sum(values["invocations"]), sum(values["throttles"])
    if not invocations and not throttles:
        return None
    measured = sum(values["measured"])
    return Calls(
        invocations=round(invocations),
        errors=round(sum(values["errors"])),
        throttles=round(throttles),
        average_ms=sum(values["total_ms"]) / measured if measured else None,
        maximum_ms=max(values["maximum_ms"], default=None),
    )


def pattern_of(*, is_json: bool) -> str:
    """What to filter the log for: fewer lines than all, and `is_cold_start` tells them apart."""
    return "initDurationMs" if is_json else '"Init Duration"'


def is_cold_start(line: str, *, is_json: bool) -> bool:
    """Whether a line of the log is Lambda's own report of a call that had to start the runtime.

    An application may write the same words (Lambda guide, log formats of the system).
    """
    if not is_json:
        return line.startswith("REPORT RequestId: ") and "\tInit Duration: " in line
    try:
        told: Any = json.loads(line)
    except ValueError:
        return False
    if not isinstance(told, dict) or told.get("type") != "platform.report":
        return False
    metrics = (told.get("record") or {}).get("metrics") or {}
    return "initDurationMs" in metrics
