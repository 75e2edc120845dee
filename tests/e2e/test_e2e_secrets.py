"""The administrator's password appears nowhere but in its secret."""

import json
from collections.abc import Iterator
from typing import Any

from syndi_command import ALPHA_PASSWORD, Syndi


def test_the_password_is_in_its_secret(syndi: Syndi, alpha: dict[str, Any]) -> None:
    secret = syndi.client("secretsmanager").get_secret_value(SecretId=alpha["admin"]["secret"])
    assert json.loads(secret["SecretString"])["password"] == ALPHA_PASSWORD


def test_no_execution_log_item_or_configuration_has_the_password(
    syndi: Syndi, alpha: dict[str, Any]
) -> None:
    looked_at = 0
    for place, text in places(syndi):
        looked_at += 1
        assert ALPHA_PASSWORD not in text, place
    assert looked_at > 50, "there was something to look at"


def places(syndi: Syndi) -> Iterator[tuple[str, str]]:
    """Everything that people may read: executions, logs, the table, objects, local files."""
    states = syndi.client("stepfunctions")
    machine = syndi.outputs()["StateMachineArn"]
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for item in page["executions"]:
            arn = item["executionArn"]
            yield arn, json.dumps(states.describe_execution(executionArn=arn), default=str)
            history = states.get_paginator("get_execution_history").paginate(executionArn=arn)
            for events in history:
                yield f"history of {arn}", json.dumps(events["events"], default=str)
    logs = syndi.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for events in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        ):
            yield f"log {group['logGroupName']}", json.dumps(events["events"], default=str)
    table = syndi.outputs()["TableName"]
    for page in syndi.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield f"item {item['PK']} {item['SK']}", json.dumps(item, default=str)
    s3 = syndi.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for found in page.get("Contents", []):
                if found["Key"].endswith((".json", ".yaml")):
                    body = s3.get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read()
                    yield f"{bucket['Name']}/{found['Key']}", body.decode()
    for file in (syndi.state / "logs").iterdir():
        yield str(file), file.read_text(errors="replace")
