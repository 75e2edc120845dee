"""The application that comes with the project, as the first source of an environment."""

from cli import connection, source
from cli.connection import ROOT
from cli.context import current, query, say
from control_plane.models import Env


def push_first() -> None:
    """Push it for the environments that have no source of it, so that there is something to deploy.

    Where there is one it stays: what the next deployment of an environment brings is changed by
    `syndi source push`, not by installing again for another reason.
    """
    api = connection.connect(current.local)
    packed = source.pack(ROOT / "backend")
    name = packed.application
    there = api.call("GET", f"/sources{query(application=name)}")["environments"]
    without = [str(env) for env in Env if env not in there]
    if without:
        source.push(api, packed, without)
        say(f"pushed {name} {packed.sha256[:12]} for {', '.join(without)}")
    left = _left_as_they_are(there, packed.sha256)
    if left:
        say(f"left {name} as it is: {left}; 'syndi source push' changes it")


def _left_as_they_are(there: dict[str, str], here: str) -> str:
    """Which source the environments have that have another one than the checkout's; or empty."""
    environments: dict[str, list[str]] = {}
    for env in (str(env) for env in Env):
        if there.get(env, here) != here:
            environments.setdefault(there[env], []).append(env)
    return ", ".join(f"{sha256[:12]} in {', '.join(of)}" for sha256, of in environments.items())
