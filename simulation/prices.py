"""What it costs: public list prices of us-east-1, as docs/install.md has them."""

from dataclasses import dataclass

from simulation import quotas
from simulation.run import Outcome

BUILD_MINUTE = 0.005
"""CodeBuild, general1.small on x86; Arm is less."""
TRANSITION = 0.025 / 1000
GIGABYTE_SECOND = 0.0000133334
"""Lambda on Arm."""
INVOCATION = 0.20 / 1_000_000
WRITE_UNIT = 0.625 / 1_000_000
READ_UNIT = 0.125 / 1_000_000
WORKER_GIGABYTES = 0.5


@dataclass(frozen=True)
class Item:
    """A line of the bill: what, how it comes about, and dollars."""

    what: str
    how: str
    dollars: float


def bill(outcome: Outcome) -> list[Item]:
    """The lines of the bill, without free tiers and taxes."""
    world, apis = outcome.world, outcome.world.apis
    minutes = apis[quotas.START_BUILD].total * outcome.scenario.build_minutes
    transitions, calls = apis[quotas.TRANSITIONS].total, apis[quotas.INVOKE].total
    writes, reads = apis[quotas.WRITES].total, apis[quotas.READS].total
    gigabytes = world.worker_seconds * WORKER_GIGABYTES
    return [
        Item("CodeBuild", f"{minutes:,.0f} min at ${BUILD_MINUTE}", minutes * BUILD_MINUTE),
        Item(
            "Step Functions",
            f"{transitions:,} transitions, $0.025 for 1,000",
            transitions * TRANSITION,
        ),
        Item(
            "Lambda",
            f"{calls:,} calls, {gigabytes:,.0f} GB-s on Arm at ${GIGABYTE_SECOND:.10f}",
            gigabytes * GIGABYTE_SECOND + calls * INVOCATION,
        ),
        Item(
            "DynamoDB",
            f"{writes:,} write units, {reads:,} read units, $0.625 and $0.125 for a million",
            writes * WRITE_UNIT + reads * READ_UNIT,
        ),
    ]
