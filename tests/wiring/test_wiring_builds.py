"""The two CodeBuild projects: what the commands of an application, which run in one, may write."""

import pytest
from asl_graph import ROOT
from policy_rules import ARTIFACTS, PREFIXES, STACK, may
from sam_template import properties, role_statements

from control_plane import naming
from workers.build import BUILD_MINUTES

PROJECTS = {"BuildProject": "BuildRole", "OwnBuildProject": "OwnBuildRole"}
WHAT_IT_RUNS = [f"{ARTIFACTS}/{STACK}/builds/1/template.yaml", f"{ARTIFACTS}/cache/{STACK}/b.tar"]


@pytest.mark.parametrize("resource", WHAT_IT_RUNS)
@pytest.mark.parametrize("prefixes", [PREFIXES, ("control",)])
def test_an_applications_build_writes_nothing_that_the_control_plane_runs(
    resource: str, prefixes: tuple[str, ...]
) -> None:
    assert not may(role_statements("BuildRole"), "s3:PutObject", resource, prefixes)


@pytest.mark.parametrize("resource", WHAT_IT_RUNS)
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject"])
def test_the_control_planes_own_build_does(action: str, resource: str) -> None:
    assert may(role_statements("OwnBuildRole"), action, resource)


@pytest.mark.parametrize("place", ["rawscribe-dev-one/1", "cache/rawscribe-dev-one/1"])
def test_each_build_writes_its_own(place: str) -> None:
    resource = f"{ARTIFACTS}/{place}"
    assert may(role_statements("BuildRole"), "s3:PutObject", resource)
    assert not may(role_statements("OwnBuildRole"), "s3:PutObject", resource)


@pytest.mark.parametrize("role", PROJECTS.values())
def test_a_build_reads_sources_and_changes_none(role: str) -> None:
    source = f"{ARTIFACTS}/sources/1.zip"
    assert may(role_statements(role), "s3:GetObject", source)
    assert not may(role_statements(role), "s3:PutObject", source)


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"])
@pytest.mark.parametrize("role", PROJECTS.values())
def test_no_build_reads_what_a_tenant_took_along(role: str, action: str) -> None:
    exported = f"{ARTIFACTS}/{naming.export_prefix('rawscribe-dev-one', '1')}/users.json"
    assert not may(role_statements(role), action, exported)


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_has_a_role_and_a_log_of_its_own(project: str) -> None:
    assert properties(project)["ServiceRole"] == {"GetAtt": f"{PROJECTS[project]}.Arn"}
    group = properties(project)["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"]
    name = properties(project)["Name"]["Sub"]
    assert properties(group)["LogGroupName"]["Sub"] == f"/aws/codebuild/{name}"


@pytest.mark.parametrize("project", PROJECTS)
def test_a_build_ends_before_its_deployment_gives_up(project: str) -> None:
    assert properties(project)["TimeoutInMinutes"] == BUILD_MINUTES
    text = (ROOT / "state_machine.asl.json").read_text()
    assert "$millis() + 30 * 60000" in text
    assert BUILD_MINUTES + properties(project)["QueuedTimeoutInMinutes"] < 30
