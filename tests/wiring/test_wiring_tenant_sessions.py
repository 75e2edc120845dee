"""A worker reaches a tenant's resources only in a session that is tagged as that tenant's.

What it names may come from an output of the tenant's stack, which can name anybody's. So whatever
its code does, IAM lets it touch that one tenant, and its own role none.
"""

import pytest
from asl_graph import Json
from aws_calls import own_actions, tenant_actions
from policy_rules import ARTIFACTS, PREFIXES, STACK, filled, holds, tagged_may
from sam_template import (
    listed,
    properties,
    role_statements,
    statements,
    tenant_role,
    worker_functions,
)
from test_wiring_policies import called_from

from control_plane import naming
from control_plane.models import Env, Tenant

ACCOUNT = "123456789012"
HERE = f"us-east-1:{ACCOUNT}"
WORKERS = [name for name in worker_functions() if tenant_role(name)]
NEIGHBOURS = [
    Tenant(application="rawscribe", env=Env.DEV, org="victim"),
    Tenant(application="rawscribe", env=Env.PROD, org="lab"),
    Tenant(application="rawscribe", env=Env.DEV, org="lab2"),
    Tenant(application="rawscribe", env=Env.DEV, org="other-lab"),
    Tenant(application="syndi-frontend", env=Env.DEV, org="lab"),
]
OWN = Tenant(application="rawscribe", env=Env.DEV, org="lab")
STRANGER = "<StrangerPool.Arn>"

NOT_A_CALL = {
    "secretsmanager:TagResource": "checked when a secret is created with tags",
    "s3:ListBucket": "without it S3 answers 403 instead of 404",
    "s3:GetObjectVersion": "checked when a version is named",
    "s3:GetObject": "Lambda fetches a package in the caller's name",
}
IN_ITS_OWN_ROLE = {
    ("VerifyFunction", "s3:ListBucket"): "of a stack's own buckets: which key a stranger could read"
}
"""What a worker does with tenants' resources outside a session, and why."""


def session_of(tenant: Tenant) -> dict[str, str]:
    return naming.owner_tags(tenant.stack_name)


def role_of(function: str) -> str:
    role = tenant_role(function)
    assert role
    return role


def allowed_in_sessions(function: str) -> set[str]:
    allowed = [s for s in role_statements(role_of(function)) if s["Effect"] == "Allow"]
    return {action for s in allowed for action in listed(s["Action"])}


def resources_of(tenant: Tenant, action: str) -> list[tuple[str, dict[str, str]]]:
    """A tenant's resources that an action could be on, with their tags."""
    tags, of = session_of(tenant), f"{tenant.env}-{tenant.org}"
    match action.partition(":")[0]:
        case "cognito-idp":
            return [(f"arn:aws:cognito-idp:{HERE}:userpool/us-east-1_{tenant.org}", tags)]
        case "secretsmanager":
            at = f"arn:aws:secretsmanager:{HERE}:secret:{naming.secret_prefix(tenant)}"
            return [(f"{at}admin/a@example.org-1x2y3z", tags)]
        case "lambda":
            at = f"arn:aws:lambda:{HERE}:function"
            names = (f"{tenant.stack_name}-backend", f"{tenant.application}-notes-{of}")
            return [(f"{at}:{name}{q}", tags) for name in names for q in ("", ":live", ":7")]
        case "s3":
            at = f"arn:aws:s3:::{tenant.application}-lambda-{of}-{ACCOUNT}"
            # A bucket's tags are in no request's context.
            return [(at, {}), (f"{at}/config.json", {})]
    raise AssertionError(action)


def test_the_workers_that_follow_outputs_have_tenant_roles() -> None:
    assert set(WORKERS) == {"AdminFunction", "CodeFunction", "ConfigFunction", "VerifyFunction"}


@pytest.mark.parametrize("function", WORKERS)
def test_a_session_reaches_what_is_its_tenants(function: str) -> None:
    may = role_statements(role_of(function))
    package = f"{ARTIFACTS}/{OWN.stack_name}/patches/1.zip"
    for action in allowed_in_sessions(function):
        own = resources_of(OWN, action)
        if function == "CodeFunction" and action.startswith("s3:"):
            own = [(package, {})]
        assert any(tagged_may(may, action, arn, session_of(OWN), tags) for arn, tags in own), action


@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda tenant: tenant.stack_name)
@pytest.mark.parametrize("function", WORKERS)
def test_a_session_reaches_nothing_of_a_neighbour(function: str, neighbour: Tenant) -> None:
    for action in allowed_in_sessions(function):
        for arn, tags in resources_of(neighbour, action):
            may = role_statements(role_of(function))
            assert not tagged_may(may, action, arn, session_of(OWN), tags), (action, arn)


