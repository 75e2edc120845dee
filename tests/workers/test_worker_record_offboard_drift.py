"""How an offboarding and a drift check end in the table."""

from typing import Any

import pytest
import worker_builders as build
from record_calls import prepare, registered
from worker_builders import ALPHA, BETA, TABLE

from control_plane.models import Deployment, Tenant
from control_plane.rules.endings import GOOD
from control_plane.store.history import History
from control_plane.store.listing import Listing
from workers import record

OFFBOARD = {"env": "stage", "org": "alpha", "mode": "offboard", "confirm": "notes-stage-alpha"}
DRIFT = {"env": "stage", "org": "alpha", "mode": "drift"}
LEFT = {"items": [{"kind": "bucket", "name": "b", "objects": 3}]}
FOUND = {"kind": "resource", "resource": "F", "detail": "x", "deployment_would": "y"}
SHOWN = ("last_good", "endpoint")


@pytest.fixture(autouse=True)
def _deployed(source: str) -> None:
    good(ALPHA, source=source)


def good(tenant: Tenant, number: int = 3, source: str = "5" * 64) -> None:
    made = build.opened(build.deployment(tenant, number, source=source))
    build.take_lock(made)
    everything: dict[str, Any] = {name: {"some": name} for name in GOOD}
    everything["build"] = {"fingerprint": "f0", "source": made.source}
    everything |= {"last_good": made.id, "endpoint": "https://x", "deployed_at": "2026"}
    History(TABLE).succeed(tenant, made.id, made.execution_arn, {}, everything)


def ended(given: dict[str, Any], step: str, **event: Any) -> Deployment:
    made = prepare(registered(given))  # nobody removes a tenant by hand
    build.take_lock(made)
    answer = record.handler(build.event(made, step, **event), None)
    assert answer == {"id": made.id, "status": "SUCCEEDED"}
    assert build.holder() is None
    return made


def test_an_offboarded_tenant_has_nothing_good_any_more_but_its_history() -> None:
    exported = {"location": "s3://x"}
    made = ended(OFFBOARD, "RecordOffboarding", leftovers=LEFT, exported=exported)
    now = build.current()
    assert not set(GOOD) & set(now)
    assert (now["last_reason"], now["last_deployment"]) == ("offboarded", made.id)
    assert now["leftovers"] == LEFT
    assert now["offboarded_at"]
    found = build.record(made)
    assert (found["mode"], found["leftovers"], found["exported"]) == ("offboard", LEFT, exported)
    assert len(Listing(TABLE).deployments(ALPHA, 10)) == 2
    [listed] = Listing(TABLE).tenants()
    assert listed["offboarded_at"] == now["offboarded_at"]
    assert listed["last_reason"] == "offboarded"
    assert not set(SHOWN) & set(listed)


def test_a_drift_check_leaves_the_last_deployment_what_it_is() -> None:
    before = build.current()
    kinds = {
        "stack": {"findings": [FOUND]},
        "function": {"findings": []},
        "config": {"findings": [{**FOUND, "kind": "config"}]},
    }
    made = ended(DRIFT, "RecordDrift", drift=kinds)
    now = build.current()
    assert [item["kind"] for item in now["drift"]["findings"]] == ["resource", "config"]
    assert now["drift"]["deployment"] == made.id
    assert {k: v for k, v in now.items() if k != "drift"} == {
        k: v for k, v in before.items() if k != "drift"
    }
    assert build.record(made)["drift"] == now["drift"]


def test_every_tenant_is_listed_with_its_own_drift() -> None:
    good(BETA, number=4)
    ended(DRIFT, "RecordDrift", drift={"stack": {"findings": [FOUND]}})
    listed = {item["org"]: item for item in Listing(TABLE).tenants()}
    assert listed["alpha"]["drift"]["findings"] == [FOUND]
    assert listed["beta"]["drift"] == {"some": "drift"}
    assert listed["beta"]["stack_name"] == "notes-stage-beta"


@pytest.mark.parametrize("position", [{}, {"schedules": []}, {"schedules": ["its schedule"]}])
def test_a_removal_without_an_export_records_none(position: dict[str, Any]) -> None:
    """Whoever reads the record takes its location for granted."""
    made = ended(OFFBOARD, "RecordOffboarding", leftovers=LEFT, exported=position)
    assert build.record(made).get("exported") is None
