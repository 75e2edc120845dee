"""The CloudWatch alarms of a wave, as they are at the end of its bake time."""

from control_plane import aws, naming
from control_plane.rollout_models import Rollout, RowStatus
from control_plane.rollouts import Rollouts
from workers.rollout_tenants import tenant_of

_ASKED = 100
"""Alarms that one DescribeAlarms takes by name (CloudWatch API reference)."""


def problem(rollouts: Rollouts, rollout: Rollout) -> str:
    """What is wrong: an alarm that is in ALARM, or that there is none of; empty when all is well.

    An alarm that does not exist watches nothing: that is no good sign.
    """
    wanted = sorted(_names(rollouts, rollout))
    states: dict[str, str] = {}
    for start in range(0, len(wanted), _ASKED):
        names = wanted[start : start + _ASKED]
        answer = aws.cloudwatch().describe_alarms(
            AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=_ASKED
        )
        found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        states |= {one["AlarmName"]: one["StateValue"] for one in found}
    ringing = [name for name, state in states.items() if state == "ALARM"]
    if ringing:
        return f"in alarm: {', '.join(ringing[:5])}"
    missing = [name for name in wanted if name not in states]
    return f"there is no alarm {', '.join(missing[:5])}" if missing else ""


def _names(rollouts: Rollouts, rollout: Rollout) -> set[str]:
    """The alarms' names, those of each tenant of the wave that was deployed included."""
    names = {name for name in rollout.alarms if "{" not in name}
    of_tenants = [name for name in rollout.alarms if "{" in name]
    if of_tenants:
        for row in rollouts.rows(rollout.id, rollout.wave):
            if row["status"] == RowStatus.SUCCEEDED:
                tenant = tenant_of(rollout, row["org"])
                names |= {naming.filled(name, tenant) for name in of_tenants}
    return names
