"""The code worker: a patch, its refusals, the way back to the build's code, and drift."""

import io
import json
import zipfile

import pytest
import scripted_aws as scripted
import worker_builders as build
from function_calls import (
    BUILD,
    FILES,
    MANIFEST,
    NAME,
    PACKAGE,
    PACKAGE_KEY,
    Function,
    deployed,
    note,
    put,
    step,
)
from worker_builders import ARTIFACTS

from control_plane import aws, manifest
from control_plane.errors import PatchFailed, PatchRefused, ServiceBusy
from control_plane.models import Deployment
from control_plane.rules import patching
from workers import function_code

NEW = {**FILES, "code/main.py": "2", "config/stage.json": '{"a": 1}'}


@pytest.fixture
def function(script: scripted.Scripted) -> Function:
    return Function(script)


@pytest.fixture
def running(world: None) -> str:
    """The source that the tenant runs."""
    source = build.push_source(FILES)
    deployed(source)
    return source


def patch_of(files: dict[str, str] | None = None, number: int = 2) -> Deployment:
    """A patch of a source that is pushed."""
    source = build.push_source(files or NEW)
    return build.opened(
        build.deployment(
            number=number, source=source, mode="function", manifest=manifest.parse(MANIFEST)
        )
    )


# PatchFunction ------------------------------------------------------------------------------------


def test_a_patch_is_put_and_awaited_and_told_with_every_answer(
    running: str, function: Function
) -> None:
    made = patch_of()
    first = step(made, "PatchFunction")
    print_ = patching.fingerprint(made.source, BUILD)
    assert first["done"] is False
    (asked,) = function.updates
    assert asked["FunctionName"] == NAME
    assert (asked["S3Bucket"], asked["Publish"]) == (ARTIFACTS, False)
    assert asked["S3Key"] == f"notes-stage-alpha/patches/{print_}.zip"
    assert step(made, "PatchFunction") == first
    function.settles()
    last = step(made, "PatchFunction")
    assert last == {**first, "done": True}
    assert len(function.updates) == 1
    assert (last["build"]["fingerprint"], last["build"]["source"]) == (print_, made.source)
    assert last["stack"]["outputs"] == {"Url": "https://x"}
    assert last["config"] == {"sha256": "c1", "overrides_version": 2}
    assert last["patch"]["over"] == BUILD
    assert last["patch"]["code_sha256"] == function.state["CodeSha256"]
    assert note(made, "PatchFunction") == (
        f"{print_[:12]} over build {BUILD[:12]}; not applied: config/stage.json (deploy-only does)"
    )


def test_a_patchs_package_is_stamped_and_has_the_new_code(running: str, function: Function) -> None:
    made = patch_of()
    key = step(made, "PatchFunction")["patch"]["key"]
    body = aws.s3().get_object(Bucket=ARTIFACTS, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    stamp = json.loads(found.pop("notes/build.json"))
    assert found == {"notes/main.py": "2", "notes/generated": "x"}
    assert stamp == {
        "fingerprint": patching.fingerprint(made.source, BUILD),
        "source": made.source,
    }


def test_a_step_that_died_before_lambda_was_asked_asks_it(running: str, function: Function) -> None:
    made = patch_of()
    function.script.on(
        aws.lambda_(), "UpdateFunctionCode", scripted.failure("TooManyRequestsException")
    )
    with pytest.raises(ServiceBusy):
        step(made, "PatchFunction")
    function.script.on(aws.lambda_(), "UpdateFunctionCode", function._update)
    assert step(made, "PatchFunction")["done"] is False
    function.settles()
    assert step(made, "PatchFunction")["done"] is True


def test_a_function_that_is_being_updated_is_waited_for(running: str, function: Function) -> None:
    made = patch_of()
    function.state["LastUpdateStatus"] = "InProgress"
    assert step(made, "PatchFunction")["done"] is False
    assert function.updates == []
    function.settles()
    function.script.on(
        aws.lambda_(), "UpdateFunctionCode", scripted.failure("ResourceConflictException")
    )
    assert step(made, "PatchFunction")["done"] is False


def test_code_that_lambda_does_not_take_fails_with_its_reason(
    running: str, function: Function
) -> None:
    # The failure of an earlier update is not this one's.
    function.settles("Failed", LastUpdateStatusReason="an old one")
    made = patch_of()
    assert step(made, "PatchFunction")["done"] is False
    function.settles("Failed", LastUpdateStatusReason="the package is broken")
    with pytest.raises(PatchFailed, match="the package is broken"):
        step(made, "PatchFunction")


def test_a_function_that_is_gone_is_not_patched(running: str, function: Function) -> None:
    gone = scripted.failure("ResourceNotFoundException")
    function.script.on(aws.lambda_(), "GetFunctionConfiguration", gone)
    with pytest.raises(PatchFailed, match="does not exist any more"):
        step(patch_of(), "PatchFunction")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"requirements.txt": "a==2"}, "dependencies: requirements.txt"),
        (
            {"template.yaml": FILES["template.yaml"].replace("code/}", "code/, Timeout: 9}")},
            "infrastructure: Function",
        ),
        (
            {
                "template.yaml": FILES["template.yaml"].replace(
                    "code/}", "code/, Environment: {Variables: {LOG_LEVEL: x}}}"
                )
            },
            "environment variables: Function LOG_LEVEL",
        ),
    ],
)
def test_a_source_that_changes_more_than_code_is_refused_before_anything_happens(
    running: str, function: Function, change: dict[str, str], named: str
) -> None:
    made = patch_of({**NEW, **change})
    with pytest.raises(PatchRefused, match=f"{named}.*deploy in full"):
        step(made, "PatchFunction")
    assert function.updates == []
    assert "patch" not in build.record(made)


