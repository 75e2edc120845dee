"""What is at work in the laptop's AWS: waited for before it stops, closed after it was cut off."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.context import say
from control_plane import aws, naming
from control_plane.models import DeploymentStatus
from control_plane.services import executions
from control_plane.store.listing import Listing
from control_plane.store.rollouts import Rollouts, loaded
from local.processes import wait_until

POLL_SECONDS = 1.0
SETTLE_SECONDS = 15.0
"""How long the records of executions that were interrupted may take to be closed."""

SWEEPERS = ("record", "rollout", "route")
"""The workers that close what nobody closed."""

SWEEPS = 10
"""How often one worker is called until it has seen all."""


@dataclass(frozen=True)
class Work:
    """Something that goes on. `waits`: for a person, so that it does not end by itself."""

    name: str
    execution_arn: str = ""
    waits: bool = False


def at_work(stack: str, account: str, region: str) -> list[Work]:
    """Executions of the control plane, and operations on stacks, that go on right now."""
    machines = naming.own_machines(naming.own_state_machine(stack, account, region))
    waiting = _waiting(naming.history_table(stack))
    found = [
        Work(f"{machine.rsplit('-', 1)[-1]} {one['name']}", arn, arn in waiting)
        for machine in machines
        for one in _running(machine)
        for arn in [one["executionArn"]]
    ]
    stacks = aws.cloudformation().get_paginator("describe_stacks").paginate()
    found += [
        Work(f"stack {one['StackName']} ({one['StackStatus']})")
        for page in stacks
        for one in page["Stacks"]
        if one["StackStatus"].endswith("_IN_PROGRESS")
        and one["StackStatus"] != "REVIEW_IN_PROGRESS"
    ]
    return found


def _running(machine: str) -> list[Any]:
    pages = aws.stepfunctions().get_paginator("list_executions")
    try:
        return [
            one
            for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
            for one in page["executions"]
        ]
    except ClientError as error:
        if aws.error_code(error) != "StateMachineDoesNotExist":
            raise
        return []  # nothing is installed


def _waiting(table: str) -> set[str]:
    """The executions that wait for somebody: for an approval, or while a rollout is paused."""
    try:
        opened = [one for one in Listing(table).open_deployments("0") if isinstance(one, dict)]
        rollouts = Rollouts(table).newest(20)
    except ClientError as error:
        if aws.error_code(error) != "ResourceNotFoundException":
            raise
        return set()
    asked = {one["id"] for one in opened if one["status"] == DeploymentStatus.AWAITING_APPROVAL}
    records = [Listing(table).find(one) or {} for one in asked]
    idle = [one for one in rollouts if loaded(one).paused and not loaded(one).running]
    return {str(one.get("execution_arn")) for one in (*records, *idle)}


def await_end(stack: str, account: str, region: str, seconds: float) -> list[Work]:
    """Wait until nothing is at work, at most so long or until Ctrl-C; gives what still is.

    What waits for a person is not waited for.
    """
    deadline, shown = time.monotonic() + seconds, ""
    try:
        while True:
            found = at_work(stack, account, region)
            busy = [one.name for one in found if not one.waits]
            if not busy or seconds <= 0:
                return found
            if (text := ", ".join(busy)) != shown:
                shown = text
                say(f"waiting for {shown} (Ctrl-C or --now: interrupt)")
            if time.monotonic() > deadline:
                return found
            time.sleep(POLL_SECONDS)  # between two looks
    except KeyboardInterrupt:
        return at_work(stack, account, region)


def interrupt(work: list[Work]) -> None:
    """Stop executions, so that their records are closed and their builds stopped before AWS is."""
    arns = [one.execution_arn for one in work if one.execution_arn]
    for arn in arns:
        try:
            aws.stepfunctions().stop_execution(
                executionArn=arn, error="Interrupted", cause="the laptop's AWS was stopped"
            )
        except ClientError:  # it ended in this moment
            if executions.status(arn) == "RUNNING":
                raise
    # Their events close the records; what is not closed by then, the next `up` closes.
    if arns:
        names = {arn.rsplit(":", 1)[-1][-24:] for arn in arns}
        table = naming.history_table(arns[0].split(":")[6].rpartition("-")[0])
        wait_until(lambda: not names & _open(table), SETTLE_SECONDS)


def _open(table: str) -> set[str]:
    return {one["id"] for one in Listing(table).open_deployments("0") if isinstance(one, dict)}


def close_what_was_cut_off(stack: str) -> list[str]:
    """Have the workers close what was at work when AWS stopped; gives what was closed."""
    closed: list[str] = []
    for worker in SWEEPERS:
        for _ in range(SWEEPS):
            answer = aws.lambda_().invoke(
                FunctionName=f"{stack}-{worker}:live", Payload=json.dumps({"sweep": True}).encode()
            )
            swept = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                say(f"the {worker} worker could not sweep: {swept.get('errorMessage')}")
                break
            closed += swept["closed"]
            if swept.get("done", True):
                break
    return closed


def lost(journal: Path) -> list[str]:
    """The executions that were started since the last clean stop and that nobody knows any more."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    started = [str(json.loads(line)["execution_arn"]) for line in lines if line.endswith("}")]
    return [arn.rsplit(":", 1)[-1] for arn in started if executions.status(arn) is None]
