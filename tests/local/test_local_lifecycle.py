"""Starting and stopping: twice, half, interrupted, on a taken port; and what survives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from local_aws import Aws, allow, client, error_of, policy

from local import lifecycle
from local.emulator import check_version, stack_seconds
from local.errors import (
    Busy,
    PortTaken,
    SettingInvalid,
    StartFailed,
    ToolsMissing,
    UnexpectedEmulator,
)
from local.laptop import Laptop
from local.lifecycle import down, reset, status, up
from local.operator_user import ensure_operator, key_file
from local.processes import Process, read_pid_file, wait_until, write_pid_file
from local.rewriting import install, replace_once


def pids(laptop: Laptop) -> list[int | None]:
    return [service.pid for service in status(laptop)]


def test_state_survives_and_starting_twice_is_starting_once(laptop: Laptop) -> None:
    assert up(laptop) is True
    first = pids(laptop)
    assert all(service.healthy for service in status(laptop))
    assert up(laptop) is False
    assert pids(laptop) == first

    aws = Aws(laptop)
    aws.function("kept", "def handler(event, context):\n    return event")
    aws.s3.create_bucket(Bucket="objects")
    aws.s3.put_object(Bucket="objects", Key="a/b", Body=b"1")
    aws.dynamodb.create_table(
        TableName="table", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
    )  # fmt: skip
    aws.dynamodb.put_item(TableName="table", Item={"PK": {"S": "x"}})
    pool = client(laptop, "cognito-idp").create_user_pool(PoolName="pool")["UserPool"]["Id"]
    aws.create_stack("stack", {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}})
    aws.settled("stack")
    aws.execute("machine", {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    key = ensure_operator(laptop, policy(allow("s3:ListAllMyBuckets")))
    aws.update_stack("stack", {"Resources": {"T": {"Type": "AWS::SQS::Queue"}}})
    assert aws.stack("stack")["StackStatus"] == "UPDATE_IN_PROGRESS"

    assert sorted(down(laptop).stopped) == ["codebuild", "emulator"]
    assert pids(laptop) == [None, None]
    assert up(laptop) is True

    aws = Aws(laptop)
    invoked = client(laptop, "lambda").invoke(FunctionName="kept", Payload=b'{"a": 1}')
    assert json.loads(invoked["Payload"].read()) == {"a": 1}
    assert aws.s3.get_object(Bucket="objects", Key="a/b")["Body"].read() == b"1"
    assert aws.dynamodb.get_item(TableName="table", Key={"PK": {"S": "x"}})["Item"]
    assert client(laptop, "cognito-idp").describe_user_pool(UserPoolId=pool)["UserPool"]
    assert aws.stack("stack")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert "stopped" in aws.stack("stack")["StackStatusReason"]
    aws.cloudformation.continue_update_rollback(StackName="stack")
    assert aws.settled("stack")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert len(aws.stepfunctions.list_state_machines()["stateMachines"]) == 1
    assert ensure_operator(laptop, policy(allow("s3:ListAllMyBuckets"))) == key

    reset(laptop)
    assert not laptop.state_dir.exists()
    assert down(laptop).stopped == []


def test_half_started_is_completed(laptop: Laptop) -> None:
    up(laptop)
    emulator, codebuild = pids(laptop)
    assert codebuild
    os.kill(codebuild, signal.SIGKILL)
    assert wait_until(lambda: pids(laptop)[1] is None, 5)
    assert up(laptop) is True
    assert pids(laptop)[0] == emulator
    assert all(service.healthy for service in status(laptop))


def test_a_pid_that_belongs_to_another_process_is_never_signalled(laptop: Laptop) -> None:
    # A process that stays: it must still be there when the laptop has gone down.
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        laptop.state_dir.mkdir(parents=True)
        stale = Process(other.pid, "another time")
        write_pid_file(laptop.state_dir / "emulator.pid", stale)
        (laptop.state_dir / "codebuild.pid").write_text("not json")
        assert down(laptop).stopped == []
        assert other.poll() is None
        assert not (laptop.state_dir / "emulator.pid").exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("which", ["SYNDI_LOCAL_PORT", "SYNDI_LOCAL_CODEBUILD_PORT"])
def test_a_taken_port_is_named_and_nothing_is_started(laptop: Laptop, which: str) -> None:
    port = laptop.port if which == "SYNDI_LOCAL_PORT" else laptop.codebuild_port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as error:
        up(laptop)
    assert str(port) in str(error.value)
    assert f"{which}=" in str(error.value)
    assert pids(laptop) == [None, None]


def test_a_process_that_dies_is_reported_with_its_log(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNDI_LOCAL_STACK_SECONDS", "soon")
    with pytest.raises(StartFailed, match="SYNDI_LOCAL_STACK_SECONDS='soon' is not a number"):
        up(laptop)
    assert pids(laptop) == [None, None]


def test_an_interrupt_stops_what_was_started(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Process] = []

    def interrupted(service: object, process: Process, timeout: float) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "_await_healthy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        up(laptop)
    assert len(started) == 1
    assert not started[0].alive
    assert pids(laptop) == [None, None]


def test_a_process_that_ignores_sigterm_is_killed_and_it_is_said() -> None:
    # It stays until it is killed.
    stubborn = subprocess.Popen(
        [sys.executable, "-c",
         "import signal, time; signal.signal(15, signal.SIG_IGN); print('.', flush=True);"
         "time.sleep(60)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with stubborn:
        assert stubborn.stdout
        stubborn.stdout.read(1)
        process = Process.of(stubborn.pid)
        assert process
        assert process.stop(0.2) is False
    assert not process.alive


def test_two_commands_at_once_are_refused(laptop: Laptop) -> None:
    with lifecycle._exclusively(laptop), pytest.raises(Busy, match="SYNDI_LOCAL_DIR"):
        up(laptop)


def test_missing_tools_are_named(laptop: Laptop, tmp_path: Path) -> None:
    with pytest.raises(ToolsMissing, match="make tools"):
        up(replace(laptop, root=tmp_path))


def test_operator_may_do_what_the_policy_says_and_no_more(aws: Aws) -> None:
    key = ensure_operator(aws.laptop, policy(allow("s3:ListAllMyBuckets")))
    assert ensure_operator(aws.laptop, policy(allow("s3:ListAllMyBuckets"))) == key
    assert key_file(aws.laptop).stat().st_mode & 0o777 == 0o600
    own = {
        "aws_access_key_id": key.access_key_id,
        "aws_secret_access_key": key.secret_access_key,
    }
    client(aws.laptop, "s3", **own).list_buckets()
    code, _ = error_of(client(aws.laptop, "iam", **own).list_users)
    assert code in ("AccessDenied", "AccessDeniedException")
    key_file(aws.laptop).unlink()
    assert ensure_operator(aws.laptop, policy(allow("s3:ListAllMyBuckets"))) != key


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    laptop = Laptop.at(tmp_path, {})
    assert (laptop.state_dir, laptop.port) == (tmp_path / ".local", 4566)
    chosen = Laptop.at(
        tmp_path,
        {
            "SYNDI_LOCAL_DIR": "else",
            "SYNDI_LOCAL_PORT": "5000",
            "SYNDI_LOCAL_CODEBUILD_PORT": "5001",
        },
    )
    assert (chosen.state_dir, chosen.endpoint) == (tmp_path / "else", "http://127.0.0.1:5000")
    for bad in ({"SYNDI_LOCAL_PORT": "no"}, {"SYNDI_LOCAL_PORT": "4567"}):
        with pytest.raises(SettingInvalid, match="SYNDI_LOCAL_PORT"):
            Laptop.at(tmp_path, bad)


def test_another_emulator_is_refused() -> None:
    check_version("1.5.33")
    with pytest.raises(UnexpectedEmulator, match=r"1\.5\.34"):
        check_version("1.5.34")
    for text in ("a b a", "b"):
        with pytest.raises(UnexpectedEmulator, match="expected once"):
            replace_once(text, "a", "c", "somewhere")
    with pytest.raises(UnexpectedEmulator, match="not one and the same"):
        install("dumps", json.dumps, [json, os])
    with pytest.raises(SettingInvalid):
        stack_seconds("-1")


def test_pid_file_round_trip(tmp_path: Path) -> None:
    me = Process.of(os.getpid())
    assert me
    assert me.alive
    write_pid_file(tmp_path / "me.pid", me)
    assert read_pid_file(tmp_path / "me.pid") == me
    assert read_pid_file(tmp_path / "nobody.pid") is None
