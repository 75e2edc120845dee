"""The record worker after a success."""

import pytest
import worker_builders as build
from botocore.exceptions import ClientError
from record_calls import BARE, BUILD, good_tenant, prepare, succeed
from worker_builders import ALPHA, TABLE

from control_plane.models import DeploymentStatus
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.slots import Slots
from workers import record

REQUIRED = (
    "health", "no-token", "bad-token", "stranger-token", "sign-in", "runtime-config",
    "every-route-no-token", "every-route-altered-token", "every-route-unsigned-token",
    "every-route-stranger-token", "buckets-anonymous",
)  # fmt: skip


def test_success_records_its_proof_and_where_the_tenant_answers(source: str) -> None:
    made = prepare(BARE)
    build.take_lock(made)
    proof = {
        "build": {"fingerprint": "f00", "reused": False},
        "change_set": {"summary": {"added": ["Function"]}},
        "stack": {"outputs": {"Url": "https://x"}, "parameters": {"EnableAuth": "true"}},
        "config": {"version_id": "v1", "sha256": "c0"},
        "tests": [{"name": name, "status": "PASSED"} for name in REQUIRED],
    }
    record.handler(build.event(made, "AcquireSlot"), None)
    answer = succeed(made, **proof)
    assert answer == {"id": made.id, "status": "SUCCEEDED"}
    assert Slots(TABLE, 2).state()["holders"] == {}
    found = build.record(made)
    assert {name: found[name] for name in proof} == proof
    assert (found["source"], found["endpoint"]) == (source, "https://x")
    assert build.current()["last_good"] == made.id
    assert build.holder() is None


def test_a_patch_leaves_the_stacks_build_and_marks_the_tenant(source: str) -> None:
    good_tenant(config={"version_id": "v1"}, config_source="c" * 64)
    made = prepare(BARE)
    build.take_lock(made)
    proof = {
        "build": {"fingerprint": "7" * 64},
        "change_set": {},
        "stack": {"outputs": {"Url": "https://x"}, "parameters": {}},
        "config": {"version_id": "v1"},
        "tests": [],
        "patch": {"fingerprint": "7" * 64},
    }
    succeed(made, **proof)
    now = build.current()
    assert now["build"] == {**BUILD, "patched": "7" * 64}
    assert (now["running"], now["patch"]) == ("7" * 64, {"fingerprint": "7" * 64})
    assert (now["last_good"], now["source"]) == (made.id, source)
    assert now["config_source"] == "c" * 64, "a patch brings no configuration"
    (listed,) = Listing(TABLE).tenants()
    assert listed["build"]["patched"] == "7" * 64


def test_success_of_an_execution_that_lost_its_tenant_is_an_error(source: str) -> None:
    made = prepare(BARE)
    Locks(TABLE).acquire(ALPHA, "other", "other-arn", instead_of="other-arn")
    proof = {
        "build": {"fingerprint": "f0"},
        "change_set": {},
        "stack": {"outputs": {}, "parameters": {}},
        "config": {"sha256": "c0"},
        "tests": [],
    }
    with pytest.raises(ClientError, match="TransactionCanceled"):
        succeed(made, **proof)
    status = DeploymentStatus(build.record(made)["status"])
    assert not status.is_final
    assert History(TABLE).fail(ALPHA, made.id, "x", DeploymentStatus.FAILED, {})["id"] == made.id
