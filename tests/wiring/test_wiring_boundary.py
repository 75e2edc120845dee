"""The boundary of the tenants' roles: what is their own tenant's, and nothing of a neighbour's.

The laptop's AWS keeps no boundary on the roles of a stack, so it is evaluated here.
"""

import json
import re
from fnmatch import fnmatchcase

import pytest
from asl_graph import Json
from policy_rules import ARTIFACTS, PREFIXES, filled
from sam_template import listed, properties

from control_plane import naming
from control_plane.models import Env, Tenant
from control_plane.rules.ownership import Ownership, Whose

ACCOUNT = "123456789012"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table"
_VARIABLE = re.compile(r"\$\{!?aws:PrincipalTag/([\w:]+)\}")  # in a Sub, `!` keeps it
_MANAGED_POLICY_SIZE = 6144
"""Characters without white space (IAM quotas)."""


def tags(org: str = "lab", application: str = "rawscribe") -> dict[str, str]:
    """The tags of a tenant's role: its stack's."""
    tenant = Tenant(application=application, env=Env.DEV, org=org)
    return naming.owner_tags(tenant.stack_name)


def statements() -> list[Json]:
    found: list[Json] = properties("TenantBoundary")["PolicyDocument"]["Statement"]
    return found


def allows(
    action: str, resource: str, role: dict[str, str], resource_tags: dict[str, str] | None = None
) -> bool:
    """Whether the boundary lets a role with these tags do that (IAM user guide, evaluation)."""
    effects = {
        s["Effect"]
        for s in statements()
        if any(fnmatchcase(action, pattern) for pattern in listed(s["Action"]))
        and any(_matches(pattern, resource, role) for pattern in _resources(s))
        and _holds(s.get("Condition", {}), role, resource_tags or {})
    }
    return effects == {"Allow"}


def _resources(statement: Json) -> list[str]:
    # A list of intrinsic functions, or one that makes a list.
    return [text for given in listed(statement["Resource"])
            for text in listed(filled(given, PREFIXES))]  # fmt: skip


def _matches(pattern: str, resource: str, role: dict[str, str]) -> bool:
    filled = _with_tags(pattern, role)
    return filled is not None and fnmatchcase(resource, filled)


def _with_tags(text: str, role: dict[str, str]) -> str | None:
    """The text with its policy variables filled in; None where one of the tags is missing."""
    if any(name not in role for name in _VARIABLE.findall(text)):
        return None
    return _VARIABLE.sub(lambda found: role[found[1]], text)


def _holds(condition: Json, role: dict[str, str], resource_tags: dict[str, str]) -> bool:
    def value(key: str) -> str | None:
        kind, _, name = key.partition("/")
        return {"aws:PrincipalTag": role, "aws:ResourceTag": resource_tags}[kind].get(name)

    for operator, keys in condition.items():
        for key, wanted in keys.items():
            match operator:
                case "Null":
                    held = (value(key) is None) == (wanted == "true")
                case "StringEquals":
                    held = value(key) is not None and value(key) == _with_tags(wanted, role)
                case "StringNotEquals":
                    held = value(key) != _with_tags(wanted, role)
                case _:
                    raise AssertionError(operator)
            if not held:
                return False
    return True


