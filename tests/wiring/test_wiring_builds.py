"""The CodeBuild projects: what the commands of an application, which run in one, can reach."""

import itertools

import pytest
from asl_graph import ROOT
from policy_rules import ARTIFACTS, PREFIXES, STACK, may
from sam_template import properties, role_statements, statements

from control_plane import naming
from control_plane.models import Env, Tenant
from workers.build import BUILD_MINUTES

ROLES = {env: f"{env.capitalize()}BuildRole" for env in Env}
PROJECTS = {f"{env.capitalize()}BuildProject": role for env, role in ROLES.items()}
PROJECTS["OwnBuildProject"] = "OwnBuildRole"
SHA256 = "5" * 64
READS = ("s3:GetObject", "s3:GetObjectVersion")
WRITES = "s3:PutObject"


def tenant(env: Env, application: str = "rawscribe") -> Tenant:
    return Tenant(application=application, env=env, org="one")


def places(of: Tenant) -> list[str]:
    """What a build of a tenant's environment puts into the artifact bucket."""
    found = [f"{naming.build_output(of, SHA256)}/template.yaml"]
    for per_tenant in (True, False):
        found.append(f"{naming.build_cache(of, per_tenant=per_tenant)}/cache.tar.gz")
    return [f"{ARTIFACTS}/{key}" for key in found]


def source(env: str) -> str:
    return f"{ARTIFACTS}/{naming.source_key(env, SHA256)}"


OWN = Tenant(application="control-plane", env=Env.PROD, org="main")
DEPLOYED = [
    f"{ARTIFACTS}/{naming.build_prefix('rawscribe-dev-one', SHA256)}/template.yaml",
    f"{ARTIFACTS}/rawscribe-dev-one/c0de",
    f"{ARTIFACTS}/{naming.kept_source_key('rawscribe-dev-one', SHA256)}",
    f"{ARTIFACTS}/{naming.patch_key('rawscribe-dev-one', SHA256)}",
    f"{ARTIFACTS}/{naming.export_prefix('rawscribe-dev-one', '1')}/users.json",
    f"{ARTIFACTS}/{STACK}/builds/1/template.yaml",
]


@pytest.mark.parametrize("env", Env)
def test_a_build_reads_the_sources_and_writes_the_artifacts_of_its_environment(env: Env) -> None:
    allowed = role_statements(ROLES[env])
    assert all(may(allowed, action, source(env)) for action in READS)
    assert not may(allowed, WRITES, source(env))
    for place, action in itertools.product(places(tenant(env)), (*READS, WRITES)):
        assert may(allowed, action, place), place


@pytest.mark.parametrize(("env", "other"), list(itertools.permutations(Env, 2)))
def test_a_build_reaches_nothing_of_another_environment(env: Env, other: Env) -> None:
    """Whoever may push for dev could otherwise change what prod runs."""
    allowed = role_statements(ROLES[env])
    there = [source(other), *places(tenant(other))]
    for place, action in itertools.product(there, (*READS, WRITES)):
        assert not may(allowed, action, place), f"{action} {place}"


@pytest.mark.parametrize("role", PROJECTS.values())
@pytest.mark.parametrize("prefixes", [PREFIXES, ("control",), ("builds", "cache", "sources")])
def test_no_build_reaches_what_is_deployed_or_what_a_tenant_took_along(
    role: str, prefixes: tuple[str, ...]
) -> None:
    for place, action in itertools.product(DEPLOYED, (*READS, WRITES)):
        assert not may(role_statements(role), action, place, prefixes), f"{action} {place}"


@pytest.mark.parametrize("role", PROJECTS.values())
def test_no_build_sees_the_names_of_other_tenants(role: str) -> None:
    assert not may(role_statements(role), "s3:ListBucket", ARTIFACTS)


@pytest.mark.parametrize("env", Env)
def test_an_applications_build_writes_nothing_that_the_control_plane_runs(env: Env) -> None:
    for place, action in itertools.product(places(OWN), (*READS, WRITES)):
        assert not may(role_statements(ROLES[env]), action, place)


