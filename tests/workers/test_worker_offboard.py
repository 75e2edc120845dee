"""What an offboarding exports, in parts, and that the schedules go first."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from offboard_calls import (
    BUCKET,
    call,
    deployed,
    export,
    make_bucket,
    make_pool,
    note,
    offboarding,
    tag_index,
)
from worker_builders import ALPHA, ARTIFACTS, BETA

from control_plane import aws
from control_plane.errors import OffboardFailed, ServiceBusy
from control_plane.models import Deployment, Export
from workers import offboard as worker
from workers import offboard_export

ALL = (Export.CONFIG, Export.USERS, Export.BUCKETS)


@pytest.fixture
def index(script: scripted.Scripted) -> list[str]:
    return tag_index(script)


def exported(made: Deployment) -> dict[str, str]:
    """What lies below the export's prefix, by its name there."""
    prefix = f"{ALPHA.stack_name}/exports/{made.id}/"
    found = aws.s3().list_objects_v2(Bucket=ARTIFACTS, Prefix=prefix).get("Contents", [])
    return {
        item["Key"].removeprefix(prefix): aws.s3()
        .get_object(Bucket=ARTIFACTS, Key=item["Key"])["Body"]
        .read()
        .decode()
        for item in found
    }


@pytest.mark.usefixtures("index")
def test_everything_that_is_asked_for_is_copied(world: None) -> None:
    make_bucket(**{"config.json": "{}", "a b/ü": "text"})
    pool = make_pool()
    deployed(pool)
    made = offboarding(export=ALL)
    position = export(made)
    files = exported(made)
    assert files[f"buckets/{BUCKET}/a b/ü"] == "text"
    assert files["config/config.json"] == "{}"
    assert json.loads(files["config/outputs.json"])["PoolId"] == pool
    user = json.loads(files[f"users/{pool}-0000.jsonl"])
    assert (user["username"], user["groups"]) == ("user000", ["ADMINS"])
    assert "Secret-1234!" not in json.dumps(files)
    assert position["exported"] == {"config": 2, "users": 1, f"bucket {BUCKET}": 2}
    assert position["location"] == f"s3://{ARTIFACTS}/notes-stage-alpha/exports/{made.id}/"
    assert "users: 1" in note(made, "ExportData")


@pytest.mark.usefixtures("index")
def test_an_export_goes_on_where_its_last_part_stopped(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bucket(**{f"{number:03}": str(number) for number in range(25)})
    deployed(make_pool(users=70))
    monkeypatch.setattr(worker, "PART_SECONDS", -1.0)  # every part ends as soon as it may
    made = offboarding(export=(Export.USERS, Export.BUCKETS))
    position: dict[str, Any] = {}
    calls = 0
    done = False
    while not done:
        answer = call(made, "ExportData", position=position)
        position, done, calls = answer["position"], answer["done"], calls + 1
        assert calls < 20
    assert calls >= 4
    files = exported(made)
    lines = [
        line for name in files if name.startswith("users/") for line in files[name].splitlines()
    ]
    assert len([name for name in files if name.startswith(f"buckets/{BUCKET}/")]) == 25
    assert position["exported"] == {"users": 70, f"bucket {BUCKET}": 25}
    assert len({json.loads(line)["username"] for line in lines}) == 70


@pytest.mark.usefixtures("index")
def test_what_is_not_there_is_skipped_and_said(world: None) -> None:
    position = export(offboarding(export=ALL))
    assert sorted(position["skipped"]) == [
        f"bucket {BUCKET}: not there",
        f"config: s3://{BUCKET}/config.json is not there",
        "users: there is no user pool",
    ]
    assert position["exported"] == {}


@pytest.mark.usefixtures("index")
def test_a_bucket_that_is_tagged_as_anothers_is_not_exported(world: None) -> None:
    """A manifest of an earlier release may name one bucket for all tenants."""
    make_bucket(owner=BETA, **{"config.json": "{}", "secret": "of beta"})
    made = offboarding(export=(Export.CONFIG, Export.BUCKETS))
    position = export(made)
    assert len([why for why in position["skipped"] if "notes-stage-beta" in why]) == 2
    assert exported(made) == {}


@pytest.mark.usefixtures("index")
def test_stored_overrides_are_exported_with_every_version(world: None) -> None:
    for version in ("00000001", "00000002"):
        item = {
            "PK": {"S": "TENANT#notes#stage#alpha"},
            "SK": {"S": f"CONFIG#{version}"},
            "content": {"S": f'{{"v": {int(version)}}}'},
        }
        aws.dynamodb().put_item(TableName=build.TABLE, Item=item)  # type: ignore[arg-type]
    made = offboarding(export=(Export.CONFIG,))
    export(made)
    lines = exported(made)["config/overrides.jsonl"].splitlines()
    assert [json.loads(line)["content"] for line in lines] == ['{"v": 1}', '{"v": 2}']


@pytest.mark.usefixtures("index")
def test_an_object_that_one_copy_does_not_take_fails_by_name_before_anything_goes(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bucket(big="too much")
    monkeypatch.setattr(offboard_export, "COPY_LIMIT", 5)
    with pytest.raises(OffboardFailed, match=f"{BUCKET}/big.*nothing was removed"):
        export(offboarding(export=(Export.BUCKETS,)))


def test_schedules_go_before_the_stack_does_and_the_note_says_so(world: None) -> None:
    scheduler = aws.scheduler()
    scheduler.create_schedule_group(Name="syndi")
    for name in ("notes-stage-alpha", "notes-stage-alpha-drift", "notes-stage-beta"):
        scheduler.create_schedule(
            Name=name, GroupName="syndi", ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": build.MACHINE, "RoleArn": build.ROLE},
        )  # fmt: skip
    made = offboarding()
    schedules = ["its schedule", "its schedule for drift checks"]
    answer = call(made, "ExportData", position={})
    assert answer == {"position": {"schedules": schedules}, "done": True}
    left = [item["Name"] for item in scheduler.list_schedules()["Schedules"]]
    assert left == ["notes-stage-beta"]
    assert "its schedule and its schedule for drift checks" in note(made, "ExportData")


def test_a_throttled_scheduler_is_not_a_missing_schedule(script: scripted.Scripted) -> None:
    script.on(aws.scheduler(), "DeleteSchedule", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        call(offboarding(), "ExportData", position={})
