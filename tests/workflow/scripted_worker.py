"""The Lambda function that stands in for every worker: it does what the execution's script says.

The script is part of the execution's input: {"script": {step: [reply, …]}}, one reply for each
call of that step, the last one again for all further calls; a step without one does what a worker
does when all goes well. A reply is {"answer": object}, {"raise": class name, "message": text},
{"exit": status} or {"sleep": seconds}. Every call is written to a journal before it is answered.

Runs as a function of the emulator: standard library only.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ALL_GOES_WELL: dict[str, dict[str, Any]] = {
    "AcquireLock": {"done": True},
    "AcquireSlot": {"done": True},
    "RegainSlot": {"done": True},
    "CheckStack": {"done": True, "action": "create", "reason": "there is none", "status": "NONE"},
    "ContinueRollback": {"done": True, "rollback_continued": True},
    "DeleteFailedStack": {"done": True, "stack_id": "stack/failed"},
    "AwaitDeletion": {"done": True},
    "StartBuild": {"done": True, "fingerprint": "f1", "reused": False},
    "AwaitBuild": {
        "done": True, "fingerprint": "f1", "build_id": "b1", "template_key": "t1", "reused": False,
    },
    "FindBuild": {
        "done": True, "deployment": {}, "build": {
            "fingerprint": "f0", "source": "s0", "build_id": "b0", "template_key": "t0",
            "reused": True,
        },
    },
    "UploadConfig": {"done": True, "config": {"version_id": "before"}, "changed": True},
    "CreateChangeSet": {"done": True, "change_set_id": "changes/1", "stack_id": "stack/1"},
    "AwaitChangeSet": {"done": True, "has_changes": True, "summary": {"added": ["Api"]}},
    "ExecuteChangeSet": {"done": True},
    "AwaitStack": {
        "done": True, "stack_id": "stack/1", "status": "CREATE_COMPLETE",
        "outputs": {"ApiUrl": "https://x"}, "parameters": {"EnableAuth": "true"},
    },
    "RestoreConfig": {"done": True},
    "ReconcileFunction": {"done": True},
    "PatchFunction": {
        "done": True,
        "build": {"fingerprint": "p1", "source": "s1", "template_key": "t0", "reused": True},
        "stack": {"outputs": {"ApiUrl": "https://x"}, "parameters": {"EnableAuth": "true"}},
        "config": {"version_id": "before"},
        "patch": {"fingerprint": "p1"},
    },
    "SyncConfig": {"done": True, "config": {"version_id": "after"}, "changed": True},
    "CreateAdmin": {"done": True, "admin": {"username": "admin@example.com"}},
    "RunTests": {"done": True, "tests": [{"name": "health", "status": "PASSED"}]},
    "ProveDeployment": {"done": True, "proof": {}},
    "RollBack": {
        "done": True, "available": True, "why": "", "deployment": {}, "build": {
            "fingerprint": "f0", "source": "s0", "build_id": "b0", "template_key": "t0",
            "reused": True,
        },
    },
    "StartTrial": {"done": True, "trial": {"id": "t1"}},
    "AwaitTrial": {"done": True, "trial": {"id": "t2"}},
    "PruneVersions": {"done": True},
    "DiscardChangeSet": {"done": True},
    "ExportData": {"done": True, "position": {}},
    "DeleteStack": {"done": True, "stack_id": "stack/1"},
    "AwaitRemoval": {"done": True},
    "PurgeLeftovers": {"done": True},
    "InspectLeftovers": {"done": True, "leftovers": {"items": []}},
    "DetectDrift": {"done": True, "detection_id": "detection/1"},
    "AwaitDrift": {"done": True, "drift": {"findings": []}},
    "CheckFunction": {"done": True, "drift": {"findings": []}},
    "PreviewConfig": {"done": True, "config_changes": {"added": ["a"]}},
    "CheckConfig": {"done": True, "drift": {"findings": []}},
    "RecordDryRun": {"id": "d1", "status": "SUCCEEDED"},
    "RecordOffboarding": {"id": "d1", "status": "SUCCEEDED"},
    "RecordDrift": {"id": "d1", "status": "SUCCEEDED"},
    "RecordSuccess": {"id": "d1", "status": "SUCCEEDED"},
    "CheckShift": {"move": "done", "seconds": 0},
    "SetWeights": {"reached": 1, "bakes_until": "noon", "seconds": 1},
    "RestoreWeights": {"restored": "the weights are back"},
}  # fmt: skip

OPTIONS = {
    "mode": "full", "dry_run": False, "approval": False, "rollback_on_failure": True,
    "purge": False,
}  # fmt: skip
"""A deployment's options, as PrepareDeployment answers them."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry."""
    step = event["step"]
    work = event.get("deployment") or event.get("shift") or {}
    arn = event["execution"]["Id"] if "execution" in event else work["execution_arn"]
    told = event["execution"]["Input"] if "execution" in event else work
    journal = Path(os.environ["JOURNAL"]) / f"{arn.rpartition(':')[2]}.jsonl"
    earlier = journal.read_text().splitlines() if journal.exists() else []
    calls = sum(json.loads(line)["step"] == step for line in earlier)
    with journal.open("a") as file:
        call = {"step": step, "function": context.function_name, "payload": event}
        file.write(json.dumps(call) + "\n")
    script = told["script"].get(step)
    reply = script[min(calls, len(script) - 1)] if script else {}
    return _carried_out(reply, step, event)


def _carried_out(reply: dict[str, Any], step: str, event: dict[str, Any]) -> dict[str, Any]:
    if "raise" in reply:
        # Lambda reports an exception by the name of its class: any class of that name will do.
        raise type(reply["raise"], (Exception,), {})(reply["message"])
    if "exit" in reply:
        sys.exit(reply["exit"])
    time.sleep(reply.get("sleep", 0))  # a slow worker is what its test asks for
    return reply.get("answer") or _well(step, event)


def _well(step: str, event: dict[str, Any]) -> dict[str, Any]:
    if step == "PrepareDeployment":
        given = event["execution"]["Input"]
        return {
            "id": "d1",
            "execution_arn": event["execution"]["Id"],
            "options": OPTIONS | given.get("options", {}),
            "manifest": given.get("manifest", {}),
            "rolling_back": False,
            "script": given["script"],
        }
    if step == "PrepareShift":
        execution = event["execution"]
        script = execution["Input"]["script"]
        return {"shift": {"id": "s1", "execution_arn": execution["Id"], "script": script}}
    if step == "RecordShift":
        failure = event["failure"]
        reason = f"recorded of {failure['state']}: {failure['error']}"
        status = "FAILED" if failure["error"] else "SUCCEEDED"
        return {"status": status, "reason": reason if failure["error"] else ""}
    if step == "RecordFailure":
        failure = event["failure"]
        return {
            "id": "d1",
            "error": failure["error"],
            "reason": f"recorded of {failure['state']}: {failure['error']}",
        }
    answer = ALL_GOES_WELL[step]
    if "deployment" in answer:  # the worker resolves it anew
        back = {"rolling_back": step == "RollBack"}
        return {**answer, "deployment": {**event["deployment"], **back}}
    return answer
