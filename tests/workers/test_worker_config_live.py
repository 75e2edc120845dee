"""The config worker: overrides in a deployment, what it reads for the API, and drift."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from config_calls import BUCKET, accept_policies, content, succeed, sync, upload, versions
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.errors import ConfigInvalid, InvalidRequest
from control_plane.models import Deployment, DeploymentStatus, JsonObject
from control_plane.store.history import History
from control_plane.store.overrides import Overrides
from workers import config as worker


@pytest.fixture(autouse=True)
def _policies(script: scripted.Scripted) -> None:
    accept_policies(script)


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def store(overrides: JsonObject, base: int = 0) -> None:
    Overrides(TABLE).put(ALPHA, overrides, base, None, "")


# Overrides in a deployment ------------------------------------------------------------------------


def test_the_newest_overrides_lie_over_the_files_and_under_the_outputs(made: Deployment) -> None:
    store({"title": "First"})
    store({"title": "Mine", "auth": {"on": None}, "new": 1.5}, 1)
    receipt = upload(made)["config"]
    assert content() == {"title": "Mine", "auth": {}, "api": {}, "new": 1.5}
    assert (receipt["overrides_version"], receipt["config_source"]) == (2, made.source)
    sync(made, 2, PoolId="pool-1")
    assert content()["auth"] == {"pool": "pool-1"}


@pytest.mark.parametrize(
    ("version", "title"), [(0, "Alpha"), (1, "One"), (2, "Two"), (None, "Two")]
)
def test_a_deployment_uses_the_version_that_it_names(
    source: str, version: int | None, title: str
) -> None:
    store({"title": "One"})
    store({"title": "Two"}, 1)
    made = build.opened(build.deployment(source=source, config_version=version))
    assert upload(made)["config"]["overrides_version"] == (2 if version is None else version)
    assert content()["title"] == title


def test_overrides_that_are_stored_meanwhile_belong_to_the_next_deployment(
    made: Deployment,
) -> None:
    store({"title": "One"})
    used = upload(made)["config"]["overrides_version"]
    store({"title": "Two"}, 1)
    receipt = sync(made, used, PoolId="pool-1")["config"]
    assert receipt["overrides_version"] == 1
    assert content()["title"] == "One"


def test_a_version_that_does_not_exist_is_no_empty_one(source: str) -> None:
    made = build.opened(build.deployment(source=source, config_version=3))
    with pytest.raises(ConfigInvalid, match="no stored overrides of version 3"):
        upload(made)


def test_overrides_that_do_not_fit_the_source_any_more_stop_the_deployment(world: None) -> None:
    store({"limits": 1})
    newer = {**build.FILES, "config/stage.json": json.dumps({"limits": {"page": 1}})}
    made = build.opened(build.deployment(source=build.push_source(newer)))
    with pytest.raises(ConfigInvalid, match=r"stored overrides version 1 do not fit .* limits: is"):
        upload(made)
    assert build.record(made).get("config") is None


def test_the_record_says_what_was_uploaded_however_the_deployment_ends(made: Deployment) -> None:
    assert upload(made)["config"] == build.record(made)["config"]


# What the API is told -----------------------------------------------------------------------------


def read(source: str, **changes: Any) -> JsonObject:
    tenant = ALPHA.model_dump(mode="json")
    asked = {"tenant": tenant, "source": source, "bucket": BUCKET, "key": "config.json"}
    return worker.handler({"read": {**asked, **changes}}, None)


def test_the_live_document_is_read_with_its_version(made: Deployment) -> None:
    receipt = upload(made)["config"]
    found = read(made.source)
    assert found["content"] == content()
    assert (found["version_id"], found["sha256"]) == (receipt["version_id"], receipt["sha256"])
    assert found["size"] > 0
    assert found["last_modified"].endswith("Z")


def test_a_document_that_is_not_there_is_missing(made: Deployment) -> None:
    assert read(made.source) == {"missing": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"bucket": f"notes-config-stage-beta-{build.ACCOUNT}"},
        {"bucket": build.ARTIFACTS},
        {"key": "secrets.json"},
        {"tenant": build.BETA.model_dump(mode="json")},
        {"tenant": build.tenant(application="other").model_dump(mode="json")},
    ],
)
def test_any_other_place_is_refused_and_not_read(
    made: Deployment, script: scripted.Scripted, changes: JsonObject
) -> None:
    upload(made)
    upload(build.opened(build.deployment(build.BETA, 2, source=made.source)))
    script.watch(aws.s3(), "GetObject")
    with pytest.raises(InvalidRequest, match="is not"):
        read(made.source, **changes)
    assert {asked["Bucket"] for asked in script.of("GetObject")} == {build.ARTIFACTS}
    assert [asked["Key"] for asked in script.of("GetObject")] == [
        f"sources/stage/{made.source}.zip"
    ]


def test_a_document_of_any_size_is_answered(made: Deployment) -> None:
    upload(made)
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=b" " * (1024 * 1024 + 1))
    found = read(made.source)
    assert found["content"] is None
    assert "more than 1048576 are not read" in found["problem"]


# Drift --------------------------------------------------------------------------------------------


def check(of: Deployment) -> list[JsonObject]:
    later = build.opened(build.deployment(number=9, source=of.source, mode="drift"))
    answer = worker.handler(build.event(later, "CheckConfig"), None)
    assert answer["done"] is True
    return list(answer["drift"]["findings"])


def finish(made: Deployment) -> Deployment:
    """Upload, and succeed with it."""
    succeed(made, config=upload(made)["config"], last_good=made.id)
    return made


def test_a_configuration_as_it_was_deployed_is_no_finding(made: Deployment) -> None:
    assert check(finish(made)) == []


def test_the_same_bytes_in_a_new_version_are_no_finding(made: Deployment) -> None:
    """A deployment that failed and was rolled back has uploaded it anew."""
    finish(made)
    body = aws.s3().get_object(Bucket=BUCKET, Key="config.json")["Body"].read()
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=body)
    assert versions() == 2
    assert check(made) == []


def test_an_edit_by_hand_is_a_finding_without_its_values(made: Deployment) -> None:
    finish(made)
    edited = {**content(), "title": "a secret of somebody"}
    aws.s3().put_object(Bucket=BUCKET, Key="config.json", Body=json.dumps(edited))
    (finding,) = check(made)
    assert finding["kind"] == "config"
    assert finding["resource"] == f"s3://{BUCKET}/config.json"
    assert finding["detail"] == "1 path differs: title"
    assert finding["deployment_would"].endswith("the edit is lost")
    assert "secret" not in json.dumps(build.everything())


def test_what_a_failed_deployment_uploaded_is_told_from_an_edit_by_hand(made: Deployment) -> None:
    finish(made)
    store({"title": "Mine"})
    failed = build.opened(build.deployment(number=2, source=made.source))
    upload(failed)
    History(TABLE).fail(ALPHA, failed.id, failed.execution_arn, DeploymentStatus.FAILED, {})
    finding, _ = check(made)
    assert finding["detail"] == (
        f"1 path differs: title; uploaded by deployment {failed.id}, which ended FAILED"
    )
    assert finding["deployment_would"] == "upload the merged configuration again"


def test_a_document_that_is_gone_is_a_finding(made: Deployment) -> None:
    finish(made)
    aws.s3().delete_object(Bucket=BUCKET, Key="config.json")
    assert [finding["detail"] for finding in check(made)] == ["the configuration is missing"]


def test_overrides_that_wait_for_a_deployment_are_a_finding(made: Deployment) -> None:
    finish(made)
    store({"title": "Mine"})
    (finding,) = check(made)
    assert finding["detail"] == "stored overrides version 1 are not deployed yet"
    assert finding["deployment_would"] == "apply them"


def test_a_document_that_may_not_be_read_is_never_missing(
    made: Deployment, script: scripted.Scripted
) -> None:
    finish(made)
    script.on(aws.s3(), "GetObject", scripted.failure("AccessDenied"))
    with pytest.raises(ClientError, match="AccessDenied"):
        check(made)


def test_a_tenant_without_a_deployed_configuration_has_no_findings(world: None) -> None:
    plain = build.manifest.parse(build.PLAIN_MANIFEST)
    for number, changes in ((1, {"manifest": plain}), (2, {})):
        made = build.opened(build.deployment(number=number, **changes))
        answer = worker.handler(build.event(made, "CheckConfig"), None)
        assert answer == {"drift": {"findings": []}, "done": True}
