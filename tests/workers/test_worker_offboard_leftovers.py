"""What a tenant leaves behind: told with its counts, and purged; never what is a neighbour's."""

import pytest
import scripted_aws as scripted
import worker_builders as build
from offboard_calls import (
    BUCKET,
    call,
    deployed,
    make_bucket,
    make_pool,
    note,
    offboarding,
    tag_index,
)
from worker_builders import ACCOUNT, ALPHA, ARTIFACTS, BETA

from control_plane import aws
from control_plane.errors import OffboardFailed, ServiceBusy
from control_plane.models import Deployment
from control_plane.naming import admin_secret
from workers import offboard as worker


@pytest.fixture
def index(script: scripted.Scripted) -> list[str]:
    return tag_index(script)


# Leftovers -----------------------------------------------------------------------------------


def test_what_is_left_is_counted(world: None, index: list[str]) -> None:
    make_bucket(one="1", two="2")
    aws.s3().put_object(Bucket=BUCKET, Key="one", Body=b"newer")
    aws.s3().delete_object(Bucket=BUCKET, Key="two")
    pool = make_pool(users=2)
    index.append(f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/{pool}")
    build.create_secret(ALPHA, admin_secret(ALPHA, "a@example.com"), "a@example.com", "x")
    build.create_secret(BETA, admin_secret(BETA, "a@example.com"), "a@example.com", "x")
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
        build.create_secret(tenant, admin_secret(tenant, "a@example.com"), "a@example.com", "x")
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
    assert purge(made) == 3  # emptied, deleted, and nothing is left
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