@pytest.mark.parametrize("function", WORKERS)
def test_a_function_of_a_neighbour_with_a_longer_name_is_kept_out_by_its_tag(function: str) -> None:
    """And what has no tag at all is nobody's: a pool, or a function that is to be changed."""
    longer = Tenant(application="rawscribe", env=Env.DEV, org="lab-2")
    may = role_statements(role_of(function))
    for action in allowed_in_sessions(function):
        if action.startswith("s3:"):
            continue  # SECURITY.md says what of such names is not defended
        for arn, tags in resources_of(longer, action):
            assert not tagged_may(may, action, arn, session_of(OWN), tags), (action, arn)
        for arn, _ in resources_of(OWN, action):
            if action.startswith("cognito-idp:") or action == "lambda:UpdateFunctionCode":
                assert not tagged_may(may, action, arn, session_of(OWN)), (action, arn)


@pytest.mark.parametrize("function", WORKERS)
def test_a_key_in_a_neighbours_bucket_that_looks_like_an_own_one_is_not_reached(
    function: str,
) -> None:
    key = f"arn:aws:s3:::rawscribe-eln-dev-victim-{ACCOUNT}/x-dev-lab-{ACCOUNT}/1"
    may = role_statements(role_of(function))
    for action in ("s3:GetObject", "s3:PutObject"):
        assert not tagged_may(may, action, key, session_of(OWN))
        assert not tagged_may(may, action, f"{ARTIFACTS}/sources/1.zip", session_of(OWN))


@pytest.mark.parametrize("function", WORKERS)
def test_a_worker_by_itself_reaches_no_tenant(function: str) -> None:
    """Neither by its name nor by its tag: its own role has none of the session's actions."""
    for action in allowed_in_sessions(function) - {"s3:GetObjectVersion"}:
        if (function, action) in IN_ITS_OWN_ROLE:
            continue
        for tenant in (OWN, *NEIGHBOURS):
            for arn, tags in resources_of(tenant, action):
                assert not tagged_may(statements(function), action, arn, {}, tags), (action, arn)


def test_an_exception_is_still_one() -> None:
    for function, action in IN_ITS_OWN_ROLE:
        arns = [arn for arn, _ in resources_of(OWN, action)]
        assert any(tagged_may(statements(function), action, arn, {}) for arn in arns)


def test_only_the_test_worker_reaches_the_strangers_pool() -> None:
    for function in WORKERS:
        for action in ("cognito-idp:AdminCreateUser", "cognito-idp:AdminInitiateAuth"):
            may = role_statements(role_of(function))
            reached = tagged_may(may, action, STRANGER, session_of(OWN), {"syndi:stack": STACK})
            assert reached == (function == "VerifyFunction")


# Who may open a session ---------------------------------------------------------------------------


def trust_of(function: str) -> Json:
    (statement,) = properties(role_of(function))["AssumeRolePolicyDocument"]["Statement"]
    return dict(statement)


@pytest.mark.parametrize("function", WORKERS)
def test_a_tenant_role_is_assumed_by_its_worker_alone(function: str) -> None:
    trust = trust_of(function)
    assert trust["Principal"] == {"AWS": {"GetAtt": f"{function}Role.Arn"}}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    path = filled(properties(role_of(function))["Path"], PREFIXES)
    for other in WORKERS:
        role = f"arn:aws:iam::{ACCOUNT}:role{path}{STACK}-{role_of(function)}-1X2Y"
        may = tagged_may(statements(other), "sts:AssumeRole", role, {})
        assert may == (other == function)


@pytest.mark.parametrize("function", WORKERS)
def test_a_session_needs_all_three_tags_and_no_other(function: str) -> None:
    def opened(tags: dict[str, str]) -> bool:
        return holds(trust_of(function)["Condition"], {"aws:RequestTag": tags})

    assert opened(session_of(OWN))
    assert opened(session_of(NEIGHBOURS[-1]))
    for missing in session_of(OWN):
        assert not opened({k: v for k, v in session_of(OWN).items() if k != missing})
    assert not opened({**session_of(OWN), "syndi:stack": STACK})
    assert not opened({**session_of(OWN), "owner": "somebody"})


# What is called in a session and what is allowed in it --------------------------------------------


@pytest.mark.parametrize("function", worker_functions())
def test_a_worker_makes_the_calls_of_its_sessions_and_no_others(function: str) -> None:
    paths = called_from(function)
    called = {action for path in paths for action in tenant_actions(path)}
    allowed = allowed_in_sessions(function) if tenant_role(function) else set()
    assert called - allowed == set()
    assert allowed - called - set(NOT_A_CALL) == set()


@pytest.mark.parametrize("function", WORKERS)
def test_what_a_worker_does_to_tenants_it_does_in_a_session(function: str) -> None:
    changing = ("cognito-idp:Admin", "lambda:Update", "secretsmanager:", "s3:PutBucket")
    called = {action for path in called_from(function) for action in own_actions(path)}
    assert [action for action in sorted(called) if action.startswith(changing)] == []
