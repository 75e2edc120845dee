"""A tenant's end: what is asked for is exported, what is kept is told, what is purged is gone."""

import json
from typing import Any

import pytest
from live import bucket_names, executions, listed
from sources import ALMANAC, APPLICATION, push
from syndi_command import ADMIN, Syndi, eventually

ORG = "harbour"
STACK = f"rawscribe-stage-{ORG}"
ACCOUNT = "000000000000"
FORMS = f"rawscribe-forms-stage-{ORG}-{ACCOUNT}"
DRAFTS = f"rawscribe-eln-drafts-stage-{ORG}-{ACCOUNT}"
PASSWORD = "Only-for-harbour-5512!"


@pytest.fixture(scope="module")
def harbour(syndi: Syndi, alpha: Any) -> dict[str, Any]:
    """`stage/harbour` with a user, two versions of an object, another one, and both schedules."""
    record = syndi.deploy("stage", ORG, "--admin-username", ADMIN, password=PASSWORD)
    s3 = syndi.client("s3")
    for text in ("first", "second"):
        s3.put_object(Bucket=FORMS, Key="a form/1.json", Body=text.encode())
    s3.put_object(Bucket=DRAFTS, Key="draft", Body=b"d")
    schedule = ("--local", "schedule", "set", "stage", ORG, "--rate", "1 day")
    syndi.ok(*schedule)
    syndi.ok(*schedule, "--drift")
    return record


def offboard(syndi: Syndi, *options: str, stack: str = STACK) -> dict[str, Any]:
    """Offboard `stage/harbour` to its end; gives the record."""
    result = syndi.run("--local", "offboard", "stage", ORG, "--confirm", stack, *options, "--json")
    assert result.exit_code == 0, f"{result.stdout}\n{result.stderr}"
    record: dict[str, Any] = result.json
    return record


def test_a_removal_that_is_not_confirmed_is_refused_and_starts_nothing(
    syndi: Syndi, harbour: Any
) -> None:
    before = executions(syndi)
    for arguments, told in (
        (("--confirm", "rawscribe-stage-harbor"), STACK),
        ((), "--confirm"),
    ):
        result = syndi.run("--local", "offboard", "stage", ORG, *arguments)
        assert result.exit_code == 2
        assert told in result.stderr
    assert executions(syndi) == before
    assert syndi.stack(STACK)["status"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert syndi.ok("--local", "schedule", "show", "stage", ORG, "--drift")


@pytest.fixture(scope="module")
def gone(syndi: Syndi, harbour: Any) -> dict[str, Any]:
    """The record of its offboarding, with everything exported and nothing purged."""
    exports = ("config", "users", "buckets")
    return offboard(syndi, *(option for name in exports for option in ("--export", name)))


def test_what_was_asked_for_is_exported(syndi: Syndi, harbour: Any, gone: dict[str, Any]) -> None:
    location = gone["exported"]["location"]
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    assert (bucket, prefix) == (
        syndi.outputs()["ArtifactBucketName"],
        f"{STACK}/exports/{gone['id']}/",
    )
    s3 = syndi.client("s3")

    def read(name: str) -> str:
        body: bytes = s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()
        return body.decode()

    assert read(f"buckets/{FORMS}/a form/1.json") == "second"
    assert read(f"buckets/{DRAFTS}/draft") == "d"
    assert json.loads(read("config/config.json"))["auth"]
    assert json.loads(read("config/outputs.json")) == harbour["outputs"]
    users = read(f"users/{harbour['outputs']['CognitoUserPoolId']}-0000.jsonl")
    assert PASSWORD not in users
    [user] = [json.loads(line) for line in users.splitlines()]
    assert user["attributes"]["email"] == ADMIN
    assert user["groups"] == ["ADMINS"]
    assert gone["exported"]["exported"][f"bucket {FORMS}"] == 1
    assert gone["exported"]["skipped"] == []


def test_the_stack_and_its_schedules_are_gone_and_the_history_stays(
    syndi: Syndi, harbour: dict[str, Any], gone: dict[str, Any]
) -> None:
    assert gone["mode"] == "offboard"
    with pytest.raises(Exception, match="does not exist"):
        syndi.stack(STACK)
    for options in ((), ("--drift",)):
        shown = syndi.run("--local", "schedule", "show", "stage", ORG, *options)
        assert shown.exit_code == 2
    assert [item["id"] for item in syndi.history("stage", ORG)] == [gone["id"], harbour["id"]]
    assert "schedule for drift checks" in gone["steps"]["ExportData"]["note"]


def test_what_is_left_is_told_with_its_counts(
    syndi: Syndi, harbour: dict[str, Any], gone: dict[str, Any]
) -> None:
    left = {item["name"]: item for item in gone["leftovers"]["items"]}
    assert (left[FORMS]["objects"], left[FORMS]["older_versions"]) == (1, 1)
    assert "DeletionPolicy" in left[FORMS]["why"]
    pool = harbour["outputs"]["CognitoUserPoolId"]
    assert (left[pool]["kind"], left[pool]["users"]) == ("user-pool", 1)
    assert left[f"syndi/{STACK}/*"]["count"] == 1
    buckets = [name for name, item in left.items() if item["kind"] == "bucket"]
    assert sorted(buckets) == sorted(
        name for name in bucket_names(syndi) if f"-stage-{ORG}-" in name
    )


def test_the_tenant_is_known_to_be_offboarded(syndi: Syndi, gone: Any) -> None:
    for verb in ("url", "check"):
        result = syndi.run("--local", verb, "stage", ORG)
        assert result.exit_code == 2
        assert "was offboarded" in result.stderr
    tenant = listed(syndi, STACK)
    assert tenant["last_reason"] == "offboarded"
    assert "endpoint" not in tenant
    shown = syndi.ok("--local", "tenants").stdout
    assert any(STACK in line and "offboarded 20" in line for line in shown.splitlines())


def test_a_purge_removes_what_is_the_tenants_and_nothing_else(
    syndi: Syndi, harbour: dict[str, Any], gone: Any
) -> None:
    """The stack is gone already; the drafts' bucket lost its tag, so nobody knows whose it is."""
    s3, cognito = syndi.client("s3"), syndi.client("cognito-idp")
    others = [name for name in bucket_names(syndi) if f"-stage-{ORG}-" not in name]
    pools = [pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]]
    s3.delete_bucket_tagging(Bucket=DRAFTS)
    record = offboard(syndi, "--purge")
    [left] = record["leftovers"]["items"]
    assert left["name"] == DRAFTS
    assert left["why"].startswith("not ours")
    assert s3.get_object(Bucket=DRAFTS, Key="draft")["Body"].read() == b"d"
    assert bucket_names(syndi) == sorted([*others, DRAFTS])
    pools.remove(harbour["outputs"]["CognitoUserPoolId"])
    assert [pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]] == pools
    names = [item["Name"] for item in syndi.client("secretsmanager").list_secrets()["SecretList"]]
    assert not [name for name in names if name.startswith(f"syndi/{STACK}/")]
    assert f"bucket {FORMS}" in record["steps"]["PurgeLeftovers"]["note"]
    assert syndi.ok("--local", "check", "stage", "alpha"), "a neighbour works on"


