"""The boundary of the tenants' roles: what is their own tenant's, and nothing of a neighbour's.

The laptop's AWS keeps no boundary on the roles of a stack, so it is evaluated here.
"""

import json

import pytest
from asl_graph import Json
from policy_rules import ARTIFACTS, tagged_may
from sam_template import properties

from control_plane import naming
from control_plane.models import Env, Tenant
from control_plane.rules.ownership import Ownership, Whose

ACCOUNT = "123456789012"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table"
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
    """Whether the boundary lets a role with these tags do that."""
    return tagged_may(statements(), action, resource, role, resource_tags)


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
