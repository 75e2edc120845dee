"""The options that say what a rollout is to do: when it is started, and when it is scheduled."""

from pathlib import Path
from typing import Annotated

import typer

from cli.rollout_request import RolloutMode
from control_plane.rollout_models import Failure

CanaryOption = Annotated[
    list[str] | None, typer.Option(help="an organization of the first wave; repeat it")
]
WavesOption = Annotated[
    str, typer.Option(help="counts, percentages and 'rest', such as 5,25%,rest")
]
OrgsOption = Annotated[
    list[str] | None,
    typer.Option("--org", help="an organization, also a new one; default: all that are deployed"),
]
LabelOption = Annotated[
    list[str] | None, typer.Option(help="only tenants with this label, key=value; repeat it")
]
BuildOption = Annotated[
    str | None, typer.Option(help="only tenants whose build's fingerprint begins like this")
]
RolloutSourceOption = Annotated[
    str | None, typer.Option(help="SHA-256 of a source; default: the environment's current one")
]
RolloutModeOption = Annotated[RolloutMode, typer.Option(help="full, or each tenant's last build")]
ConcurrencyOption = Annotated[
    int, typer.Option(min=1, max=200, help="deployments at the same time")
]
MaxFailuresOption = Annotated[
    str | None,
    typer.Option(help="how many may fail: a number, or a share such as 5%; default: none"),
]
OnFailureOption = Annotated[
    Failure, typer.Option(help="when more fail: stop, or also roll the wave back")
]
BakeOption = Annotated[
    str, typer.Option(help="how long a wave is watched before the next, such as 90s, 10m, 2h")
]
AlarmOption = Annotated[
    list[str] | None,
    typer.Option(help="a CloudWatch alarm checked after each wave; {env}, {org} are filled in"),
]
ApprovalOption = Annotated[
    bool, typer.Option("--approval", help="wait for 'syndi rollout approve' between waves")
]
PlanOption = Annotated[
    Path | None,
    typer.Option(help="a JSON file with the request's fields, such as waves of their own"),
]
