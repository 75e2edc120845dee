"""What every state machine of this project must be like: each rule answers what breaks it.

Step Functions' own rules (the emulator accepts a missing target or an unknown type), and the
project's: every failure is recorded, every wait ends, nothing that docs/emulator.md or the
reference says that the emulator does not do.
"""

import copy

from asl_graph import (
    Json,
    all_ways,
    asks_again,
    deadline_rule,
    invoking,
    reachable_from,
    states_in_loops,
    task_states,
    texts,
    ways_out,
)

from control_plane import crashes

TOP = {"Comment", "QueryLanguage", "StartAt", "States"}
FIELDS = {
    "Task": {"Comment", "Type", "Resource", "TimeoutSeconds", "Arguments", "Output", "Assign",
             "Retry", "Catch", "Next"},
    "Choice": {"Comment", "Type", "Choices", "Default"},
    "Wait": {"Comment", "Type", "Seconds", "Next"},
    "Pass": {"Comment", "Type", "Output", "Assign", "Next"},
    "Succeed": {"Comment", "Type"},
    "Fail": {"Comment", "Type", "Error", "Cause"},
}  # fmt: skip
"""By type, what may stand in a state. What the emulator ignores is not among it: an `Output` of a
Succeed, an execution's TimeoutSeconds, MaxDelaySeconds of a Retry, HeartbeatSeconds."""
RETRY = {"ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "JitterStrategy"}
CATCH = {"ErrorEquals", "Assign", "Output", "Next"}
RULE = {"Condition", "Assign", "Next"}
JSONPATH = {"InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector", "ItemsPath",
            "TimeoutSecondsPath", "HeartbeatSecondsPath", "SecondsPath", "Variable"}  # fmt: skip
INVOKE = "arn:aws:states:::lambda:invoke"
AWAIT_TOKEN = INVOKE + ".waitForTaskToken"
RECORD_FAILURE, FAILED = "RecordFailure", "DeploymentFailed"
SUCCESSES = {"RecordSuccess", "RecordDryRun", "RecordOffboarding", "RecordDrift"}
"""Where a good end is recorded; nothing else succeeds."""
BETWEEN = {
    ("AwaitApproval", "ApprovalRejected"): "DiscardChangeSet",
    ("AwaitApproval", "States.Timeout"): "DiscardChangeSet",
    ("AwaitApproval", "States.ALL"): "DiscardChangeSet",
    ("RegainSlot", "Cancelled"): "DiscardChangeSet",
    ("RegainSlot", "States.ALL"): "DiscardChangeSet",
    ("RunTests", "TestsFailed"): "MayRollBack",
    ("ProveDeployment", "ProofIncomplete"): "MayRollBack",
    ("ProveDeployment", "Cancelled"): "IsTrialRequired",
    ("ProveDeployment", "States.ALL"): "IsTrialRequired",
    ("SyncConfig", "OutputRefused"): "MayRollBack",
    ("CreateAdmin", "OutputRefused"): "MayRollBack",
    ("RecordSuccess", "ProofIncomplete"): "MayRollBack",
    ("AwaitChangeSet", "Cancelled"): "DiscardChangeSet",
    ("UploadConfig", "ConfigInvalid"): "DiscardChangeSet",
    ("UploadConfig", "States.ALL"): "RestoreConfig",
    ("ExecuteChangeSet", "StackFailed"): "RestoreConfig",
    ("ExecuteChangeSet", "States.ALL"): "RestoreConfig",
    ("AwaitStack", "StackFailed"): "RestoreConfig",
    ("AwaitStack", "States.ALL"): "IsTrialRequired",
    ("RestoreConfig", "States.ALL"): "IsTrialRequired",
    ("ReconcileFunction", "PatchFailed"): "IsTrialRequired",
    ("ReconcileFunction", "States.ALL"): "IsTrialRequired",
    ("SyncConfig", "ConfigInvalid"): "MayRollBack",
    ("SyncConfig", "InvalidRequest"): "MayRollBack",
    ("SyncConfig", "Cancelled"): "IsTrialRequired",
    ("SyncConfig", "States.ALL"): "IsTrialRequired",
    ("RunTests", "Cancelled"): "IsTrialRequired",
    ("RunTests", "States.ALL"): "IsTrialRequired",
    ("StartTrial", "TrialFailed"): "MayRollBack",
    ("StartTrial", "States.ALL"): "MayRollBack",
    ("AwaitTrial", "TrialFailed"): "MayRollBack",
    ("AwaitTrial", "States.ALL"): "MayRollBack",
    ("PruneVersions", "States.ALL"): "IsRolledBack",
}
"""What happens between a failure and its record: (state, error) to the state that does it."""


DEADLINES_LEAD_TO = (RECORD_FAILURE, "MayRollBack", "IsTrialRequired", "DiscardChangeSet")
"""Where a wait that takes too long goes on: each of them ends in a failure."""

NOT_YET = ({"done": False}, {"action": "wait"})

TIDIES = {"RestoreConfig", "DiscardChangeSet", "PruneVersions"}
"""States that tidy up: their own failure hides none before it, and fails nothing."""


def targets_exist(machine: Json) -> list[str]:
    """Every Next, Default, Catch and Choice names a state; so does StartAt."""
    known = machine["States"]
    wrong = [f"{w.source}.{w.by}: {w.target!r}" for w in all_ways(machine) if w.target not in known]
    return wrong if machine["StartAt"] in known else [*wrong, f"StartAt: {machine['StartAt']!r}"]


def all_reachable(machine: Json) -> list[str]:
    """Every state can be reached from the first."""
    return sorted(set(machine["States"]) - reachable_from(machine, machine["StartAt"]))


def no_dead_ends(machine: Json) -> list[str]:
    """Only Succeed and Fail end; whatever else happens, one of them is reached."""
    wrong = []
    ends = {n for n, s in machine["States"].items() if s["Type"] in ("Succeed", "Fail")}
    for name, state in machine["States"].items():
        if name in ends:
            continue
        if "End" in state or not any(w.by in ("Next", "Default") for w in ways_out(name, state)):
            wrong.append(f"{name} has no way on")
        elif not reachable_from(machine, name) & ends:
            wrong.append(f"{name} never ends")
    return wrong


def known_fields_only(machine: Json) -> list[str]:
    """Known types, and in each state only what its type has and every AWS we run on does."""
    wrong = [f"top: {field}" for field in set(machine) - TOP]
    for name, state in machine["States"].items():
        allowed = FIELDS.get(state.get("Type"))
        if allowed is None:
            wrong.append(f"{name}: type {state.get('Type')}")
            continue
        wrong += [f"{name}.{field}" for field in set(state) - allowed]
        for member, fields in (("Retry", RETRY), ("Catch", CATCH), ("Choices", RULE)):
            for rule in state.get(member, []):
                wrong += [f"{name}.{member}.{field}" for field in set(rule) - fields]
    return wrong


def jsonata_only(machine: Json) -> list[str]:
    """One query language throughout."""
    wrong = [] if machine.get("QueryLanguage") == "JSONata" else ["QueryLanguage on top"]
    for path, text in texts(machine):
        wrong += [".".join(path) for key in path if key in JSONPATH or key.endswith(".$")]
        if text.startswith(("$.", "$$.")):
            wrong.append(f"{'.'.join(path)}: a JSONPath {text}")
        if ("{%" in text or "%}" in text) and not (text[:2] == "{%" and text[-2:] == "%}"):
            wrong.append(f"{'.'.join(path)}: an expression with something around it is a mere text")
    return wrong


def comments_are_sentences(machine: Json) -> list[str]:
    """The machine and every state say in a sentence what they are for."""
    said = {"the machine": machine.get("Comment", "")}
    said |= {name: state.get("Comment", "") for name, state in machine["States"].items()}
    return [n for n, c in said.items() if not (c[:1].isupper() and c.endswith(".") and " " in c)]


def tasks_are_bounded_and_retried(machine: Json) -> list[str]:
    """Every Task invokes a function, with a literal limit, and is retried when AWS is busy."""
    wrong = []
    for name, state in task_states(machine).items():
        if state.get("Resource") != (AWAIT_TOKEN if name == "AwaitApproval" else INVOKE):
            wrong.append(f"{name}: {state.get('Resource')}")
        if type(state.get("TimeoutSeconds")) is not int:
            wrong.append(f"{name}: TimeoutSeconds is no literal number")
        retried = {error for rule in state.get("Retry", []) for error in rule["ErrorEquals"]}
        if not {"ServiceBusy", "Lambda.TooManyRequestsException"} <= retried:
            wrong.append(f"{name}: not retried when AWS is busy")
        if retried & {"States.ALL", "States.TaskFailed"}:
            wrong.append(f"{name}: retries what will fail again")
        for rule in state.get("Retry", []):
            if not 1 <= rule.get("MaxAttempts", 0) <= 10:
                wrong.append(f"{name}: MaxAttempts {rule.get('MaxAttempts')}")
    return wrong


def crashes_are_retried(machine: Json) -> list[str]:
    """A worker that crashed is tried again, a few times: every step may run twice.

    An approval that nobody gave in time is no crash, and is not asked for again.
    """
    wrong = []
    for name, state in invoking(machine).items():
        crash = {*crashes.ERRORS} - ({"States.Timeout"} if name == "AwaitApproval" else set())
        rules = [rule for rule in state["Retry"] if {*crashes.ERRORS} & {*rule["ErrorEquals"]}]
        if len(rules) != 1 or {*rules[0]["ErrorEquals"]} != crash:
            wrong.append(f"{name}: not retried after {', '.join(sorted(crash))}")
        elif rules[0]["MaxAttempts"] + 1 != crashes.ATTEMPTS:
            wrong.append(f"{name}: a crash is retried {rules[0]['MaxAttempts']} times")
    return wrong


def failures_are_recorded(machine: Json) -> list[str]:
    """Every Task catches everything; what it catches goes to RecordFailure with its own name.

    RecordFailure's own failure goes to the Fail state. Named errors stand before States.ALL, and
    States.ALL stands alone, or Step Functions refuses the definition.
    """
    wrong = []
    for name, state in task_states(machine).items():
        rules = state.get("Catch", [])
        if not rules or rules[-1]["ErrorEquals"] != ["States.ALL"]:
            wrong.append(f"{name}: the last Catch is not States.ALL alone")
        for index, rule in enumerate(rules):
            if asks_again(rule):  # no failure: busy_asks_again
                continue
            target = FAILED if name == RECORD_FAILURE else RECORD_FAILURE
            for error in rule["ErrorEquals"]:
                target = BETWEEN.get((name, error), target)
            if rule["Next"] != target:
                wrong.append(f"{name}.Catch[{index}] goes to {rule['Next']}")
            if "States.ALL" in rule["ErrorEquals"] and rule is not rules[-1]:
                wrong.append(f"{name}.Catch[{index}]: States.ALL hides what follows")
            if name in TIDIES:
                if "failure" in rule.get("Assign", {}):
                    wrong.append(f"{name}.Catch[{index}] hides what failed before")
            elif name != RECORD_FAILURE and rule.get("Assign", {}).get("failure") != {
                "state": name,
                "error": "{% $states.errorOutput.Error %}",
                # A timeout may have no cause, and an undefined value would fail the Catch.
                "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause"
                " : '' %}",
            }:
                wrong.append(f"{name}.Catch[{index}] does not say what failed")
    return wrong


def busy_asks_again(machine: Json) -> list[str]:
    """Whoever only looks is never failed by a busy AWS: it looks again, until its deadline.

    The state's Choice is told what it is told when the work goes on, and so leads to the wait.
    """
    wrong = []
    states = machine["States"]
    for name, state in task_states(machine).items():
        choice = states.get(state.get("Next", ""), {})
        rules = [rule for rule in state.get("Catch", []) if asks_again(rule)]
        if deadline_rule(choice) is None:
            wrong += [f"{name} waits for nothing" for _ in rules]
            continue
        back = states.get(choice.get("Default", ""), {})
        if back.get("Next") != name and choice.get("Default") != name:
            wrong.append(f"{name}: its Choice does not come back to it")
        if state.get("Catch", [])[:1] != rules or len(rules) != 1:
            wrong.append(f"{name}: a busy AWS fails it")
        elif rules[0]["ErrorEquals"] != state["Retry"][0]["ErrorEquals"]:
            wrong.append(f"{name}: what is retried fails it in the end")
        elif rules[0]["Next"] != state["Next"] or rules[0]["Output"] not in NOT_YET:
            wrong.append(f"{name}: a busy AWS is not taken for: not yet")
    return wrong


def only_success_succeeds(machine: Json) -> list[str]:
    """No way leads from RecordFailure to a Succeed; only a recorded success leads there."""
    wrong = []
    for way in all_ways(machine):
        succeeds = machine["States"].get(way.target, {}).get("Type") == "Succeed"
        if succeeds and not (way.source in SUCCESSES and way.by == "Next"):
            wrong.append(f"{way.source}.{way.by} succeeds")
    for name in reachable_from(machine, RECORD_FAILURE):
        if machine["States"][name]["Type"] == "Succeed":
            wrong.append(f"after {RECORD_FAILURE} comes {name}")
    return wrong


def loops_have_a_deadline(machine: Json) -> list[str]:
    """Whoever goes in a circle passes a Choice that ends it, and nobody moves its deadline.

    ContinueRollback does move it: its worker is told that it was there, and refuses a second time.
    The way back after failed tests is left out: MayRollBack lets nobody through twice.
    """
    machine = copy.deepcopy(machine)
    machine["States"]["CanRollBack"]["Choices"] = []
    wrong = []
    choices = {name for name, state in machine["States"].items() if deadline_rule(state)}
    for name in choices:
        rule = deadline_rule(machine["States"][name]) or {}
        if rule["Next"] not in DEADLINES_LEAD_TO or "failure" not in rule.get("Assign", {}):
            wrong.append(f"{name}: the deadline is no failure")
    endless = {
        **machine,
        "States": {n: s for n, s in machine["States"].items() if n not in choices},
    }
    wrong += [f"{name} goes round for ever" for name in sorted(states_in_loops(endless))]
    for way in all_ways(machine):
        circle = way.source in reachable_from(machine, way.target)
        if circle and "waiting" in way.assign and way.source != "ContinueRollback":
            wrong.append(f"{way.source}.{way.by} moves the deadline of the loop it is in")
    return wrong


RULES = (
    targets_exist,
    all_reachable,
    no_dead_ends,
    known_fields_only,
    jsonata_only,
    comments_are_sentences,
    tasks_are_bounded_and_retried,
    crashes_are_retried,
    failures_are_recorded,
    busy_asks_again,
    only_success_succeeds,
    loops_have_a_deadline,
)
