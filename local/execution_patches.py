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
