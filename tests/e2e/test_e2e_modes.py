"""The modes without a build: the last build again, and the function's code past CloudFormation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import ask, listed
from sources import ALMANAC, APPLICATION, BACKEND, copied, push, replace
from syndi_command import Syndi

TENANT = ("test", "patchy")
STACK = "rawscribe-test-patchy"


@pytest.fixture(scope="module")
def patchy(syndi: Syndi) -> dict[str, Any]:
    """`test/patchy`, deployed in full."""
    push(syndi, BACKEND, "test")
    return syndi.deploy(*TENANT)


@pytest.fixture
def changed(syndi: Syndi, patchy: dict[str, Any], tmp_path: Path) -> Iterator[Path]:
    """A copy of rawscribe's source to change; afterwards `test` has the original again."""
    yield copied(BACKEND, tmp_path)
    push(syndi, BACKEND, "test")


def health(syndi: Syndi) -> dict[str, Any]:
    """What the tenant says of itself."""
    address = syndi.ok("--local", "url", *TENANT).stdout.strip()
    status, body = ask(f"{address}/health")
    assert status == 200
    return dict(body)


def patch(syndi: Syndi, source: Path) -> dict[str, Any]:
    """A patch that answers differently, deployed; gives its record."""
    replace(
        source / "rawscribe" / "routes" / "health.py",
        '"environment": config',
        '"patched": True,\n        "environment": config',
    )
    sha256 = push(syndi, source, "test")
    record = syndi.deploy(*TENANT, "--mode", "function")
    assert record["source"] == sha256
    return record


def test_a_patch_changes_the_code_only_and_the_next_deployment_puts_the_build_back(
    syndi: Syndi, patchy: dict[str, Any], changed: Path
) -> None:
    before = syndi.stack(STACK)
    (changed / "config" / "test.json").write_text('{"frontend": {"title": "not in a patch"}}')
    record = patch(syndi, changed)
    fingerprint, build = record["patch"]["fingerprint"], patchy["build"]["fingerprint"]
    assert record["patch"]["over"] == build != fingerprint
    assert "not applied: config/test.json" in record["steps"]["PatchFunction"]["note"]
    assert {"AwaitBuild", "CreateChangeSet", "UploadConfig"}.isdisjoint(record["steps"])
    now = health(syndi)
    assert (now["build"], now["patched"]) == (fingerprint, True)
    assert now["dependencies"]["config"]["status"] == "ok"
    assert syndi.stack(STACK) == before
    assert listed(syndi, STACK)["build"]["patched"] == fingerprint
    assert f"{fingerprint[:12]} (patch over {build[:12]})" in syndi.ok("--local", "tenants").stdout
    assert syndi.ok("--local", "check", *TENANT)

    # What the build generated beside the code is still there.
    package = syndi.client("s3").get_object(
        Bucket=syndi.outputs()["ArtifactBucketName"], Key=record["patch"]["key"]
    )
    assert b"rawscribe/.config/config.json" in package["Body"].read()

    # CloudFormation sees no change, and the function is put back all the same.
    push(syndi, BACKEND, "test")
    again = syndi.deploy(*TENANT, "--mode", "deploy-only")
    assert again["change_set"]["has_changes"] is False
    assert again["steps"]["ReconcileFunction"]["note"] == (
        f"put back: it had been patched by deployment {record['id']} at "
        f"{record['patch']['at'][:19]}, recorded"
    )
    now = health(syndi)
    assert now["build"] == build
    assert "patched" not in now
    assert "patched" not in listed(syndi, STACK)["build"]
    once_more = syndi.deploy(*TENANT, "--mode", "deploy-only")
    assert once_more["steps"]["ReconcileFunction"]["note"] == "as the stack's template says"


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        (
            "template.yaml",
            "          CONFIG_S3_KEY: config.json\n",
            "          CONFIG_S3_KEY: config.json\n          LOG_LEVEL: DEBUG\n",
            "environment variables: RawscribeLambda LOG_LEVEL",
        ),
        ("template.yaml", "MemorySize: 512", "MemorySize: 1024", "infrastructure: Globals"),
        (
            "layers/dependencies/requirements.txt",
            "fastapi==",
            "fastapi===",
            "dependencies: layers/dependencies/requirements.txt",
        ),
    ],
)  # fmt: skip
def test_a_source_that_changes_more_than_code_is_not_patched_and_says_what(
    syndi: Syndi, changed: Path, file: str, old: str, new: str, named: str
) -> None:
    replace(changed / file, old, new)
    push(syndi, changed, "test")
    before = health(syndi)
    record = syndi.fail(*TENANT, "--mode", "function")
    assert (record["failed_step"], record["error"]) == ("PatchFunction", "PatchRefused")
    assert named in record["reason"]
    assert "deploy in full" in record["reason"]
    assert health(syndi) == before


def test_an_application_that_generates_its_code_is_not_patched(syndi: Syndi) -> None:
    push(syndi, ALMANAC, "test")
    options = (*APPLICATION, "--mode", "function")
    refused = syndi.attempt("test", "patchy", *options)
    assert refused.exit_code == 2
    assert "almanac has no [package]" in refused.stdout


def test_deploy_only_brings_the_last_build_with_the_configuration_of_now(
    syndi: Syndi, patchy: dict[str, Any], changed: Path
) -> None:
    (changed / "config" / "test-patchy.json").write_text(
        json.dumps({"frontend": {"title": "Changed without a build"}})
    )
    replace(changed / "rawscribe" / "routes" / "health.py", '"degraded",', '"not built",')
    sha256 = push(syndi, changed, "test")
    record = syndi.deploy(*TENANT, "--mode", "deploy-only")
    assert "StartBuild" not in record["steps"]
    assert record["build"]["fingerprint"] == patchy["build"]["fingerprint"]
    assert (record["source"], record["config_source"]) == (patchy["source"], sha256)
    shown = syndi.ok("--local", "config", "show", *TENANT, "--json").json
    assert shown["content"]["frontend"]["title"] == "Changed without a build"
    uploaded = syndi.client("s3").get_object(Bucket=shown["bucket"], Key=shown["key"])["Body"]
    assert json.loads(uploaded.read())["frontend"]["title"] == "Changed without a build"


def test_a_tenant_that_was_never_built_is_not_deployed_without_a_build(
    syndi: Syndi, patchy: dict[str, Any]
) -> None:
    for mode, step in (("deploy-only", "FindBuild"), ("function", "CheckStack")):
        record = syndi.fail("test", "unbuilt", "--mode", mode)
        assert record["failed_step"] == step
        assert "deploy it in full first" in record["reason"]
