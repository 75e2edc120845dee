"""Which tenants are in which wave, and the requests that are refused before anything starts."""

from typing import Any

import pytest
from fleet import rollout
from pydantic import ValidationError

from control_plane.errors import InvalidRequest
from control_plane.models import Mode
from control_plane.rules.rollout_plan import RolloutRequest, allowed, plan
from control_plane.rules.rollout_skips import why_skip

ORGS = [f"org{number:02d}" for number in range(20)]
REST = {"rest": True}


def waves_of(*waves: dict[str, Any], orgs: list[str] = ORGS, **more: Any) -> list[list[str]]:
    return plan(RolloutRequest.model_validate({"waves": waves, **more}), orgs)[1]


def test_a_canary_a_count_a_share_and_the_rest() -> None:
    found = waves_of({"tenants": ["org19"]}, {"count": 4}, {"percent": 25}, REST)
    assert found == [["org19"], ORGS[:4], ORGS[4:9], ORGS[9:19]]


def test_without_waves_all_are_one() -> None:
    assert plan(RolloutRequest(), ORGS)[1] == [ORGS]


def test_a_share_of_a_few_is_at_least_one() -> None:
    assert waves_of({"percent": 1}, REST, orgs=ORGS[:3]) == [ORGS[:1], ORGS[1:3]]


def test_a_total_that_is_not_given_is_that_of_the_waves() -> None:
    asked = RolloutRequest.model_validate({"waves": [{"count": 5, "max_failures": "2"}, REST]})
    waves, _ = plan(asked, ORGS)
    assert (asked.max_failures, [wave.allowed for wave in waves]) == (None, [2, 0])


def test_each_wave_has_its_own_limits_or_the_rollouts() -> None:
    asked = {"waves": [{"count": 1, "concurrency": 3, "max_failures": "1"}, REST],
             "max_failures": "10%", "concurrency": 7}  # fmt: skip
    waves, _ = plan(RolloutRequest.model_validate(asked), ORGS)
    assert [(w.size, w.concurrency, w.allowed) for w in waves] == [(1, 3, 1), (19, 7, 1)]


@pytest.mark.parametrize(
    ("text", "size", "count"),
    [("0", 9, 0), ("3", 9, 3), ("10%", 19, 1), ("10%", 9, 0), ("100%", 9, 9)],
)
def test_how_many_may_fail(text: str, size: int, count: int) -> None:
    assert allowed(text, size) == count


REFUSED = [
    ("nobody", [REST], [], "no tenant fits"),
    ("somebody is left out", [{"count": 19}], ORGS, "1 of 20 tenants are in no wave"),
    ("a wave without anybody", [{"count": 20}, REST], ORGS, "waves.1: nobody is left"),
    ("a canary that is not there", [{"tenants": ["orgx"]}, REST], ORGS, "not among the selected"),
    ("a canary twice", [{"tenants": ["org01"]}, {"tenants": ["org01"]}, REST], ORGS, "more than"),
    ("too many", [REST], [f"o{number}" for number in range(10_001)], "may have 10000"),
]


@pytest.mark.parametrize(
    ("waves", "orgs", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_plan_that_cannot_be_is_refused(waves: Any, orgs: list[str], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        waves_of(*waves, orgs=orgs)


WRONG: list[dict[str, Any]] = [
    {"waves": [{"count": 1, "rest": True}]},
    {"waves": [{}]},
    {"waves": [{"percent": 101}]},
    {"tenants": ["a"], "labels": {"tier": "gold"}},
    {"tenants": ["Not An Org"]},
    {"mode": "function"},
    {"mode": "deploy-only", "source": "5" * 64},
    {"max_failures": "some"},
    {"concurrency": 0},
    {"bake_seconds": -1},
    {"unknown": 1},
]


@pytest.mark.parametrize("body", WRONG)
def test_a_request_that_means_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RolloutRequest.model_validate(body)


# Skips --------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "last_good": "d1", "last_deployment": "d1", "last_status": "SUCCEEDED",
    "build": {"fingerprint": "f" * 64, "source": "5" * 64}, "config_source": "5" * 64,
    "config": {"overrides_version": 2},
}  # fmt: skip


def skip(
    version: int = 2, needed: str = "f" * 64, mode: Mode = Mode.FULL, source: str = "5" * 64,
    **changes: Any,
) -> str:  # fmt: skip
    return why_skip(GOOD | changes, rollout(1, mode=mode, source=source), needed, version)


def test_who_has_it_all_is_skipped_and_told_why() -> None:
    assert skip() == f"has build {'f' * 12} and its configuration already"
    assert skip(mode=Mode.DEPLOY_ONLY, needed="")


DEPLOYED: list[tuple[str, dict[str, Any]]] = [
    ("another build", {"needed": "e" * 64}),
    ("newer overrides", {"version": 3}),
    ("a configuration of another source", {"config_source": "4" * 64}),
    ("a configuration of the source before", {"mode": Mode.DEPLOY_ONLY, "source": "6" * 64}),
    ("a patch over it", {"patch": {"fingerprint": "p"}}),
    ("a last deployment that failed", {"last_deployment": "d2", "last_status": "FAILED"}),
    ("one that was only looked at", {"last_deployment": "d2"}),
    ("offboarded", {"offboarded_at": "2026"}),
    ("never deployed", {"last_good": None}),
]


@pytest.mark.parametrize("changes", [d[1] for d in DEPLOYED], ids=[d[0] for d in DEPLOYED])
def test_who_lacks_something_is_deployed(changes: dict[str, Any]) -> None:
    assert skip(**changes) == ""
