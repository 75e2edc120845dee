"""What a dry run says of the configuration, and what the list of tenants keeps apart."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from api_calls import call
from config_calls import BUCKET, accept_policies, content, succeed, sync, upload, versions
from worker_builders import ALPHA, BETA, TABLE

from cli.output import out, tenants_table
from cli.summaries import config_changes
from control_plane import aws
from control_plane.errors import ConfigInvalid
from control_plane.models import Deployment, DeploymentStatus
from control_plane.rules.tenant_health import last_health
from control_plane.store.history import History
from control_plane.store.overrides import Overrides
from control_plane.store.progress import Progress
from workers import config as worker
from workers import record


@pytest.fixture(autouse=True)
def _policies(script: scripted.Scripted) -> None:
    accept_policies(script)


def preview(made: Deployment) -> dict[str, Any]:
    answer = worker.handler(build.event(made, "PreviewConfig"), None)
    return dict(answer["config_changes"])


# A dry run ----------------------------------------------------------------------------------------


def test_the_first_deployment_would_add_every_key_and_writes_nothing(source: str) -> None:
    found = preview(build.opened(build.deployment(source=source, dry_run=True)))
    assert (found["added"], found["changed"], found["removed"]) == (
        ["api", "auth.on", "title"],
        [],
        [],
    )
    assert (found["live"], found["set_by_stack"]) == (False, ["api.url", "auth.pool"])
    assert BUCKET not in [bucket["Name"] for bucket in aws.s3().list_buckets()["Buckets"]]


def test_what_would_be_added_changed_and_removed_is_told_by_its_keys_without_values(
    source: str,
) -> None:
    first = build.opened(build.deployment(source=source))
    upload(first)
    receipt = sync(first, PoolId="pool-1", Url="https://x")["config"]
    succeed(first, config=receipt, outputs={"PoolId": "pool-1", "Url": "https://x"})
    assert preview(build.opened(build.deployment(number=2, source=source, dry_run=True))) == {
        "added": [], "changed": [], "removed": [], "more": 0, "live": True, "set_by_stack": [],
    }  # fmt: skip
    Overrides(TABLE).put(ALPHA, {"title": "hunter2", "new": {"key": 1}}, 0, None, "")
    aws.s3().put_object(
        Bucket=BUCKET, Key="config.json", Body=json.dumps({**content(), "old": 1}).encode()
    )
    before = versions()
    made = build.opened(build.deployment(number=3, source=source, dry_run=True))
    found = preview(made)
    kinds = ("added", "changed", "removed")
    assert [found[kind] for kind in kinds] == [["new.key"], ["title"], ["old"]]
    assert "hunter2" not in json.dumps(found)
    assert versions() == before
    build.take_lock(made)
    event = build.event(
        made, "RecordDryRun", build={}, change_set={"summary": {}}, config_changes=found
    )
    record.handler(event, None)
    shown = call("GET", f"/envs/stage/orgs/alpha/deployments/{made.id}").body
    assert shown["config_changes"] == found
    assert [line.plain for line in config_changes(shown)] == [
        "+ added config new.key", "~ modified config title", "- removed config old",
    ]  # fmt: skip


def test_a_live_document_that_cannot_be_read_is_said(source: str) -> None:
    upload(build.opened(build.deployment(source=source)))
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=b"{")
    found = preview(build.opened(build.deployment(number=2, source=source, dry_run=True)))
    assert "is not JSON" in found["problem"]
    assert found["added"] == ["api", "auth.on", "title"]


def test_a_dry_run_fails_where_the_deployment_would(world: None) -> None:
    broken = build.push_source({**build.FILES, "config/stage.json": "{"})
    with pytest.raises(ConfigInvalid, match=r"config/stage\.json"):
        preview(build.opened(build.deployment(source=broken, dry_run=True)))


def test_an_application_without_configuration_has_no_changes_of_it(world: None) -> None:
    plain = build.manifest.parse(build.PLAIN_MANIFEST)
    assert preview(build.opened(build.deployment(manifest=plain, dry_run=True))) == {}
    assert config_changes({"config_changes": {}}) == []


# The list of tenants ------------------------------------------------------------------------------

PASSED = [{"name": "health", "status": "PASSED", "detail": "reports f"}]
FAILED = [{"name": "health", "status": "FAILED", "detail": "/health: status is 'degraded'"}]


def good(made: Deployment) -> None:
    build.take_lock(made)
    health = last_health(PASSED, made.id, "2026-11-22T12:00:00.000+00:00")
    current = {"last_good": made.id, "last_deployment": made.id, "last_status": "SUCCEEDED",
               "health": health}  # fmt: skip
    History(TABLE).succeed(made.tenant, made.id, made.execution_arn, {}, current, is_whole=True)


def failed(made: Deployment, tests: Any = None) -> None:
    """Through RecordFailure, as its execution would."""
    if tests:
        Progress(TABLE).add_facts(made, {"tests": tests})
    execution = {
        "Id": made.execution_arn,
        "StartTime": made.started_at.isoformat(),
        "Input": {"env": "stage", "org": made.tenant.org},
    }
    failure = {"state": "RunTests", "error": "TestsFailed", "cause": "why"}
    rollback = {"outcome": "none", "failure": {}}
    event = {"step": "RecordFailure", "execution": execution, "failure": failure}
    record.handler({**event, "rollback": rollback}, None)


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call("GET", "/tenants").body["tenants"]
    out.print(tenants_table(found))  # whatever is listed can be printed
    return found


def test_health_the_last_attempt_and_what_runs_are_three_things(
    world: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("control_plane.use_cases.overview.utc_now", lambda: build.NOON)
    first, second, third = (build.opened(build.deployment(number=n)) for n in (1, 2, 3))
    good(first)
    failed(second)  # before any test: the tenant is what it was
    (found,) = listed()
    assert (found["health"]["status"], found["health"]["deployment"]) == ("healthy", first.id)
    assert found["last_attempt"]["deployment"] == second.id
    assert found["last_attempt"]["status"] == "FAILED"
    assert found["last_attempt"]["started_at"].startswith("2026-11-22T12:02:00")
    assert found["in_progress"]["deployment"] == third.id
    assert found["in_progress"]["status"] == "QUEUED"
    shown = capsys.readouterr().out
    for text in ("healthy", f"FAILED {second.id}", f"QUEUED {third.id}"):
        assert text in shown
    failed(third, FAILED)
    (found,) = listed()
    assert found["health"]["status"] == "unhealthy"
    assert found["health"]["detail"] == "health: /health: status is 'degraded'"
    assert found["health"]["deployment"] == third.id
    assert found["in_progress"] is None


def test_a_first_deployment_is_listed_while_it_runs(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.use_cases.overview.utc_now", lambda: build.NOON)
    made = build.opened(build.deployment(BETA))
    (found,) = listed()
    assert (found["stack_name"], found["org"]) == (BETA.stack_name, "beta")
    assert (found["health"], found["last_attempt"], found["last_deployment"]) == (None, None, None)
    assert found["in_progress"]["deployment"] == made.id
    History(TABLE).fail(
        BETA, made.id, made.execution_arn, DeploymentStatus.FAILED, {"reason": "why"}
    )
    (found,) = listed()
    assert (found["in_progress"], found["last_attempt"]["status"]) == (None, "FAILED")
