"""A simulation for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.output import coloured
from simulation.summary import LIMITS, Queue, Rate, Summary, WaveSummary

_MARKS = {"throttled": "yellow", "above": "red"}


def view(found: Summary) -> Group:
    """All that a simulation says."""
    took = f"{minutes(found.duration)} for {found.tenants:,} tenants at {found.slots} slots"
    parts: list[RenderableType] = [
        Text.from_markup(f"{coloured(found.status)}: {took} (seed {found.seed})")
    ]
    parts += [Text(found.failure)] if found.failure else []
    parts += ["", _waves(found.waves)]
    parts += [Text(f"  {count} times {reason}") for reason, count in found.reasons.items()]
    parts += ["", _rates(found.rates), ""]
    parts += [Text(line) for line in (*_slots(found), *_histories(found))]
    if found.queues:
        parts += ["", _queues(found.queues)]
    return Group(*parts, "", _bill(found))


def minutes(seconds: float | None) -> str:
    """A length of time: `68 min`, `20 h 30 min`; empty for none."""
    if seconds is None:
        return ""
    whole = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{whole} min" if whole < 120 else f"{whole // 60} h {whole % 60} min"


def _table(*titles: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, title in enumerate(titles):
        table.add_column(title, justify="left" if number < left else "right")
    return table


def _waves(waves: tuple[WaveSummary, ...]) -> Table:
    table = _table(
        "wave", "tenants", "at once", "succeeded", "skipped", "failed", "rolled back", "may fail",
        "began after", "took",
    )  # fmt: skip
    for number, one in enumerate(waves, start=1):
        took = None if one.began is None or one.ended is None else one.ended - one.began
        counts = (one.size, one.concurrency, one.succeeded, one.skipped, one.failed)
        table.add_row(
            str(number),
            *(f"{count:,}" for count in (*counts, one.rolled_back, one.allowed)),
            minutes(one.began),
            minutes(took),
        )
    return table


def _rates(rates: tuple[Rate, ...]) -> Table:
    table = _table(
        "requests", "in all", "mean/s", "busiest minute/s", "peak/s", "quota/s", "refused", ""
    )
    for one in rates:
        if not one.total:
            continue
        assumed = "" if one.published or one.quota is None else "~"
        quota = "none known" if one.quota is None else f"{assumed}{one.quota:,g}"
        mark = f"[{_MARKS[one.mark]}]{one.mark}[/]" if one.mark else ""
        table.add_row(
            one.name,
            f"{one.total:,}",
            f"{one.mean:.1f}",
            f"{one.minute:.1f}",
            f"{one.peak:,}",
            quota,
            f"{one.throttled:,}" if one.throttled else "",
            mark,
        )
    return table


def _slots(found: Summary) -> list[str]:
    return [
        f"slots: at most {found.most_slots} of {found.slots} taken, {found.mean_slots:.1f} on "
        f"average; at most {found.longest_queue} waiting, {found.mean_queue:.1f} on average",
        f"budget: {found.held_back:,} times a step found the second's requests taken, and waited",
        f"workers: at most {found.most_workers:.0f} at the same time",
    ]


def _histories(found: Summary) -> list[str]:
    events, payload, item = (
        LIMITS["rollout_events"], LIMITS["largest_answer"], LIMITS["largest_item"]
    )  # fmt: skip
    count = found.rollout_executions
    executions = f"{count} executions" if count > 1 else "an execution"
    return [
        f"histories: the rollout in {executions} of at most {found.rollout_events:,} events, a "
        f"deployment of at most {found.deployment_events:,} (of {events:,})",
        f"sizes: a look's answer at most {found.largest_answer / 1024:.1f} KiB "
        f"(of {payload // 1024}), the rollout's item {found.largest_item / 1024:.1f} KiB "
        f"(of {item // 1024})",
    ]


def _queues(queues: tuple[Queue, ...]) -> Table:
    table = _table("waited for a slot", "deployments", "median", "95 %", "longest")
    for one in queues:
        waits = (one.median, one.ninety_five, one.longest)
        table.add_row(one.who, f"{one.deployments:,}", *(minutes(wait) for wait in waits))
    return table


def _bill(found: Summary) -> Table:
    table = _table("cost", "", "", left=2)
    for what, how, dollars in found.bill:
        table.add_row(what, how, f"${dollars:,.2f}")
    each = f"${found.dollars / found.tenants:.4f} a tenant"
    table.add_row("in all", each, f"${found.dollars:,.2f}")
    return table
