"""The arguments and options that several verbs have: one name and one help text each."""

from typing import Annotated

import typer

from control_plane.models import Env, OnConflict, Priority

NOWHERE = "none"
"""What `--approval-in` is told when no environment shall need an approval any more, `--hosted-zone`
when there shall be no routes, and `syndi route set --weights` when one of them shall be gone."""

EnvArgument = Annotated[Env, typer.Argument(metavar="ENV", help="dev, test, stage or prod")]
OrgArgument = Annotated[str, typer.Argument(metavar="ORG", help="the organization, e.g. myorg")]
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="a deployment's id, as 'syndi history' lists it")
]
ApplicationOption = Annotated[
    str | None, typer.Option("--application", help="an application other than the default one")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON to standard output")]
CommentOption = Annotated[str, typer.Option("--comment", help="why; it is kept")]
OnConflictOption = Annotated[
    OnConflict,
    typer.Option("--on-conflict", help="what to do while another deployment has the tenant"),
]
PriorityOption = Annotated[
    Priority, typer.Option("--priority", help="who gets a deployment slot first")
]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="watch it to its end")]
AllowReplacementOption = Annotated[
    list[str] | None,
    typer.Option("--allow-replacement", help="a resource, by logical id, that may lose its data"),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="show what would change, and change nothing")
]
ApprovalOption = Annotated[
    bool, typer.Option("--approval", help="wait for 'syndi approve' before anything changes")
]
IdempotencyKeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="a request with the same key starts only once"),
]