def test_the_control_planes_own_build_writes_its_own_and_no_applications() -> None:
    allowed = role_statements("OwnBuildRole")
    for place, action in itertools.product(places(OWN), (*READS, WRITES)):
        assert may(allowed, action, place)
    for env in Env:
        assert not any(may(allowed, WRITES, place) for place in [*places(tenant(env)), source(env)])


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_has_a_role_and_a_log_of_its_own(project: str) -> None:
    assert properties(project)["ServiceRole"] == {"GetAtt": f"{PROJECTS[project]}.Arn"}
    group = properties(project)["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"]
    name = properties(project)["Name"]["Sub"]
    assert properties(group)["LogGroupName"]["Sub"] == f"/aws/codebuild/{name}"
    for other in set(PROJECTS.values()) - {PROJECTS[project]}:
        assert group not in str(role_statements(other))


def test_the_worker_starts_each_environments_builds_in_its_own_project() -> None:
    given = properties("BuildFunction")["Environment"]["Variables"]["BUILD_PROJECTS"]
    projects = [item["Ref"] for item in given["Join"][1]]
    for env in Env:
        (found,) = (p for p in projects if properties(p)["Name"]["Sub"].endswith(f"-{env}"))
        assert PROJECTS[found] == ROLES[env]


def test_only_the_worker_copies_a_build_to_a_tenant() -> None:
    copy = DEPLOYED[0]
    assert may(statements("BuildFunction"), WRITES, copy)
    assert may(statements("BuildFunction"), WRITES, DEPLOYED[-1])


def test_cloudformation_reads_a_tenants_copy_and_nothing_that_a_build_can_write() -> None:
    allowed = role_statements("CloudFormationRole")
    assert may(allowed, "s3:GetObject", DEPLOYED[1])
    forbidden = [source("dev"), *places(tenant(Env.DEV)), *places(OWN), DEPLOYED[2], DEPLOYED[4]]
    assert [place for place in forbidden if may(allowed, "s3:GetObject", place)] == []


@pytest.mark.parametrize("project", PROJECTS)
def test_a_build_ends_before_its_deployment_gives_up(project: str) -> None:
    assert properties(project)["TimeoutInMinutes"] == BUILD_MINUTES
    text = (ROOT / "state_machine.asl.json").read_text()
    assert "$millis() + 30 * 60000" in text
    assert BUILD_MINUTES + properties(project)["QueuedTimeoutInMinutes"] < 30


def test_who_may_push_for_one_environment_can_be_told_from_the_path() -> None:
    """A policy on execute-api sees method and path, and no body."""
    document = properties("Api")["DefinitionBody"]["paths"]
    pushes = [path for path, methods in document.items() if "put" in methods and "sources" in path]
    assert sorted(pushes) == [
        "/control-plane/sources/{sha256}",
        "/envs/{env}/sources/{sha256}",
        "/sources/{sha256}",  # of an earlier release's trial, and refused for all else
    ]


def test_builds_of_the_release_before_this_one_end_in_its_project() -> None:
    """A deployment that builds while the control plane is updated would otherwise fail. Goes with
    BuildProject, BuildLogs and BuildRole, in the release after this one."""
    project = properties("BuildProject")
    assert project["Name"]["Sub"] == "${AWS::StackName}-build"
    assert project["ServiceRole"] == {"GetAtt": "BuildRole.Arn"}
    assert project["LogsConfig"]["CloudWatchLogs"]["GroupName"] == {"Ref": "BuildLogs"}
    allowed = role_statements("BuildRole")
    assert may(allowed, READS[0], f"{ARTIFACTS}/sources/{SHA256}.zip")
    of_then = ("rawscribe-dev-one/builds/1/template.yaml", "cache/rawscribe-dev-one/cache.tar.gz")
    for key in of_then:
        assert may(allowed, WRITES, f"{ARTIFACTS}/{key}"), key
    for place in [*places(OWN), *(one for env in Env for one in places(tenant(env)))]:
        assert not may(allowed, WRITES, place), place


def test_no_new_build_is_started_in_the_project_of_the_release_before() -> None:
    """Its role reaches what is deployed in every environment."""
    named = str(properties("BuildFunction"))
    assert "'DevBuildProject" in named
    assert "'BuildProject" not in named