def test_a_tenant_that_has_nothing_deployed_is_not_patched(function: Function) -> None:
    with pytest.raises(PatchRefused, match="deploy it in full first"):
        step(patch_of(), "PatchFunction")


@pytest.mark.parametrize(
    "named",
    [{"Ref": "Function"}, {"Fn::GetAtt": ["Function", "Arn"]}, {"Fn::Sub": "${Function.Arn}"}],
)
def test_a_function_behind_an_alias_is_not_patched_since_the_patch_would_not_reach_it(
    running: str, function: Function, named: dict[str, object]
) -> None:
    live = {"Type": "AWS::Lambda::Alias", "Properties": {"Name": "live", "FunctionName": named}}
    resources = {"Function": {"Properties": {"Code": function.code}}, "FunctionAliaslive": live}
    function.script.on(
        aws.cloudformation(), "GetTemplate", {"TemplateBody": {"Resources": resources}}
    )
    made = patch_of()
    with pytest.raises(PatchRefused, match="Function is called by its alias live"):
        step(made, "PatchFunction")
    assert function.updates == []
    assert "patch" not in build.record(made)


def test_an_alias_of_another_function_is_no_obstacle(running: str, function: Function) -> None:
    live = {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Other"}}}
    resources = {"Function": {"Properties": {"Code": function.code}}, "Alias": live}
    function.script.on(
        aws.cloudformation(), "GetTemplate", {"TemplateBody": {"Resources": resources}}
    )
    assert step(patch_of(), "PatchFunction")["done"] is False


def test_a_stack_that_a_failed_deployment_left_with_other_code_is_not_patched(
    running: str, function: Function
) -> None:
    put("notes-stage-alpha/other", PACKAGE)
    function.code = {"S3Bucket": ARTIFACTS, "S3Key": "notes-stage-alpha/other"}
    with pytest.raises(PatchRefused, match="does not run the last good build"):
        step(patch_of(), "PatchFunction")


# ReconcileFunction --------------------------------------------------------------------------------


def test_a_function_with_the_stacks_code_is_left_as_it_is(running: str, function: Function) -> None:
    made = build.opened(build.deployment(number=2, source=running))
    assert step(made, "ReconcileFunction") == {"done": True}
    assert note(made, "ReconcileFunction") == "as the stack's template says"
    assert function.updates == []


@pytest.mark.parametrize("recorded", [True, False])
def test_other_code_is_put_back_and_the_history_says_what_it_was(
    world: None, function: Function, recorded: bool
) -> None:
    patched = function_code.sha256(b"patched")
    patch = {"code_sha256": patched, "deployment": "d7", "at": "2026-11-22T12:00:00.000+00:00"}
    source = build.push_source(FILES)
    deployed(source, **({"patch": patch} if recorded else {}))
    function.state["CodeSha256"] = patched
    made = build.opened(build.deployment(number=2, source=source))
    assert step(made, "ReconcileFunction") == {"done": False}
    (asked,) = function.updates
    assert (asked["S3Bucket"], asked["S3Key"]) == (ARTIFACTS, PACKAGE_KEY)
    assert step(made, "ReconcileFunction") == {"done": False}
    function.settles()
    assert step(made, "ReconcileFunction") == {"done": True}
    assert len(function.updates) == 1
    was = (
        "patched by deployment d7 at 2026-11-22T12:00:00, recorded"
        if recorded
        else "changed past the control plane"
    )
    assert note(made, "ReconcileFunction") == f"put back: it had been {was}"
    assert build.record(made)["reconciled"]["found"] == patched


def test_a_template_that_names_no_package_is_not_compared(running: str, function: Function) -> None:
    function.code = {"ZipFile": "x"}
    made = build.opened(build.deployment(number=2, source=running))
    assert step(made, "ReconcileFunction") == {"done": True}
    assert "names no package" in note(made, "ReconcileFunction")


# CheckFunction ------------------------------------------------------------------------------------


def test_a_function_as_the_stack_has_it_is_no_drift(running: str, function: Function) -> None:
    made = build.opened(build.deployment(number=2, source=running, mode="drift"))
    assert step(made, "CheckFunction") == {"drift": {"findings": []}, "done": True}


def test_other_code_is_drift_with_what_a_deployment_would_do(
    world: None, function: Function
) -> None:
    patched = function_code.sha256(b"patched")
    patch = {"code_sha256": patched, "deployment": "d7", "at": "2026-11-22T12:00:00.000+00:00"}
    source = build.push_source(FILES)
    deployed(source, patch=patch)
    for live, detail in (
        (patched, "patched by deployment d7 at 2026-11-22T12:00:00, recorded"),
        (function_code.sha256(b"by hand"), "changed past the control plane"),
    ):
        function.state["CodeSha256"] = live
        made = build.opened(build.deployment(number=3, source=source, mode="drift"))
        (finding,) = step(made, "CheckFunction")["drift"]["findings"]
        assert finding == {
            "kind": "function",
            "resource": "Function",
            "detail": detail,
            "deployment_would": "put the build's code back",
        }
    assert function.updates == []


def test_a_function_that_is_gone_is_drift(running: str, function: Function) -> None:
    gone = scripted.failure("ResourceNotFoundException")
    function.script.on(aws.lambda_(), "GetFunctionConfiguration", gone)
    made = build.opened(build.deployment(number=2, source=running, mode="drift"))
    (finding,) = step(made, "CheckFunction")["drift"]["findings"]
    assert finding["detail"] == "does not exist any more"
