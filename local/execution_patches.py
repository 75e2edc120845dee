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


def definitions_of_executions() -> None:
    """DescribeStateMachineForExecution tells of the definition and the role that an execution runs
    with, as on AWS.

    Without this it tells of those that the state machine has now, and whoever wants to know what a
    running execution may still call is told of something else.
    """
    stepfunctions = emulator_module("services.stepfunctions")
    starts = '        "testCase": test_case,\n'
    remembers = (
        starts
        + '        "_definition": sm["definition"],\n'
        + '        "_role_arn": sm["roleArn"],\n'
    )
    now, then = 'sm["definition"]', 'execution.get("_definition", sm["definition"])'
    role, role_then = (
        '        "roleArn": sm["roleArn"],\n',
        '        "roleArn": execution.get("_role_arn", sm["roleArn"]),\n',
    )
    tells = "_describe_state_machine_for_execution"
    for name, changes in (
        ("_start_execution", [(starts, remembers)]),
        ("_run_execution", [(now, then)]),
        (tells, [(now, then), (role, role_then)]),
    ):
        install(name, rewrite(stepfunctions, name, changes), [stepfunctions])
