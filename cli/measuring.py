"""`syndi health`: how a tenant's function did over a period."""

from typing import Annotated, Any

import typer

from cli.context import command, current, query, tenant_path
from cli.failure import Failed
from cli.options import ApplicationOption, EnvArgument, JsonOption, OrgArgument
from cli.output import out, print_json


@command
def health(
    env: EnvArgument,
    org: OrgArgument,
    period: Annotated[str, typer.Option("--period", help="hours or days: 1h, 24h, 7d")] = "24h",
    application: ApplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Duration, errors and cold starts of a tenant's function, as AWS measured them."""
    asked = query(period=period, application=application)
    answer = current.api().call("GET", f"{tenant_path(env, org)}/health{asked}")
    if current.as_json:
        print_json(answer)
    elif answer["problem"]:
        raise Failed(answer["problem"])
    else:
        for name, told in lines(answer):
            out.print(f"{name:<12} {told}", markup=False)


def lines(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What an answer says, a line each: name and text."""
    since, until = (str(answer[name])[:16] for name in ("since", "until"))
    head = [("function", answer["function"]), ("period", f"{since} to {until} UTC")]
    calls = answer["calls"]
    if calls is None:
        return [*head, ("calls", "no calls in the period")]
    return [
        *head,
        ("calls", _calls(calls)),
        ("duration", _duration(calls)),
        ("cold starts", _cold_starts(answer["cold_starts"], calls["invocations"])),
    ]


def _calls(calls: dict[str, Any]) -> str:
    failed = calls["errors"]
    told = f"{calls['invocations']}, {failed or 'none'} failed"
    if failed:
        told += f" ({_share(failed, calls['invocations'])})"
    return told + (f", and {calls['throttles']} throttled" if calls["throttles"] else "")


def _duration(calls: dict[str, Any]) -> str:
    if calls["average_ms"] is None:
        return "none was measured"
    return f"average {calls['average_ms']:.1f} ms, maximum {calls['maximum_ms']:.1f} ms"


def _cold_starts(cold_starts: dict[str, Any], calls: int) -> str:
    if cold_starts["count"] is None:
        return f"not known: {cold_starts['problem']}"
    count = cold_starts["count"]
    told = f"{count} ({_share(count, calls)} of the calls)" if count else "none"
    return told if cold_starts["complete"] else f"at least {count}: the log is too large to count"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
