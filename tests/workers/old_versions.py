"""A control plane's versions, executions and roles, as far as pruning asks for them.

Roles are moto's; versions and executions are scripted, since moto's have neither the dates nor the
definitions that matter here.
"""

import json
from datetime import datetime, timedelta

import scripted_aws as scripted
import worker_builders as build
from new_version import OWN, PRINT
from test_cli_uninstall import POLICY, TRUST

from control_plane import aws
from control_plane.models import JsonObject

STACK = OWN.stack_name
LAMBDA = f"arn:aws:lambda:{build.REGION}:{build.ACCOUNT}:function"
OLD, MIDDLE, NEW = "0" * 12, "1" * 12, PRINT[:12]
"""Three builds: each brought a version of every function, with a role of its own."""


def role_of(build_: str, name: str = "stack", stack: str = STACK) -> str:
    return f"arn:aws:iam::{build.ACCOUNT}:role/{stack}/{build_}/{name}-{build_}"


def definition(*versions: str) -> str:
    return json.dumps({"FunctionNames": [f"{LAMBDA}:{STACK}-{version}" for version in versions]})


class Plane:
    """A control plane with two functions, three builds, and nothing that runs."""

    def __init__(self, script: scripted.Scripted, now: datetime) -> None:
        self.script = script
        self.now = now
        self.current = definition("stack:3", "record:3")
        self.rollouts: str | None = None  # the definition of their state machine, if there is one
        self.running: dict[str, tuple[str, str]] = {}
        self.machine_role = role_of(NEW, "machine")
        self.stack_role: str | None = None
        self.aliased: set[tuple[str, str]] = set()
        self.gone: set[tuple[str, str]] = set()
        self.deleted: list[tuple[str, str]] = []
        script.on(aws.lambda_(), "ListVersionsByFunction", self._versions)
        script.on(aws.lambda_(), "DeleteFunction", self._delete)
        states = aws.stepfunctions()
        script.on(states, "ListExecutions", self._executions)
        script.on(states, "DescribeStateMachineForExecution", self._of_execution)
        script.on(states, "DescribeStateMachine", self._machine)
        script.on(aws.cloudformation(), "DescribeStacks", self._stack)
        for made in (OLD, MIDDLE, NEW):
            for name in ("stack", "record", "api", "machine"):
                make_role(role_of(made, name))

    def _versions(self, asked: JsonObject) -> JsonObject:
        """One version a page, and the newest last: as AWS may do it."""
        function = asked["FunctionName"]
        name = function.removeprefix(f"{STACK}-")
        ages = {"$LATEST": 5, "1": 100, "2": 40, "3": 5}
        roles_ = {"$LATEST": NEW, "1": OLD, "2": MIDDLE, "3": NEW}
        items = [
            {
                "FunctionArn": f"{LAMBDA}:{function}:{number}",
                "FunctionName": function,
                "Version": number,
                "LastModified": f"{self.now - timedelta(days=age):%Y-%m-%dT%H:%M:%S.000+0000}",
                "Role": role_of(roles_[number], name),
            }
            for number, age in ages.items()
            if (function, number) not in self.gone
        ]
        at = int(asked.get("Marker", "0"))
        more = {"NextMarker": str(at + 1)} if at + 1 < len(items) else {}
        return {"Versions": items[at : at + 1], **more}

    def _delete(self, asked: JsonObject) -> JsonObject:
        version = (asked["FunctionName"], asked["Qualifier"])
        if version in self.aliased:
            return scripted.failure("ResourceConflictException", "an alias points to it")
        if version in self.gone:
            return scripted.failure("ResourceNotFoundException")
        self.deleted.append(version)
        return {}

    def _executions(self, asked: JsonObject) -> JsonObject:
        assert asked["statusFilter"] == "RUNNING"
        if asked["stateMachineArn"] != build.MACHINE:
            return {"executions": []}
        names = list(self.running)
        at = int(asked.get("nextToken", "0"))
        more = {"nextToken": str(at + 1)} if at + 1 < len(names) else {}
        found = [{"executionArn": build.arn(name)} for name in names[at : at + 1]]
        return {"executions": found, **more}

    def _of_execution(self, asked: JsonObject) -> JsonObject:
        text, role = self.running[asked["executionArn"].rsplit(":", 1)[-1]]
        return {"definition": text, "roleArn": role}

    def _machine(self, asked: JsonObject) -> JsonObject:
        if asked["stateMachineArn"] == build.ROLLOUT_MACHINE and self.rollouts:
            return {"definition": self.rollouts, "roleArn": role_of(NEW, "machine")}
        if asked["stateMachineArn"] != build.MACHINE:
            return scripted.failure("StateMachineDoesNotExist")
        return {"definition": self.current, "roleArn": self.machine_role}

    def _stack(self, asked: JsonObject) -> JsonObject:
        role = {"RoleARN": self.stack_role} if self.stack_role else {}
        return {"Stacks": [{"StackName": asked["StackName"], **role}]}


def make_role(arn: str) -> None:
    path, name = arn.partition(":role")[2].rsplit("/", 1)
    aws.iam().create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=TRUST)
    aws.iam().put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=POLICY)
