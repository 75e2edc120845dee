"""The offboard worker: what is exported, what is purged, what is told, and what is left alone."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from worker_builders import ACCOUNT, ALPHA, ARTIFACTS, BETA

from control_plane import aws
from control_plane.errors import OffboardFailed, ServiceBusy
from control_plane.history import History
from control_plane.models import Deployment, Export, Tenant
from control_plane.naming import OWNER_TAG, admin_secret
from control_plane.secrets import create as create_secret
from workers import offboard as worker
from workers import offboard_export

BUCKET = f"notes-config-stage-alpha-{ACCOUNT}"
ALL = (Export.CONFIG, Export.USERS, Export.BUCKETS)


def owned_by(tenant: Tenant) -> list[Any]:
    return [{"Key": OWNER_TAG, "Value": tenant.stack_name}]


def make_bucket(name: str = BUCKET, owner: Tenant | None = ALPHA, **objects: str) -> None:
    aws.s3().create_bucket(Bucket=name)
    aws.s3().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if owner:
        aws.s3().put_bucket_tagging(Bucket=name, Tagging={"TagSet": owned_by(owner)})
    for key, text in objects.items():
        aws.s3().put_object(Bucket=name, Key=key, Body=text.encode())


def make_pool(owner: Tenant = ALPHA, users: int = 1) -> str:
    cognito = aws.cognito()
    tags = {OWNER_TAG: owner.stack_name}
    pool = cognito.create_user_pool(PoolName="notes", UserPoolTags=tags)["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="ADMINS")
    for number in range(users):
        name = f"user{number:03}"
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=name,
            TemporaryPassword="Secret-1234!",
            UserAttributes=[{"Name": "email", "Value": f"{name}@example.com"}],
        )
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName="ADMINS")
    return pool


@pytest.fixture
def index(script: scripted.Scripted) -> list[str]:
    """The ARNs that the index of tags answers with."""
    arns: list[str] = []
    script.on(
        aws.tagging(),
        "GetResources",
        lambda asked: {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns]},
    )
    return arns


def deployed(pool: str) -> None:
    """`stage/alpha` is a tenant with this pool."""
    made = build.opened(build.deployment(number=9))
    build.take_lock(made)
    outputs = {"PoolId": pool, "Url": "https://x"}
    History(build.TABLE).succeed(ALPHA, made.id, made.execution_arn, {}, {"outputs": outputs})


def offboarding(**options: Any) -> Deployment:
    return build.opened(build.deployment(mode="offboard", **options))


def call(made: Deployment, step: str, **given: Any) -> dict[str, Any]:
    return worker.handler(build.event(made, step, **given), None)


def export(made: Deployment) -> dict[str, Any]:
    """Call the step until it is done; gives the last position."""
    answer: dict[str, Any] = {"done": False, "position": {}}
    while not answer["done"]:
        answer = call(made, "ExportData", position=answer["position"])
    return dict(answer["position"])


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


def note(made: Deployment, step: str) -> str:
    return str(build.record(made)["steps"][step]["note"])


# Export --------------------------------------------------------------------------------------


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
    assert call(made, "ExportData", position={}) == {"position": {}, "done": True}
    left = [item["Name"] for item in scheduler.list_schedules()["Schedules"]]
    assert left == ["notes-stage-beta"]
    assert "its schedule and its schedule for drift checks" in note(made, "ExportData")


def test_a_throttled_scheduler_is_not_a_missing_schedule(script: scripted.Scripted) -> None:
    script.on(aws.scheduler(), "DeleteSchedule", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        call(offboarding(), "ExportData", position={})


# Leftovers -----------------------------------------------------------------------------------


def test_what_is_left_is_counted(world: None, index: list[str]) -> None:
    make_bucket(one="1", two="2")
    aws.s3().put_object(Bucket=BUCKET, Key="one", Body=b"newer")
    aws.s3().delete_object(Bucket=BUCKET, Key="two")
    pool = make_pool(users=2)
    index.append(f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/{pool}")
    create_secret(ALPHA, admin_secret(ALPHA, "a@example.com"), "a@example.com", "x")
    create_secret(BETA, admin_secret(BETA, "a@example.com"), "a@example.com", "x")
    items = call(offboarding(), "InspectLeftovers")["leftovers"]["items"]
    found = {item["kind"]: item for item in items}
    assert len(items) == 3
    assert (found["bucket"]["name"], found["bucket"]["objects"]) == (BUCKET, 1)
    assert found["bucket"]["older_versions"] == 3
    assert (found["user-pool"]["name"], found["user-pool"]["users"]) == (pool, 2)
    assert found["secrets"]["count"] == 1


def test_nothing_left_is_an_empty_list_also_when_the_index_lags(
    world: None, index: list[str]
) -> None:
    index += [
        "arn:aws:s3:::notes-gone-stage-alpha",
        f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/us-east-1_gone00000",
    ]
    made = offboarding()
    assert call(made, "InspectLeftovers")["leftovers"] == {"items": []}
    assert note(made, "InspectLeftovers") == "nothing is left"


def test_a_lookup_that_fails_is_not_an_absence(script: scripted.Scripted, index: list[str]) -> None:
    script.on(aws.s3(), "GetBucketTagging", scripted.failure("SlowDown"))
    with pytest.raises(ServiceBusy):
        call(offboarding(), "InspectLeftovers")


# Purge ---------------------------------------------------------------------------------------


def purge(made: Deployment) -> int:
    """Call the step until it is done; gives the number of calls."""
    calls = 1
    while not call(made, "PurgeLeftovers")["done"]:
        calls += 1
        assert calls < 20
    return calls


def buckets() -> list[str]:
    return [item["Name"] for item in aws.s3().list_buckets()["Buckets"] if "Name" in item]


def test_what_is_the_tenants_is_removed_and_nothing_else(world: None, index: list[str]) -> None:
    """An untagged bucket of the tenant's own name, and a neighbour's, are left and told."""
    data, others = "notes-data-stage-alpha", "notes-data-stage-alpha2"
    make_bucket(owner=None, kept="1")
    make_bucket(data, gone="1")
    make_bucket(others, owner=BETA, kept="1")
    index += [f"arn:aws:s3:::{data}", f"arn:aws:s3:::{others}"]
    mine, foreign = make_pool(), make_pool(BETA)
    index += [f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/{mine}"]
    deployed(foreign)  # the application was given a pool of somebody else's
    for tenant in (ALPHA, BETA):
        create_secret(tenant, admin_secret(tenant, "a@example.com"), "a@example.com", "x")
    made = offboarding(purge=True)
    purge(made)
    assert sorted(buckets()) == sorted([ARTIFACTS, BUCKET, others])
    assert [pool["Id"] for pool in aws.cognito().list_user_pools(MaxResults=9)["UserPools"]] == [
        foreign
    ]
    names = [item["Name"] for item in aws.secretsmanager().list_secrets()["SecretList"]]
    assert names == [admin_secret(BETA, "a@example.com")]
    assert note(made, "PurgeLeftovers") == (
        f"removed bucket {data}, user pool {mine}, secret {admin_secret(ALPHA, 'a@example.com')}"
    )
    left = {i["name"]: i["why"] for i in call(made, "InspectLeftovers")["leftovers"]["items"]}
    assert left[BUCKET] == "not ours: it has no tag of this tenant"
    assert left[others].startswith("not ours: it is tagged syndi:stack=notes-stage-beta")
    assert left[foreign].startswith("not ours")


@pytest.mark.usefixtures("index")
def test_a_purge_goes_on_where_its_last_part_stopped(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bucket(**{f"{number:04}": "x" for number in range(5)})
    aws.s3().delete_object(Bucket=BUCKET, Key="0001")  # a marker is a version too
    monkeypatch.setattr(worker, "PART_SECONDS", -1.0)
    made = offboarding(purge=True)
    assert purge(made) == 2
    assert buckets() == [ARTIFACTS]
    assert note(made, "PurgeLeftovers") == f"removed bucket {BUCKET}"


@pytest.mark.usefixtures("index")
def test_an_object_that_cannot_be_removed_is_named(script: scripted.Scripted) -> None:
    make_bucket(held="1")
    failed = {"Key": "held", "Code": "AccessDenied", "Message": "object lock"}
    script.on(aws.s3(), "DeleteObjects", {"Errors": [failed]})
    with pytest.raises(OffboardFailed, match=f"{BUCKET}/held could not be removed: AccessDenied"):
        purge(offboarding(purge=True))
    assert BUCKET in buckets()
