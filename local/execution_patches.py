"""Where the emulator's Step Functions differ from AWS in a way that hides a failure.

As in `patches`: each function explains the difference, checks what it replaces, and raises
UnexpectedEmulator otherwise. Standard library and `ministack` only.
"""

from __future__ import annotations

from local.rewriting import emulator_module, install, rewrite


def task_token_errors() -> None:
    """A state that waits for a task token fails when the function that it calls fails.

    Without this the function's error is forgotten and the execution waits for a callback that
    nobody can send: until its limit, a day for an approval.
    """
    stepfunctions = emulator_module("services.stepfunctions")
    forgets = (
        "            _call_lambda(func_ref, lambda_payload)\n"
        "        except _ExecutionError:\n            pass\n"
    )
    fails = (
        "            _call_lambda(func_ref, lambda_payload)\n"
        "        except _ExecutionError:\n"
        "            _task_tokens.pop(token, None)\n            raise\n"
    )
    name = "_invoke_with_callback"
    install(name, rewrite(stepfunctions, name, [(forgets, fails)]), [stepfunctions])


def schedules_have_context() -> None:
    """EventBridge Scheduler puts into a target's input which schedule it is, and for when.

    Without this the keywords `<aws.scheduler.…>` arrive as they are written, and the function that
    a schedule calls cannot tell one time from another.
    """
    scheduler = emulator_module("services.scheduler")
    fires = "_eb._invoke_target(target, event, sched)"
    with_context = (
        '_eb._invoke_target({**target, "Input": (target.get("Input") or "")'
        '.replace("<aws.scheduler.schedule-arn>", sched.get("Arn", ""))'
        '.replace("<aws.scheduler.scheduled-time>", now_dt.strftime("%Y-%m-%dT%H:%M:%SZ"))'
        '.replace("<aws.scheduler.execution-id>", new_uuid())'
        '.replace("<aws.scheduler.attempt-number>", "1")}, event, sched)'
    )
    name = "_tick_schedules"
    install(name, rewrite(scheduler, name, [(fires, with_context)]), [scheduler])


def executions_keep_their_definition() -> None:
    """An execution runs the definition that its state machine had when it was started, and
    DescribeStateMachineForExecution gives that one, with the role of then.

    Without this the answer is the state machine as it is now, and so is what an execution runs
    that was started a moment before an update: nobody could tell which code an execution still
    calls after the control plane was replaced.
    """
    stepfunctions = emulator_module("services.stepfunctions")
    test_case = '        "testCase": test_case,\n'
    of_now = '        "definition": sm["definition"],\n        "roleArn": sm["roleArn"],\n'
    # An execution that an unpatched emulator kept has none of its own.
    own = "execution.get({0!r}, sm[{0!r}])"
    of_then = "".join(
        f"        {name!r}: {own.format(name)},\n" for name in ("definition", "roleArn")
    )
    runs = 'json.loads(sm["definition"])'
    for name, old, new in (
        ("_start_execution", test_case, test_case + of_now),
        ("_run_execution", runs, f"json.loads({own.format('definition')})"),
        ("_describe_state_machine_for_execution", of_now, of_then),
    ):
        install(name, rewrite(stepfunctions, name, [(old, new)]), [stepfunctions])
