"""The control plane's own release: the trial of a new version, and the end of old ones."""

from collections.abc import Mapping
from typing import Any

from control_plane.models import JsonObject
from control_plane.settings import ReleaseSettings, settings
from workers import release_check, release_pruning, release_trial, self_check
from workers.step import Step, run


def handler(event: Mapping[str, Any], context: object) -> JsonObject:
    """Lambda's entry."""
    if self_check.is_one(event):
        return self_check.answer(event, release_check.check)
    return run(event, STEPS, settings(ReleaseSettings).table_name)


STEPS: dict[str, Step] = {
    "StartTrial": release_trial.start_trial,
    "AwaitTrial": release_trial.await_trial,
    "PruneVersions": release_pruning.prune_versions,
}
