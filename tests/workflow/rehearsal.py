"""The real state machine on a real emulator, with scripted workers: started, awaited, told."""

import copy
import io
import json
import re
import time
import uuid
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from local.laptop import Laptop

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
SECONDS = 60  # that an execution may take: the slowest one spends 5 retries
AT_ONCE = 4
POLL_SECONDS = 0.2  # seldom: what asks also keeps the emulator from its work
BUSY = {"raise": "ServiceBusy", "message": "AWS is busy"}


def definition(name: str = "state_machine") -> Json:
    """A state machine's definition, a copy of one's own."""
    return copy.deepcopy(json.loads((ROOT / f"{name}.asl.json").read_text()))


def substitutions(machine: Json) -> list[str]:
    """The names that stand for worker functions."""
    return sorted(set(re.findall(r"\$\{(\w+)\}", json.dumps(machine))))


def failing(error: str, message: str = "it is broken") -> Json:
    """The reply of a worker that raises an error of that class."""
    return {"raise": error, "message": message}


def answering(**answer: Any) -> Json:
    """The reply of a worker that answers this."""
    return {"answer": answer}


@dataclass(frozen=True)
class Call:
    """One call of a worker."""

    step: str
    function: str
    payload: Json


@dataclass(frozen=True)
class Told:
    """An execution that has ended, and every call that it made, in order."""

    arn: str
    status: str
    error: str | None
    cause: str | None
    output: Json | None
    calls: tuple[Call, ...]

    @property
    def steps(self) -> list[str]:
        """The steps that were called, in order."""
        return [call.step for call in self.calls]

    def payloads(self, step: str) -> list[Json]:
        """What the calls of a step were given."""
        return [call.payload for call in self.calls if call.step == step]


class Stage:
    """An emulator with the state machine and its scripted workers."""

    def __init__(self, laptop: Laptop, journals: Path) -> None:
        self._laptop = laptop
        self._journals = journals
        self._sfn = self._client("stepfunctions")
        machines = [definition(), definition("shift")]
        names = {name for machine in machines for name in substitutions(machine)}
        self._functions = {name: self._worker(name) for name in sorted(names)}
        self._role = self._service_role("states")
        self._beside = ThreadPoolExecutor(AT_ONCE)
        self.machine = self.machine_of(definition())

    def machine_of(self, machine: Json) -> str:
        """A state machine with this definition, substituted as CloudFormation does; its ARN."""
        text = json.dumps(machine)
        for name, arn in self._functions.items():
            text = text.replace(f"${{{name}}}", arn)
        return str(
            self._sfn.create_state_machine(
                name=f"deployment-{uuid.uuid4().hex[:8]}", definition=text, roleArn=self._role
            )["stateMachineArn"]
        )

    def start(
        self, script: Json, *, machine: str | None = None, trial: bool = False, **options: Any
    ) -> str:
        """Start an execution whose workers follow the script; its ARN.

        `trial`: of an application that has to prove itself by a trial.
        """
        started = self._sfn.start_execution(
            stateMachineArn=machine or self.machine,
            name=uuid.uuid4().hex,
            input=json.dumps(
                {
                    "env": "dev",
                    "org": "acme",
                    "script": script,
                    "options": options,
                    "manifest": {"trial": {"directory": "trial"}} if trial else {},
                }
            ),
        )
        return str(started["executionArn"])

    def answer(self, arn: str, step: str, output: Json | None, **failure: str) -> None:
        """Answer a step that waits with its token: with an output, or with {error, cause}."""
        self.wait_for(arn, step)
        tokens = [call.payload["token"] for call in self._calls(arn) if call.step == step]
        token = tokens[-1]  # of a step that ran twice, the first waits no more
        if output is None:
            self._sfn.send_task_failure(taskToken=token, **failure)
        else:
            self._sfn.send_task_success(taskToken=token, output=json.dumps(output))

    def wait_for(self, arn: str, step: str, calls: int = 1) -> None:
        """Wait until the worker of a step was called so often."""
        deadline = time.monotonic() + SECONDS
        while [call.step for call in self._calls(arn)].count(step) < calls:
            assert time.monotonic() < deadline, f"{arn} never came to {step}"
            time.sleep(POLL_SECONDS)  # between two looks

    def _calls(self, arn: str) -> tuple[Call, ...]:
        journal = self._journals / f"{arn.rpartition(':')[2]}.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return tuple(Call(**json.loads(line)) for line in lines)

    def told(self, arn: str) -> Told:
        """The execution, when it has ended."""
        answer: Json = self._sfn.describe_execution(executionArn=arn)
        deadline = time.monotonic() + SECONDS
        while answer["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{arn} still runs after {SECONDS} s"
            time.sleep(POLL_SECONDS)  # between two looks
            answer = self._sfn.describe_execution(executionArn=arn)
        output = json.loads(answer["output"]) if answer.get("output") else None
        return Told(
            arn,
            answer["status"],
            answer.get("error"),
            answer.get("cause"),
            output,
            self._calls(arn),
        )

    def run(self, script: Json, *, machine: str | None = None, **options: Any) -> Told:
        """Start an execution and await its end."""
        return self.told(self.start(script, machine=machine, **options))

    def later(self, script: Json, **options: Any) -> Future[Told]:
        """The same beside others, a few at a time: more only wait for new worker processes."""
        return self._beside.submit(self.run, script, **options)

    def _worker(self, name: str) -> str:
        """A scripted function of that name; the ARN of its published version."""
        client = self._client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="scripted_worker.handler",
            Role=self._service_role("lambda", name),
            Timeout=30,
            Code={"ZipFile": _zipped(Path(__file__).with_name("scripted_worker.py"))},
            Environment={"Variables": {"JOURNAL": str(self._journals)}},
        )
        return str(client.publish_version(FunctionName=name)["FunctionArn"])

    def _service_role(self, service: str, name: str = "machine") -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        answer = self._client("iam").create_role(
            RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(trust)
        )
        return str(answer["Role"]["Arn"])

    def _client(self, service: str) -> Any:
        key = self._laptop.credentials
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self._laptop.endpoint,
            region_name=self._laptop.region,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )


def _zipped(path: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(path, path.name)
    return buffer.getvalue()
