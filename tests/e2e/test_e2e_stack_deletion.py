"""Stacks that cannot be deleted, or only half: what blocks is named, and kept when asked for."""

from typing import Any

from live import bucket_names, decided
from sources import APPLICATION
from stacks import Stacks, stack_name, waiting
from syndi_command import Syndi, eventually


def test_a_rollback_that_failed_is_deleted_too_and_says_what_stops_that(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...]
) -> None:
    org, name = "wreck", "almanac-wreck"
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    stacks.create(org, {"Box": bucket, **waiting(3, after="Box")})
    s3 = syndi.client("s3")
    eventually(lambda: name in bucket_names(syndi), 20, "the bucket")
    s3.put_object(Bucket=name, Key="in-the-way", Body=b"x")
    stacks.settled(org, "ROLLBACK_FAILED")
    failed = syndi.fail("dev", org, *vaulted)
    assert decided(failed).startswith("ROLLBACK_FAILED: delete-first, because")
    assert failed["failed_step"] == "AwaitDeletion"
    assert "Box" in failed["reason"]
    assert "not empty" in failed["reason"]


def test_a_half_deleted_stack_is_refused_and_named_and_nothing_of_it_is_touched(
    syndi: Syndi, stacks: Stacks, vaulted: tuple[str, ...]
) -> None:
    org, name = "half", "almanac-half"
    stacks.create(org, {"Box": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}})
    stacks.settled(org, "CREATE_COMPLETE")
    syndi.client("s3").put_object(Bucket=name, Key="ledger", Body=b"x")
    stacks.client.delete_stack(StackName=stack_name(org))
    stacks.settled(org, "DELETE_FAILED")
    record = syndi.fail("dev", org, *vaulted)
    assert record["failed_step"] == "CheckStack"
    assert f"{stack_name(org)} is DELETE_FAILED" in record["reason"]
    assert "Box" in record["reason"]
    assert "not empty" in record["reason"]
    assert f"syndi --local offboard dev {org}" in record["reason"]
    assert stacks.status(org) == "DELETE_FAILED"
    assert syndi.client("s3").head_object(Bucket=name, Key="ledger")


def test_a_removal_that_was_asked_for_by_name_keeps_what_blocked_the_deletion(
    syndi: Syndi, stacks: Stacks, almanac: dict[str, Any]
) -> None:
    org, name = "leaving", "almanac-leaving"
    stacks.create(org, {"Box": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}})
    stacks.settled(org, "CREATE_COMPLETE")
    syndi.client("s3").put_object(Bucket=name, Key="ledger", Body=b"x")
    stacks.client.delete_stack(StackName=stack_name(org))
    stacks.settled(org, "DELETE_FAILED")
    stacks.client.update_termination_protection(
        StackName=stack_name(org), EnableTerminationProtection=True
    )
    asked = (*APPLICATION, "--confirm", stack_name(org), "--no-wait")
    syndi.ok("--local", "offboard", "dev", org, *asked)
    eventually(lambda: stacks.status(org) is None, 60, "the stack is gone")
    assert syndi.client("s3").head_object(Bucket=name, Key="ledger")
    (record,) = syndi.history("dev", org, *APPLICATION)
    steps = syndi.show(record["id"])["steps"]
    assert steps["CheckStack"]["note"].startswith("DELETE_FAILED: delete, because its removal")
    assert "kept outside the stack: Box" in steps["DeleteStack"]["note"]
