"""Executions and their ends, as Step Functions and EventBridge tell the record worker of them."""

import json
from typing import Any

import worker_builders as build
from worker_builders import ALPHA, TABLE, arn

from control_plane.models import Deployment
from control_plane.rules import proof
from control_plane.store.history import History
from control_plane.store.progress import Progress
from control_plane.store.starts import Starts
from workers import record

BY_HAND = "6f0d1c9e-1111-2222-3333-444455556666"
NO_ROLLBACK = {"outcome": "none", "failure": {}}
BARE = {"env": "stage", "org": "alpha"}
BUILD = {"fingerprint": "a" * 64, "source": "5" * 64}


def execution(given: Any, name: str = BY_HAND) -> dict[str, Any]:
    """The context object's `Execution`."""
    return {"Id": arn(name), "StartTime": build.start_of(name), "Input": given}


def registered(given: Any, name: str = BY_HAND) -> Any:
    """The same input, of an execution that the API has registered."""
    return Starts(TABLE).register(arn(name), given)


def prepare(given: Any, name: str = BY_HAND) -> Deployment:
    event = {"step": "PrepareDeployment", "execution": execution(given, name)}
    return Deployment.model_validate(record.handler(event, None))


def fail(given: Any, error: str = "StackFailed", cause: str = "why") -> dict[str, Any]:
    """`RecordFailure` of a step that failed, without a way back."""
    failure = {"state": "AwaitStack", "error": error, "cause": cause}
    event = {
        "step": "RecordFailure",
        "execution": execution(given),
        "failure": failure,
        "rollback": NO_ROLLBACK,
    }
    return record.handler(event, None)


def end(status: str, given: Any = BARE, **detail: Any) -> dict[str, Any]:
    """EventBridge's `Step Functions Execution Status Change` (Step Functions guide)."""
    event = {
        "executionArn": arn(BY_HAND),
        "stateMachineArn": build.MACHINE,
        "name": BY_HAND,
        "status": status,
        "startDate": 1795348800123,
        "stopDate": 1795348860000,
        "input": given if given is None else json.dumps(given),
        "error": None,
        "cause": None,
        **detail,
    }
    return record.handler({"source": "aws.states", "detail": event}, None)


def passed(made: Deployment, parameters: dict[str, str] | None = None) -> list[dict[str, str]]:
    """The results of a tenant that passes all that is required of it."""
    required = proof.required_tests(made.manifest, parameters or {})
    return [{"name": name, "status": "PASSED"} for name in required]


def succeed(made: Deployment, **claimed: Any) -> dict[str, Any]:
    """`RecordSuccess` of a deployment whose steps left what they claim in the record."""
    given = {"admin": {}, "patch": {}, **claimed}
    given["tests"] = claimed.get("tests") or passed(made, given["stack"].get("parameters"))
    found = {
        "build": given["build"]["fingerprint"],
        "code": {"equal": ["Function"], "not_compared": []},
        "config": {"sha256": given["config"].get("sha256")},
        "admin": {"username": made.options.admin_username},
        "isolation": {"routes": 2, "buckets": 1},
    }
    Progress(TABLE).add_facts(made, {"tests": given["tests"], "proof": found})
    return record.handler(build.event(made, "RecordSuccess", **given), None)


def good_tenant(**more: Any) -> None:
    """The tenant has a last good deployment, with a patch over its build."""
    made = build.deployment()
    made = build.opened(made.model_copy(update={"id": "20261121-120000-000aaaaa"}))
    build.take_lock(made)
    current = {
        "build": {**BUILD, "patched": "9" * 64},
        "running": "9" * 64,
        "patch": {"fingerprint": "9" * 64},
        "last_good": made.id,
        "endpoint": "https://before",
    }
    facts = {**current, **more}
    History(TABLE).succeed(ALPHA, made.id, made.execution_arn, {}, facts, is_whole=True)