OWN = [
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-eln-drafts-dev-lab-{ACCOUNT}/drafts/1.json"),
    ("s3:PutObject", f"arn:aws:s3:::rawscribe-eln-dev-lab-{ACCOUNT}/elns/1.json"),
    ("s3:ListBucket", f"arn:aws:s3:::rawscribe-lambda-dev-lab-{ACCOUNT}"),
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-dev-lab-config-{ACCOUNT}/config.json"),
    ("s3:GetObject", "arn:aws:s3:::rawscribe-dev-lab-bucket-1x2y3z/key"),  # CloudFormation's name
    ("dynamodb:Query", f"{TABLE}/rawscribe-dev-lab"),
    ("dynamodb:Query", f"{TABLE}/rawscribe-dev-lab-Table-1X/index/by-day"),
    ("dynamodb:GetItem", f"{TABLE}/rawscribe-items-dev-lab"),
]
OTHERS = [
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-eln-dev-victim-{ACCOUNT}/elns/1.json"),
    ("s3:PutObject", f"arn:aws:s3:::rawscribe-eln-dev-victim-{ACCOUNT}/x-dev-lab-{ACCOUNT}/1"),
    ("s3:ListBucket", f"arn:aws:s3:::rawscribe-eln-prod-lab-{ACCOUNT}"),
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-eln-dev-lab2-{ACCOUNT}/1"),
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-eln-dev-lab-2-{ACCOUNT}/1"),
    ("s3:GetObject", "arn:aws:s3:::rawscribe-drafts-dev-other-lab/1"),
    ("s3:ListBucket", "arn:aws:s3:::rawscribe-drafts-dev-other-lab"),
    ("s3:GetObject", f"arn:aws:s3:::rawscribe-drafts-dev-other-lab-{ACCOUNT}/1"),
    ("s3:GetObject", f"arn:aws:s3:::almanac-data-dev-lab-{ACCOUNT}/1"),
    ("s3:GetObject", f"{ARTIFACTS}/rawscribe-dev-lab/builds/1/template.yaml"),
    ("dynamodb:GetItem", f"{TABLE}/rawscribe-dev-victim"),
    ("dynamodb:GetItem", f"{TABLE}/rawscribe-dev-lab2"),
    ("dynamodb:GetItem", f"{TABLE}/control-plane-prod-main-history"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:syndi/x"),
    ("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rawscribe-dev-victim"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/rawscribe-dev-lab-role"),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/rawscribe-dev-victim-role"),
]


@pytest.mark.parametrize(("action", "resource"), OWN)
def test_a_role_reaches_its_own_tenants_buckets_and_tables(action: str, resource: str) -> None:
    assert allows(action, resource, tags())
    assert allows(action, resource, tags(), {"syndi:stack": "rawscribe-dev-lab"})


@pytest.mark.parametrize(("action", "resource"), OTHERS)
def test_a_role_reaches_nothing_of_a_neighbour(action: str, resource: str) -> None:
    assert not allows(action, resource, tags())


BUCKETS = [
    f"rawscribe-eln-dev-lab-{ACCOUNT}", f"rawscribe-eln-drafts-dev-lab-{ACCOUNT}",
    f"rawscribe-x-webdev-dev-lab-{ACCOUNT}", f"rawscribe-dev-lab-{ACCOUNT}",
    "rawscribe-dev-lab-files", "rawscribe-dev-lab-dev-x", "rawscribe-drafts-dev-lab",
    "rawscribe-drafts-dev-lab-files", f"rawscribe-drafts-dev-lab-{ACCOUNT}-files",
    "rawscribe-drafts-dev-other-lab", f"rawscribe-drafts-dev-other-lab-{ACCOUNT}",
    f"rawscribe-drafts-dev-lab-2-{ACCOUNT}", f"rawscribe-drafts-dev-lab2-{ACCOUNT}",
    f"rawscribe-drafts-prod-lab-{ACCOUNT}", f"rawscribe-prod-dev-lab-{ACCOUNT}",
    f"rawscribe-eln-prod-x-dev-lab-{ACCOUNT}", f"rawscribe-eln-dev-x-dev-lab-{ACCOUNT}",
    f"syndi-frontend-dev-lab-{ACCOUNT}", f"almanac-data-dev-lab-{ACCOUNT}", "ledger",
    f"rawscribe2-data-dev-lab-{ACCOUNT}", f"lab-{ACCOUNT}", "rawscribe-dev-lab",
]  # fmt: skip


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("org", ["lab", "x-dev-lab", "dev-lab", "other-lab", "lab-2"])
def test_a_policy_is_accepted_for_exactly_the_buckets_that_the_boundary_allows(
    bucket: str, org: str
) -> None:
    """Otherwise a tenant is green on a laptop, and its role is denied its bucket on AWS."""
    owner = Ownership(Tenant(application="rawscribe", env=Env.DEV, org=org), ACCOUNT)
    if bucket.startswith(f"rawscribe-dev-{org}-"):
        return  # behind the stack's name the boundary also allows what may be a longer org's
    for arn in (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/drafts/1.json"):
        is_accepted = owner.of_arn(arn) is Whose.OWN and owner.is_within_boundary(arn)
        assert allows("s3:GetObject", arn, tags(org)) == is_accepted, arn


def test_a_neighbour_whose_name_begins_alike_is_kept_out_by_its_tag() -> None:
    """`lab-2` in names that begin with the stack's: they could be `lab`'s own."""
    table = f"{TABLE}/rawscribe-dev-lab-2-Table-1X"
    assert not allows("dynamodb:GetItem", table, tags(), {"syndi:stack": "rawscribe-dev-lab-2"})
    assert allows("dynamodb:GetItem", table, tags("lab-2"), {"syndi:stack": "rawscribe-dev-lab-2"})


def test_a_table_of_any_name_is_reached_by_its_tag() -> None:
    table = f"{TABLE}/ledger"
    assert allows("dynamodb:GetItem", table, tags(), {"syndi:stack": "rawscribe-dev-lab"})
    assert not allows("dynamodb:GetItem", table, tags(), {"syndi:stack": "rawscribe-dev-victim"})
    assert not allows("dynamodb:GetItem", table, tags())


def test_a_role_from_before_these_tags_runs_on_until_its_next_deployment() -> None:
    before = {"syndi:stack": "rawscribe-dev-lab"}
    assert allows("s3:GetObject", f"arn:aws:s3:::rawscribe-eln-dev-lab-{ACCOUNT}/1", before)
    assert not allows("s3:GetObject", f"{ARTIFACTS}/sources/1.zip", before)


def test_the_boundary_is_small_enough_for_twenty_prefixes() -> None:
    document = json.dumps(properties("TenantBoundary")["PolicyDocument"], separators=(",", ":"))
    more = 20 * (len("arn:aws:s3:::-*,") + len("arn:aws:dynamodb:*:*:table/-*,") + 2 * 20)
    assert len(document) + more < _MANAGED_POLICY_SIZE


@pytest.mark.parametrize(
    ("stack", "application", "tenant"),
    [
        ("rawscribe-dev-lab", "rawscribe", "dev-lab"),
        ("syndi-trial-stage-lab-2", "syndi-trial", "stage-lab-2"),
        ("notes-prod-x-dev-lab", "notes", "prod-x-dev-lab"),
    ],
)
def test_the_tags_say_whose_a_stack_is(stack: str, application: str, tenant: str) -> None:
    assert naming.owner_tags(stack) == {
        "syndi:stack": stack, "syndi:application": application, "syndi:tenant": tenant,
    }  # fmt: skip
