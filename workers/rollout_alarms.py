"""The CloudWatch alarms of a wave, as they are at the end of its bake time."""

from control_plane import naming
from control_plane.rollout_models import Rollout, RowStatus
from control_plane.store.rollouts import Rollouts
from workers.alarms import RINGS, described
from workers.rollout_tenants import tenant_of


def problem(rollouts: Rollouts, rollout: Rollout) -> str:
    """What is wrong: an alarm that is in ALARM, or that there is none of; empty when all is well.

    An alarm that does not exist watches nothing: that is no good sign.
    """
    wanted = sorted(_names(rollouts, rollout))
    states = described(wanted)
    ringing = [name for name, told in states.items() if told["state"] == RINGS]
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
