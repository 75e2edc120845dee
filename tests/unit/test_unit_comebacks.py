"""What a tenant can go back to."""

import hashlib
from typing import Any

import pytest

from control_plane.models import JsonObject
from control_plane.rules import comebacks
from control_plane.rules.config import rendered


def build(name: str) -> JsonObject:
    return {
        "fingerprint": name * 64,
        "source": name * 64,
        "build_id": f"builds:{name}",
        "template_key": f"notes-stage-alpha/builds/{name * 64}/template.yaml",
        "reused": False,
    }


def good(id_: str, name: str, config: str = "c1", **more: Any) -> JsonObject:
    """A record that succeeded with a build."""
    return {
        "id": id_,
        "status": "SUCCEEDED",
        "build": build(name),
        "running": name * 64,
        "source": name * 64,
        "config": {"sha256": config},
        **more,
    }


def now(record: JsonObject, **more: Any) -> JsonObject:
    """The tenant's state after that deployment."""
    return {**record, "last_good": record["id"], **more}


PATCH = {"fingerprint": "9" * 64}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (good("1", "a"), ""),
        (good("1", "a", status="FAILED"), "ended FAILED"),
        (good("1", "a", status="ROLLED_BACK"), "ended ROLLED_BACK"),
        (good("1", "a", status="RUNNING"), "ended RUNNING"),
        (good("1", "a", patch=PATCH), "patched the function only"),
        (good("1", "a", request={"dry_run": True}), "was a dry run"),
        ({"id": "1", "status": "SUCCEEDED", "mode": "drift"}, "of mode drift"),
        ({"id": "1", "status": "SUCCEEDED", "build": build("a")}, "no deployment of a build"),
    ],
)
def test_only_a_proven_build_can_be_gone_back_to(record: JsonObject, why: str) -> None:
    refused = comebacks.refusal(record)
    assert why in refused
    assert bool(why) == bool(refused)


FIRST, SECOND, THIRD = good("1", "a"), good("2", "b"), good("3", "c")


@pytest.mark.parametrize(
    ("current", "history", "chosen"),
    [
        (now(THIRD), [THIRD, SECOND, FIRST], "2"),
        (now(THIRD), [good("4", "d"), THIRD, SECOND], "2"),  # one that is newer than the current
        (now(THIRD), [THIRD, good("2", "b", status="FAILED"), FIRST], "1"),
        (now(THIRD), [THIRD, good("2", "c"), FIRST], "1"),  # the same deployed twice
        (now(THIRD), [THIRD, good("2", "c", "c0"), FIRST], "2"),  # another configuration
        (now(THIRD), [THIRD], None),
        (now(THIRD), [], None),
        # Behind a patch lies the build that it was put over.
        (
            now(good("3", "b", patch=PATCH), running="9" * 64),
            [good("3", "b", patch=PATCH), SECOND, FIRST],
            "2",
        ),
    ],
)
def test_the_way_back_leads_to_the_newest_that_was_otherwise(
    current: JsonObject, history: list[JsonObject], chosen: str | None
) -> None:
    found = comebacks.previous(current, history)
    assert (found or {}).get("id") == chosen


def test_the_history_is_read_no_further_than_needed() -> None:
    def read() -> Any:
        yield THIRD
        yield SECOND
        raise AssertionError("read on")

    assert comebacks.previous(now(THIRD), read()) == SECOND
    assert comebacks.newest_built(iter([{"id": "4"}, THIRD])) == THIRD
    assert comebacks.newest_built([{"id": "4"}, {**THIRD, "patch": PATCH}]) is None


def test_a_build_is_read_without_the_marks_beside_it() -> None:
    found = comebacks.build_of({"build": {**build("a"), "patched": "9" * 64, "done": True}})
    assert found is not None
    assert (found.fingerprint, found.reused) == ("a" * 64, True)
    assert comebacks.build_of({}) is None


@pytest.mark.parametrize(
    ("facts", "source", "version"),
    [
        ({"source": "s1"}, "s1", 0),
        ({"source": "s1", "config_source": "s2", "config": {}}, "s2", 0),
        ({"source": "s1", "config": {"overrides_version": 3}}, "s1", 3),
    ],
)
def test_the_configuration_of_then(facts: JsonObject, source: str, version: int) -> None:
    assert comebacks.config_source(facts) == source
    assert comebacks.config_version(facts) == version


def test_the_configuration_that_was_tried_is_compared_by_its_bytes() -> None:
    content = {"title": "Alpha"}
    same = hashlib.sha256(rendered(content)).hexdigest()
    assert comebacks._tried_config_sha256({"config_content": content}) == same
    assert comebacks._tried_config_sha256({}) == ""
