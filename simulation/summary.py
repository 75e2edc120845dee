"""What a simulation came to, in numbers that a person or a program reads."""

from collections.abc import Sequence

from control_plane.models import Frozen, Priority
from control_plane.rollout_models import RolloutStatus
from simulation import prices, quotas
from simulation.payloads import ITEM, PAYLOAD
from simulation.run import Outcome
from simulation.world import Wait


class WaveSummary(Frozen):
    """A wave: its counts, and when it began and was through, in seconds; None: never."""

    size: int
    concurrency: int
    allowed: int
    succeeded: int
    skipped: int
    failed: int
    rolled_back: int
    not_rolled_back: int
    began: float | None
    ended: float | None


class Rate(Frozen):
    """Requests of one kind. `peak`: in a second, `minute`: a second's in the busiest minute, both
    with those that were refused. `mark`: "throttled" when some were, "above" when the peak is
    above the quota although CloudFormation itself asks, else empty."""

    name: str
    total: int
    mean: float
    minute: float
    peak: int
    quota: float | None
    published: bool
    throttled: int
    mark: str


class Queue(Frozen):
    """How long deployments waited for their slot, in seconds."""

    who: str
    deployments: int
    median: float
    ninety_five: float
    longest: float


class Summary(Frozen):
    """All of it. Times in seconds, sizes in bytes, money in dollars."""

    tenants: int
    slots: int
    seed: int
    status: RolloutStatus
    failure: str
    duration: float
    waves: tuple[WaveSummary, ...]
    reasons: dict[str, int]
    rates: tuple[Rate, ...]
    held_back: int
    most_workers: float
    most_slots: int
    mean_slots: float
    longest_queue: int
    mean_queue: float
    queues: tuple[Queue, ...]
    rollout_executions: int
    rollout_events: int
    deployment_events: int
    largest_answer: int
    largest_item: int
    bill: tuple[tuple[str, str, float], ...]
    dollars: float
    assumptions: tuple[str, ...]


EVENTS = 25_000
"""Events that an execution's history may have (Step Functions quotas)."""

LIMITS = {"rollout_events": EVENTS, "deployment_events": EVENTS, "largest_answer": PAYLOAD,
          "largest_item": ITEM}  # fmt: skip
"""What the figures of that name must stay below."""


def summary(outcome: Outcome) -> Summary:
    """The numbers of a simulation."""
    world, driver = outcome.world, outcome.driver
    lines = prices.bill(outcome)
    return Summary(
        tenants=outcome.scenario.tenants,
        slots=outcome.scenario.slots,
        seed=outcome.scenario.seed,
        status=driver.rollout.status,
        failure=driver.rollout.failure,
        duration=driver.ended,
        waves=tuple(_waves(outcome)),
        reasons=dict(sorted(world.reasons.items())),
        rates=tuple(_rates(outcome)),
        held_back=world.held_back,
        most_workers=world.most_workers,
        most_slots=world.slots.most_held,
        mean_slots=world.slots.held_seconds / world.clock.now,
        longest_queue=world.slots.longest,
        mean_queue=world.slots.waiting_seconds / world.clock.now,
        queues=tuple(_queues(world.slot_waits)),
        rollout_executions=driver.executions,
        rollout_events=driver.longest,
        deployment_events=world.longest_execution,
        largest_answer=driver.sizes.answer,
        largest_item=driver.sizes.item,
        bill=tuple((line.what, line.how, line.dollars) for line in lines),
        dollars=sum(line.dollars for line in lines),
        assumptions=tuple(outcome.scenario.assumptions()),
    )


def _waves(outcome: Outcome) -> list[WaveSummary]:
    driver = outcome.driver
    return [
        WaveSummary(**wave.model_dump(), began=times.began, ended=times.ended)
        for wave, times in zip(driver.rollout.waves, driver.times, strict=True)
    ]


def _rates(outcome: Outcome) -> list[Rate]:
    found = []
    for api in outcome.world.apis.values():
        known = quotas.LIMITS.get(api.name)
        peak, above = api.peak(), api.limit is not None and api.peak() > api.limit
        rate = Rate(
            name=api.name,
            total=api.total,
            mean=api.total / outcome.driver.ended,
            minute=api.busiest_minute(),
            peak=peak,
            quota=api.limit,
            published=known is not None and known.published,
            throttled=api.throttled,
            mark="throttled" if api.throttled else "above" if above else "",
        )
        found.append(rate)
    return found


def _queues(waits: Sequence[Wait]) -> list[Queue]:
    groups = {"the rollout": [w.seconds for w in waits if w.by_rollout]}
    for priority in (Priority.NORMAL, Priority.URGENT):
        groups[f"others, {priority}"] = [
            w.seconds for w in waits if not w.by_rollout and w.priority == priority
        ]
    return [
        Queue(
            who=who,
            deployments=len(seconds),
            median=_at(seconds, 0.5),
            ninety_five=_at(seconds, 0.95),
            longest=max(seconds),
        )
        for who, seconds in groups.items()
        if seconds
    ]


def _at(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
