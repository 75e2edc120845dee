"""What an earlier release wrote, as this one reads it."""

from typing import Any

import pytest

from control_plane.store import items, schema

S = "5" * 64
BUILD = {"fingerprint": "b" * 64, "build_id": "x:1", "template_key": "t", "reused": False}
CONFIG = {"bucket": "b", "key": "k", "version_id": "v", "sha256": "c"}
RECORD, CURRENT = "DEPLOYMENT#20261120-100000-000abcde", "CURRENT"

# (name, sort key, as the first release wrote it, what is read instead)
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("an end by hand", RECORD, {"status": "ABORTED"}, {"status": "CANCELLED"}),
    ("any other status", RECORD, {"status": "TIMED_OUT"}, {}),
    (
        "a request",
        RECORD,
        {"request": {"on_busy": "reject", "allow_replacement": False, "enable_auth": True}},
        {
            "mode": "full",
            "request": {"on_conflict": "reject", "allow_replacement": [], "enable_auth": True},
        },
    ),
    (
        "any loss was allowed, and some happened",
        RECORD,
        {"request": {"allow_replacement": True}, "change_set": {"summary": {"replaced": ["P"]}}},
        {
            "mode": "full",
            "request": {"allow_replacement": ["P"]},
            "change_set": {"summary": {"replaced": [{"id": "P", "type": "type not recorded"}]}},
        },
    ),
    (
        "any loss was allowed, and nothing happened",
        RECORD,
        {"request": {"allow_replacement": True}},
        {"mode": "full", "request": {"allow_replacement": []}},
    ),
    ("refused before its request was recorded", RECORD, {"status": "FAILED", "reason": "r"}, {}),
    (
        "a success",
        RECORD,
        {"status": "SUCCEEDED", "source": S, "build": BUILD, "config": CONFIG, "stack": {}},
        {
            "build": {**BUILD, "source": S},
            "config": {**CONFIG, "overrides_version": 0, "config_source": S},
            "running": "b" * 64,
            "config_source": S,
        },
    ),
    (
        "a success of an application without configuration",
        RECORD,
        {"status": "SUCCEEDED", "source": S, "build": BUILD, "config": {}, "stack": {}},
        {"build": {**BUILD, "source": S}, "running": "b" * 64, "config_source": S},
    ),
    (
        "what was changed",
        RECORD,
        {"change_set": {"id": "c", "summary": {"added": ["A", "B"]}}},
        {
            "change_set": {
                "id": "c",
                "summary": {
                    "added": [
                        {"id": "A", "type": "type not recorded"},
                        {"id": "B", "type": "type not recorded"},
                    ]
                },
            }
        },
    ),
    ("a tenant's last end", CURRENT, {"last_status": "ABORTED"}, {"last_status": "CANCELLED"}),
    ("a tenant that never succeeded", CURRENT, {"last_status": "FAILED"}, {}),
    (
        "a tenant",
        CURRENT,
        {"last_good": "d2", "source": S, "build": BUILD, "config": CONFIG},
        {
            "build": {**BUILD, "source": S},
            "config": {**CONFIG, "overrides_version": 0, "config_source": S},
            "running": "b" * 64,
            "config_source": S,
            "config_deployment": "d2",
        },
    ),
    ("a key, whose digest is of another form", "IDEMPOTENCY#x", {"id": "d"}, {}),
    ("a lock", "LOCK", {"execution_arn": "a", "status": "ABORTED"}, {}),
    ("a build", "BUILD", {"status": "FAILED", "build_id": "x:1"}, {}),
    ("a source", f"SOURCE#{S}", {"manifest": {"schema": 1}}, {}),
]
named = pytest.mark.parametrize(
    ("sort_key", "old", "changes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


@named
def test_an_item_without_a_version_is_of_the_first_release(
    sort_key: str, old: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert schema.upgraded(sort_key, old) == {**old, **changes}
    assert schema.upgraded(sort_key, {**old, "schema": 1}) == {**old, **changes}


@named
def test_a_migration_may_run_twice(
    sort_key: str, old: dict[str, Any], changes: dict[str, Any]
) -> None:
    once = schema.upgraded(sort_key, old)
    assert schema.upgraded(sort_key, once) == once


@named
def test_a_migration_leaves_what_it_is_given(
    sort_key: str, old: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = repr(old)
    schema.upgraded(sort_key, old)
    assert repr(old) == before


@pytest.mark.parametrize("version", [schema.SCHEMA, schema.SCHEMA + 1, 99])
@named
def test_an_item_of_this_release_or_a_newer_one_is_read_as_it_is(
    sort_key: str, old: dict[str, Any], changes: dict[str, Any], version: int
) -> None:
    assert schema.upgraded(sort_key, {**old, "schema": version}) == old


def test_a_digest_of_another_form_is_not_compared() -> None:
    assert schema.upgraded("IDEMPOTENCY#x", {"id": "d", "request": "digest"}) == {"id": "d"}


# What this release writes, when it lost its version or an index does not have it: left alone.
OF_TODAY: list[tuple[str, dict[str, Any]]] = [
    (
        RECORD,  # a patch: it has no configuration of its own
        {
            "status": "SUCCEEDED", "mode": "function", "request": {"mode": "function"},
            "source": "6" * 64, "stack": {}, "patch": {"fingerprint": "9" * 64},
            "build": {**BUILD, "source": "6" * 64}, "running": "9" * 64,
        },
    ),
    (
        RECORD,  # a dry run: nothing runs of it
        {
            "status": "SUCCEEDED", "mode": "full", "request": {"dry_run": True},
            "source": S, "build": {**BUILD, "source": S},
        },
    ),
    (
        RECORD,  # a build that failed its tests
        {
            "status": "FAILED", "mode": "full", "request": {}, "source": S,
            "build": {**BUILD, "source": S},
        },
    ),
    (
        CURRENT,  # a build of one source with the configuration of another, and a patch over it
        {
            "source": "7" * 64, "build": {**BUILD, "source": S, "patched": "9" * 64},
            "running": "9" * 64, "config_source": "6" * 64, "config_deployment": "d1",
            "last_good": "d3",
            "config": {**CONFIG, "overrides_version": 4, "config_source": "6" * 64},
            "change_set": {"summary": {"added": [{"id": "A", "type": "T"}]}},
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sort_key", "item"), OF_TODAY)
def test_what_this_release_writes_is_not_changed_by_a_migration(
    sort_key: str, item: dict[str, Any]
) -> None:
    assert schema.upgraded(sort_key, item) == item


def test_a_patch_over_an_old_build_is_what_runs() -> None:
    """A deployment of today failed after it had patched the function of an old tenant."""
    old = {"last_good": "d2", "source": S, "build": {**BUILD, "source": S, "patched": "9" * 64}}
    assert schema.upgraded(CURRENT, old)["running"] == "9" * 64


def test_there_is_a_migration_to_each_version() -> None:
    assert len(schema.MIGRATIONS) == schema.SCHEMA - 1


# In DynamoDB's form -------------------------------------------------------------------------------


def test_an_item_that_is_put_has_its_version_and_is_read_without_it() -> None:
    item = items.whole("TENANT#n#stage#a", CURRENT, {"last_status": "FAILED"})
    assert item["schema"] == {"N": str(schema.SCHEMA)}
    assert items.from_item(item) == {"last_status": "FAILED"}


def test_nothing_is_added_to_a_part_of_an_item() -> None:
    part = items.key("TENANT#n#stage#a", CURRENT) | items.to_item(
        {"last_status": "ABORTED", "last_good": "d", "build": BUILD}
    )
    assert items.from_part(part) == {
        "last_status": "CANCELLED", "last_good": "d", "build": BUILD,
    }  # fmt: skip
    assert set(items.from_item(part)) > set(items.from_part(part))


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ({"on_busy": "wait"}, {"on_conflict": "wait"}),
        ({"on_busy": "wait", "on_conflict": "reject"}, {"on_conflict": "reject"}),
        ({"allow_replacement": True}, {"allow_replacement": []}),
        ({"allow_replacement": ["Pool"]}, {"allow_replacement": ["Pool"]}),
        ({"env": "dev", "else": 1}, {"env": "dev", "else": 1}),
    ],
)
def test_a_request_that_was_kept_is_read_as_todays(
    asked: dict[str, Any], read: dict[str, Any]
) -> None:
    assert schema.upgraded_request(asked) == read
