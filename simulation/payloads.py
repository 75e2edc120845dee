"""How large what a rollout hands around is: a look's answer, and its own item in the table."""

import json
from collections.abc import Sequence
from math import ceil

from control_plane import naming
from control_plane.events import STARTED_BY, Trigger
from control_plane.models import JsonObject, Tenant
from control_plane.rollout_models import Rollout, Running

ARN = "arn:aws:states:us-east-1:000000000000:execution:control-plane-prod-main-rollout:" + "0" * 36

PAYLOAD, ITEM = 256 * 1024, 400 * 1024
"""What an execution's payload and a table's item may have, in bytes."""

_FRAME = 200
"""What is around the starts in a look's answer."""


class Sizes:
    """The largest that were met, in bytes. `answer`: a look's, `item`: the rollout in the table."""

    def __init__(self) -> None:
        self.answer = self.item = 0
        self._running = -1

    @property
    def item_units(self) -> int:
        """Write units of the rollout's item at its largest."""
        return ceil(self.item / 1024)

    def see(self, rollout: Rollout, started: Sequence[Running]) -> None:
        """Keep the sizes of a look that starts these."""
        if len(rollout.running) > self._running:  # the rest of it does not grow
            self._running = len(rollout.running)
            self.item = max(self.item, len(rollout.model_dump_json(exclude_none=True)))
        if started:  # all alike: the length of one tells that of all
            one = len(json.dumps(start(rollout, started[0]))) + 2
            self.answer = max(self.answer, one * len(started) + _FRAME)


def start(rollout: Rollout, one: Running) -> JsonObject:
    """What StartDeployment is given for a tenant, as in workers/rollout_tenants.py."""
    tenant = Tenant(application=rollout.application, env=rollout.env, org=one.org)
    given = {
        "application": rollout.application,
        "env": rollout.env,
        "org": one.org,
        "mode": rollout.mode,
        "priority": rollout.priority,
        "trigger": Trigger.ROLLOUT,
        "rollout": rollout.id,
        STARTED_BY: ARN,
        "source": rollout.source,
    }
    return {"name": naming.execution_name(tenant, one.deployment), "input": given}