def test_an_offboarded_tenant_is_deployed_again_as_a_first_one(syndi: Syndi, gone: Any) -> None:
    s3 = syndi.client("s3")
    if DRAFTS in bucket_names(syndi):  # not purged, as it had lost its tag
        for version in s3.list_object_versions(Bucket=DRAFTS)["Versions"]:
            s3.delete_object(Bucket=DRAFTS, Key="draft", VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=DRAFTS)
    record = syndi.deploy("stage", ORG)
    assert record["steps"]["CheckStack"]["note"].startswith(("no stack", "NONE"))
    assert syndi.stack(STACK)["status"] == "CREATE_COMPLETE"
    assert syndi.ok("--local", "url", "stage", ORG).stdout.startswith("http")
    tenant = listed(syndi, STACK)
    assert "last_reason" not in tenant
    assert "offboarded_at" not in tenant


def test_a_tenant_without_data_leaves_nothing_and_says_what_was_skipped(
    syndi: Syndi, almanac: Any
) -> None:
    syndi.deploy("dev", "skiff", *APPLICATION)
    result = syndi.ok(
        "--local", "offboard", "dev", "skiff", *APPLICATION, "--confirm", "almanac-dev-skiff",
        "--export", "users", "--export", "buckets",
    )  # fmt: skip
    assert "nothing is left" in result.stdout
    assert "there is no user pool" in result.stdout
    assert "the application has none" in result.stdout


def test_in_prod_nothing_is_removed_before_somebody_approves(syndi: Syndi, almanac: Any) -> None:
    push(syndi, ALMANAC, "prod")
    syndi.deploy("prod", "skiff", *APPLICATION)

    def waiting() -> dict[str, Any]:
        """A removal that was asked for and waits."""
        started = syndi.ok(
            "--local", "offboard", "prod", "skiff", *APPLICATION, "--confirm", "almanac-prod-skiff",
            "--purge", "--no-wait", "--json",
        ).json  # fmt: skip
        return eventually(
            lambda: (found := syndi.show(started["id"]))["status"] == "AWAITING_APPROVAL" and found,
            60,
            "the removal waits",
        )

    first = waiting()
    assert "ExportData" not in first["steps"]
    assert syndi.stack("almanac-prod-skiff")["status"] == "CREATE_COMPLETE"
    cancelled = syndi.ok("--local", "cancel", first["id"], "--json").json
    assert cancelled["status"] == "CANCELLED"
    assert "DeleteStack" not in cancelled["steps"]
    assert syndi.stack("almanac-prod-skiff")["status"] == "CREATE_COMPLETE"
    assert syndi.lock("prod", "skiff", "almanac") is None

    second = waiting()
    syndi.ok("--local", "approve", second["id"])
    ended = syndi.ended(second["id"])
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["leftovers"] == {"items": []}
    stacks = syndi.client("cloudformation").list_stacks()["StackSummaries"]
    left = [item for item in stacks if item["StackName"] == "almanac-prod-skiff"]
    assert {item["StackStatus"] for item in left} == {"DELETE_COMPLETE"}
