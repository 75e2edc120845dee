"""Which build that is there already: the tenant's last one, or one to go back to."""

from control_plane.errors import NoSuchBuild
from control_plane.models import Deployment, JsonObject
from workers.step import Outcome


def find_build(deployment: Deployment, event: JsonObject) -> Outcome:
    """The build that `deploy-only` or `rollback` brings. Raises NoSuchBuild."""
    raise NoSuchBuild("not written yet")


def roll_back(deployment: Deployment, event: JsonObject) -> Outcome:
    """The previous good build, for a deployment that failed its tests."""
    return Outcome({"available": False, "deployment": event["deployment"], "build": {}})
