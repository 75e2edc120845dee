"""What a busy AWS does in a state machine whose looks do not decide in the Choice that waits: the
rollout's and the shift's. The deployment's is `asl_rules.busy_asks_again`."""

from collections.abc import Collection

from asl_graph import Json, asks_again, deadline_rule, task_states


def busy_is_not_yet(machine: Json, looks: Collection[str]) -> list[str]:
    """Whoever of `looks` finds AWS busy is never failed by that.

    A busy AWS leads them to a wait and from there to a look, at most through a Choice that knows
    the deadline; nothing is assigned that a look decides by, and no other state does so.
    """
    wrong = []
    states = machine["States"]
    for name, state in task_states(machine).items():
        rules = [rule for rule in state["Catch"] if asks_again(rule)]
        if name not in looks:
            wrong += [f"{name} is no look" for _ in rules]
            continue
        if state["Catch"][:1] != rules or len(rules) != 1:
            wrong.append(f"{name}: a busy AWS fails it")
            continue
        retried = set(state["Retry"][0]["ErrorEquals"])
        if "ServiceBusy" in retried and retried != set(rules[0]["ErrorEquals"]):
            wrong.append(f"{name}: what is retried fails it in the end")
        if set(rules[0].get("Assign", {})) - {"spent"}:
            wrong.append(f"{name}: a busy AWS changes what is decided by")
        wait = states[rules[0]["Next"]]
        if wait["Type"] == "Choice" and deadline_rule(wait):
            wait = states[wait["Default"]]
        if wait["Type"] != "Wait" or wait["Next"] not in looks:
            wrong.append(f"{name}: a busy AWS is not taken for: not yet")
    return wrong
