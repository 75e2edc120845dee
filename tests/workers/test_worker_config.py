"""The config worker: the tenant's configuration, merged, uploaded, and given the outputs."""

import json
from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from botocore.exceptions import ClientError
from config_calls import (
    BUCKET,
    POLICIES,
    accept_policies,
    content,
    succeed,
    sync,
    upload,
    versions,
)
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.errors import ConfigInvalid
from control_plane.models import Deployment
from control_plane.rules.config import SIZE_LIMIT
from control_plane.store.overrides import Overrides
from workers import config as worker


@pytest.fixture(autouse=True)
def _policies(script: scripted.Scripted) -> None:
    POLICIES.clear()
    accept_policies(script)


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def test_the_layers_of_the_source_are_merged_and_the_version_remembered(made: Deployment) -> None:
    answer = upload(made)
    assert content() == {"title": "Alpha", "auth": {"on": True}, "api": {}}
    receipt = answer["config"]
    assert (receipt["bucket"], receipt["key"]) == (BUCKET, "config.json")
    assert "content" not in receipt, "an execution's history is for more eyes than the tenant's"
    assert build.record(made)["config_content"] == content()
    listed = aws.s3().list_object_versions(Bucket=BUCKET)["Versions"]
    assert receipt["version_id"] == listed[0]["VersionId"]
    assert answer["changed"] is True


def test_a_configuration_that_did_not_change_is_not_uploaded_again(made: Deployment) -> None:
    first = upload(made)
    second = upload(made)
    assert second["config"] == first["config"]
    assert second["changed"] is False
    assert versions() == 1


def test_the_stacks_outputs_reach_the_configuration_in_the_same_deployment(
    made: Deployment,
) -> None:
    upload(made)
    answer = sync(made, PoolId="pool-1", Url="https://x", Else="e")
    assert content()["auth"] == {"on": True, "pool": "pool-1"}
    assert content()["api"] == {"url": "https://x"}
    assert (answer["changed"], versions()) == (True, 2)
    assert sync(made, PoolId="pool-1", Url="https://x")["changed"] is False
    assert versions() == 2


def test_a_later_deployment_does_not_forget_the_outputs_before_its_stack_is_there(
    source: str,
) -> None:
    first = build.opened(build.deployment(number=1, source=source))
    upload(first)
    sync(first, PoolId="pool-1", Url="https://x")
    succeed(first, outputs={"PoolId": "pool-1", "Url": "https://x"})
    second = build.opened(build.deployment(number=2, source=source))
    assert upload(second)["changed"] is False
    assert content()["auth"]["pool"] == "pool-1"


def test_an_output_that_is_gone_is_deleted_from_the_configuration(made: Deployment) -> None:
    upload(made)
    sync(made, PoolId="pool-1", Url="https://x")
    sync(made, Url="https://x")
    assert content()["auth"] == {"on": True}


def test_a_broken_layer_is_refused_by_name_before_anything_is_uploaded(world: None) -> None:
    sha256 = build.push_source({**build.FILES, "config/stage.json": '{\n "a": 1,\n}'})
    made = build.opened(build.deployment(source=sha256))
    with pytest.raises(ConfigInvalid, match=r"config/stage\.json is not JSON \(line 3"):
        upload(made)
    with pytest.raises(ClientError, match="NoSuchKey"):
        content()


def test_an_application_without_configuration_has_nothing_to_upload(world: None) -> None:
    made = build.deployment(manifest=build.manifest.parse(build.PLAIN_MANIFEST))
    build.opened(made)
    assert upload(made) == {"config": {}, "done": True}
    assert sync(made) == {"config": {}, "done": True}
    assert [item["Name"] for item in aws.s3().list_buckets()["Buckets"]] == [build.ARTIFACTS]


def test_a_tenant_never_sees_its_neighbours_configuration(made: Deployment) -> None:
    upload(made)
    beta = build.opened(build.deployment(build.BETA, 2, source=made.source))
    upload(beta)
    assert build.record(beta)["config_content"]["title"] == "Notes"
    assert content()["title"] == "Alpha"


# Going back ---------------------------------------------------------------------------------------


def restore(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "RestoreConfig"), None)


def test_the_last_good_configuration_is_put_back_from_its_own_source(source: str) -> None:
    Overrides(TABLE).put(ALPHA, {"title": "Stored"}, 0, "me", "")
    first = build.opened(build.deployment(number=1, source=source))
    receipt = upload(first)["config"]
    succeed(first, config=receipt, outputs={})
    good = content()
    elsewhere = build.MANIFEST.replace('directory = "config"', 'directory = "settings"')
    files = {"application.toml": elsewhere, "settings/base.json": '{"title": "New"}'}
    pushed = build.push_source({**build.FILES, **files})
    Overrides(TABLE).put(ALPHA, {"title": "Stored since then"}, 1, "me", "")
    manifest = build.manifest.parse(elsewhere)
    second = build.opened(
        build.deployment(number=2, source=pushed, config_source=pushed, manifest=manifest)
    )
    upload(second)
    assert content()["title"] == "Stored since then"
    assert restore(second)["done"] is True
    assert content() == good
    assert restore(second)["changed"] is False


def test_without_a_good_configuration_there_is_none_to_go_back_to(made: Deployment) -> None:
    upload(made)
    before = content()
    assert restore(made) == {"done": True}
    assert content() == before


def test_a_configuration_that_no_record_could_hold_is_refused(world: None) -> None:
    large = {"config/base.json": json.dumps({"text": "x" * SIZE_LIMIT})}
    made = build.opened(build.deployment(source=build.push_source({**build.FILES, **large})))
    with pytest.raises(ConfigInvalid, match="bytes"):
        upload(made)
    with pytest.raises(ClientError, match="NoSuchKey"):
        content()
