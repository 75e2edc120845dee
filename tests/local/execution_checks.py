"""Functions and executions, as on AWS."""

from __future__ import annotations

import json
from typing import Any

from local_aws import Aws, client, zipped

from local.processes import wait_until

RAISES = """
class TargetIsBad(Exception):
    pass

def handler(event, context):
    if event.get("exit"):
        raise SystemExit(3)
    raise TargetIsBad("the stack is in ROLLBACK_COMPLETE")
"""


def lambda_error_has_the_type_of_its_exception(aws: Aws) -> None:
    arn = aws.function("raises", RAISES)
    invoke = client(aws.laptop, "lambda").invoke
    answer = invoke(FunctionName=arn, Payload=b"{}")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "TargetIsBad"
    assert payload["errorMessage"] == "the stack is in ROLLBACK_COMPLETE"
    assert set(payload) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert "index.py" in payload["stackTrace"][0]
    exited = json.loads(invoke(FunctionName=arn, Payload=b'{"exit": 1}')["Payload"].read())
    assert exited["errorType"] == "Runtime.ExitError"


def typed_catch_matches(aws: Aws) -> None:
    arn = aws.function("caught", RAISES)
    for name, task in (
        ("direct", {"Resource": arn, "Arguments": {}}),
        (
            "optimized",
            {
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": arn, "Payload": {}},
            },
        ),
    ):
        result = aws.execute(
            f"catch-{name}",
            {
                "QueryLanguage": "JSONata",
                "StartAt": "Try",
                "States": {
                    "Try": {
                        "Type": "Task",
                        **task,
                        "Catch": [
                            {"ErrorEquals": ["SomethingElse"], "Next": "Wrong"},
                            {
                                "ErrorEquals": ["TargetIsBad"],
                                "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                                "Next": "Right",
                            },
                        ],
                        "Next": "Wrong",
                    },
                    "Right": {"Type": "Pass", "End": True},
                    "Wrong": {"Type": "Fail", "Error": "NotCaught"},
                },
            },
        )
        assert result["status"] == "SUCCEEDED", (name, result.get("error"))
        assert json.loads(result["output"]) == "the stack is in ROLLBACK_COMPLETE"


def a_function_that_fails_sends_no_task_token(aws: Aws) -> None:
    arn = aws.function("tokenless", RAISES)
    told = {"FunctionName": arn, "Payload": {"token": "{% $states.context.Task.Token %}"}}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": told,
        "TimeoutSeconds": 2,
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "Ask", "States": {"Ask": state}}
    assert aws.execute("asks", definition)["error"] == "TargetIsBad"


def edition(number: int) -> dict[str, Any]:
    """A state machine whose executions tell, after a second, which one it is."""
    states = {
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Tell"},
        "Tell": {"Type": "Pass", "Result": number, "End": True},
    }
    return {"StartAt": "Wait", "States": states}


def execution_keeps_the_definition_and_role_that_it_started_with(aws: Aws) -> None:
    states = aws.stepfunctions
    machine = aws.machine("updated", edition(1))
    first_role = states.describe_state_machine(stateMachineArn=machine)["roleArn"]
    second_role = aws.role("updated-role-2", "states.amazonaws.com")
    first = states.start_execution(stateMachineArn=machine)["executionArn"]
    states.update_state_machine(
        stateMachineArn=machine, definition=json.dumps(edition(2)), roleArn=second_role
    )
    second = states.start_execution(stateMachineArn=machine)["executionArn"]
    for execution, number, role in ((first, 1, first_role), (second, 2, second_role)):
        for _ in ("while it runs", "and when it has ended"):
            found = states.describe_state_machine_for_execution(executionArn=execution)
            assert (json.loads(found["definition"]), found["roleArn"]) == (edition(number), role)
            assert json.loads(aws.ended(execution)["output"]) == number


def a_schedule_says_which_it_is_and_for_when(aws: Aws) -> None:
    queue = client(aws.laptop, "sqs").create_queue(QueueName="scheduled")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:scheduled"
    given = {"schedule": "<aws.scheduler.schedule-arn>", "at": "<aws.scheduler.scheduled-time>"}
    target = {"Arn": arn, "RoleArn": aws.role("scheduler", "scheduler.amazonaws.com")}
    aws.scheduler.create_schedule(
        Name="once", ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"}, Target={**target, "Input": json.dumps(given)},
    )  # fmt: skip
    sqs = client(aws.laptop, "sqs")
    assert wait_until(lambda: "Messages" in sqs.receive_message(
        QueueUrl=queue, VisibilityTimeout=0), 20)  # fmt: skip
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    found = json.loads(message["Body"])
    assert found["schedule"].endswith(":schedule/default/once")
    assert found["at"].endswith("Z")


WHERE = "import shared\n\ndef handler(event, context):\n    return shared.__file__\n"


def functions_share_an_unpacked_layer(aws: Aws) -> None:
    lambda_ = client(aws.laptop, "lambda")
    layer = lambda_.publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared.py": "HERE = True\n"})}
    )["LayerVersionArn"]
    found = set()
    for name in ("one", "two"):
        arn = aws.function(f"layered-{name}", WHERE)
        lambda_.update_function_configuration(FunctionName=arn, Layers=[layer])
        found.add(lambda_.invoke(FunctionName=arn)["Payload"].read())
    assert len(found) == 1, found
    assert b"/python/shared.py" in found.pop()


CHECKS = [
    lambda_error_has_the_type_of_its_exception,
    typed_catch_matches,
    a_function_that_fails_sends_no_task_token,
    execution_keeps_the_definition_and_role_that_it_started_with,
    functions_share_an_unpacked_layer,
    a_schedule_says_which_it_is_and_for_when,
]
