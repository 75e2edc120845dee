"""The `syndi` command: one module per group of verbs, put together here."""

from typing import Annotated

import typer

from cli import (
    approving,
    configuring,
    deploying,
    drifting,
    ending,
    installing,
    labelling,
    laptop,
    measuring,
    offboarding,
    reading,
    releasing,
    rolling_back,
    rollouts,
    routing,
    scheduling,
    simulating,
    slots,
    sources,
    uninstalling,
)
from cli.context import current
from cli.options import JsonOption

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deploy tenants of serverless applications, and prove that they work.",
    epilog="Exit codes: 0 succeeded, 1 failed, 2 refused or invalid.",
)


@app.callback()
def options(
    local: Annotated[bool, typer.Option("--local", help="this laptop's AWS")] = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy tenants of serverless applications, and prove that they work."""
    current.local, current.as_json = local, as_json


app.command()(laptop.up)
app.command()(laptop.down)
app.command()(laptop.reset)
app.command()(installing.install)
app.command()(uninstalling.uninstall)
app.command()(releasing.self_update)
app.command()(releasing.version)
app.command()(deploying.deploy)
app.command()(rolling_back.rollback)
app.command()(ending.cancel)
app.command()(ending.retry)
app.command()(offboarding.offboard)
app.command()(drifting.drift)
app.command()(approving.approve)
app.command()(approving.reject)
app.command()(reading.history)
app.command()(reading.show)
app.command()(reading.tenants)
app.command()(reading.url)
app.command()(reading.check)
app.command()(measuring.health)
app.command()(labelling.label)
app.command()(simulating.simulate)
app.add_typer(sources.app, name="source")
app.add_typer(configuring.app, name="config")
app.add_typer(scheduling.app, name="schedule")
app.add_typer(slots.app, name="slots")
app.add_typer(rollouts.app, name="rollout")
app.add_typer(routing.app, name="route")


def main() -> None:
    """The entry point."""
    app()
