"""Whose a name is: nothing of a neighbour's may become a tenant's own, and no tenant may become
undeployable by how its neighbours are called.

The tenant is `lab` of `notes` in stage, or where it says so of another environment.
"""

import time
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from isolated_templates import ACCOUNT, findings, function, owner, resolved, role, tenant

from control_plane import naming
from control_plane.models import Env, JsonObject, Tenant
from control_plane.rules.ownership import Ownership, Whose
from control_plane.rules.template_values import NAME_PROPERTIES

HERE = f"us-east-1:{ACCOUNT}"
PREFIXES = (tenant("lab-backend"), tenant("lab-userpool"), tenant("lab-2"))
APPLICATIONS = tuple(tenant(application=name) for name in ("deps", "api", "backend", "data"))

# What is a neighbour's ----------------------------------------------------------------------------

NEIGHBOURS = [
    # A neighbour whose organization goes on from the tenant's.
    (PREFIXES, "notes-stage-lab-backend"),
    (PREFIXES, "notes-stage-lab-backend-Table-1XYZ"),
    (PREFIXES, "notes-jobs-stage-lab-2"),
    (PREFIXES, "x/notes-stage-lab-backend/y"),
    (PREFIXES, "/notes/stage/lab-2/db"),
    # One of the same organization in an application whose name begins as the tenant's, or in which
    # the tenant's stands.
    ((tenant(application="notes-two"),), "notes-two-stage-lab"),
    ((tenant(application="notes-two"),), "notes-two-data-stage-lab"),
    ((tenant(application="my-notes"),), "my-notes-data-stage-lab"),
    ((tenant(application="deps"),), "deps-notes-stage-lab"),
    ((tenant(application="deps"),), "deps-stage-lab-layer"),
    ((tenant(application="deps"),), "deps/stage/lab/key"),
    # One in another environment, in whose name the tenant's can be read.
    ((tenant("x-stage-lab", "prod"),), "notes-items-prod-x-stage-lab"),
    ((tenant("x-stage-lab", "prod"),), f"notes-data-prod-x-stage-lab-{ACCOUNT}"),
    # Names that can be read as nobody's but theirs, with any prefix and separator.
    ((tenant("victim"),), "acme-notes-stage-victim-files"),
    ((tenant("victim"),), "/notes/stage/victim/db-password"),
    ((tenant("victim"),), "notes_stage_victim"),
    ((tenant("victim"),), "s3://bucket/notes-stage-victim/x"),
    # Of this application, also where no such tenant is known.
    ((), "notes-data-stage-lab2"),
    ((), "notes-stage-victim"),
    ((), "notes-data-prod-lab"),
    ((), f"notes-data-prod-x-stage-lab-{ACCOUNT}"),  # a bucket, by its pattern
]


@pytest.mark.parametrize(("neighbours", "name"), NEIGHBOURS, ids=str)
def test_what_is_a_neighbours_is_refused(neighbours: Any, name: str) -> None:
    """As a text, and in a policy: a tenant would read a neighbour's data."""
    environment = function(Environment={"Variables": {"TABLE": name}})
    assert findings(environment, neighbours=neighbours)
    assert owner(neighbours=neighbours).of_name(name) is Whose.FOREIGN


GIVEN_BY_ANOTHER_KIND: JsonObject = {
    "Own": {
        "Type": "AWS::Lambda::Function",
        "Properties": {"FunctionName": "notes-stage-lab-backend"},
    }
}


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:dynamodb:{HERE}:table/notes-stage-lab-backend",
        f"arn:aws:lambda:{HERE}:layer:notes-stage-lab-backend:1",
        f"arn:aws:lambda:{HERE}:function:notes-stage-lab-backend*",
        f"arn:aws:lambda:{HERE}:function:notes-stage-lab-backend-other",
        f"arn:aws:logs:{HERE}:log-group:notes-stage-lab-backend:*",
        f"arn:aws:logs:{HERE}:log-group:/aws/lambda/notes-stage-lab-backend-other:*",
        f"arn:aws:secretsmanager:{HERE}:secret:notes-stage-lab-backend-*",
    ],
)
def test_a_name_that_the_template_gives_to_a_function_is_own_as_a_function_only(arn: str) -> None:
    """`lab-backend` has a table of that name."""
    assert findings(role("*", arn), extra=GIVEN_BY_ANOTHER_KIND, neighbours=PREFIXES)


@pytest.mark.parametrize(
    ("pattern", "neighbour"),
    [
        ("notes-stage-lab-db-*", "lab-db"),
        ("notes-stage-lab-db-*", "lab-db-2"),
        ("notes-stage-lab-*", "lab-2"),
        ("notes/stage/lab-*", "lab-2"),
    ],
)
def test_a_pattern_of_secrets_does_not_reach_a_neighbours(pattern: str, neighbour: str) -> None:
    """Six `?` are what Secrets Manager adds; `*` matches what follows a longer name, too."""
    arn = f"arn:aws:secretsmanager:{HERE}:secret:{pattern}"
    given = {"S": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": pattern[:-2]}}}
    assert findings(role("*", arn), extra=given, neighbours=(tenant(neighbour),))
    assert findings(role("*", arn), extra=given, neighbours=()) == []


def test_a_pattern_ends_before_a_neighbours_name_begins() -> None:
    arn = f"arn:aws:sqs:{HERE}:notes-stage-lab-db-*"
    assert findings(role("*", arn), neighbours=(tenant("lab-db-2"),))
    assert findings(role("*", arn), neighbours=(tenant("lab-d"),)) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("AWS::S3::Bucket", f"notes-data-stage-lab-2-{ACCOUNT}"),  # by the pattern, lab-2's
        ("AWS::S3::Bucket", f"notes-data-stage-victim-{ACCOUNT}"),
        ("AWS::DynamoDB::Table", "notes-stage-victim"),
        ("AWS::DynamoDB::Table", "deps-stage-lab"),
    ],
)
def test_a_neighbours_name_does_not_become_own_by_being_given(kind: str, name: str) -> None:
    given = {"Taken": {"Type": kind, "Properties": {NAME_PROPERTIES[kind]: name}}}
    neighbours = (*PREFIXES, *APPLICATIONS, tenant("victim"))
    assert findings(given, neighbours=neighbours)


# What is the tenant's own -------------------------------------------------------------------------


def named(name: str) -> JsonObject:
    """A template in which resources of many kinds have a name, and are referred to by it."""
    return {
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": name,
                "Description": f"does the work of {name}-things",
                "Environment": {"Variables": {"POWERTOOLS_SERVICE_NAME": name}},
            },
        },
        "Layer": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"LayerName": name}},
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": name}},
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": {"Fn::Sub": "/app/${Function}"}},
        },
        "Pool": {
            "Type": "AWS::Cognito::UserPool",
            "Properties": {"UserPoolName": name, "UserPoolTags": {"Name": f"{name}-users"}},
        },
        "Client": {"Type": "AWS::Cognito::UserPoolClient", "Properties": {"ClientName": name}},
        "Domain": {"Type": "AWS::Cognito::UserPoolDomain", "Properties": {"Domain": name}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": name}},
        "Access": {
            "Type": "AWS::CloudFront::OriginAccessControl",
            "Properties": {"OriginAccessControlConfig": {"Name": name}},
        },
        "Stored": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name}},
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name}},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": name + "-${Client}"},
                "Tags": [{"Key": "Name", "Value": f"{name}-queue"}],
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": name,
                "Path": "/app/",
                "Policies": [
                    {
                        "PolicyName": f"{name}-policy",
                        "PolicyDocument": {
                            "Statement": {
                                "Effect": "Allow",
                                "Action": "*",
                                "Resource": [
                                    f"arn:aws:lambda:{HERE}:function:{name}:live",
                                    f"arn:aws:lambda:{HERE}:layer:{name}:3",
                                    f"arn:aws:dynamodb:{HERE}:table/{name}/index/*",
                                    f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{name}:*",
                                    f"arn:aws:logs:{HERE}:log-group:/app/{name}:*",
                                    f"arn:aws:ssm:{HERE}:parameter/{name}",
                                    f"arn:aws:secretsmanager:{HERE}:secret:{name}-??????",
                                    f"arn:aws:iam::{ACCOUNT}:role/app/{name}",
                                ],
                            }
                        },
                    }
                ],
            },
        },
    }


OWN = [
    (PREFIXES, "notes-stage-lab-backend"),
    (PREFIXES, "notes-stage-lab-backend-role"),
    (PREFIXES, "notes-stage-lab-userpool"),
    (PREFIXES, "notes-stage-lab-2"),
    (APPLICATIONS, "notes-deps-stage-lab"),
    (APPLICATIONS, "notes-api-stage-lab-v1"),
    (APPLICATIONS, "notes-stage-lab-data-stage-lab"),
    ((tenant("results", "test"),), "notes-test-results-stage-lab"),
    ((tenant("results-stage-lab", "test"),), "notes-test-results-stage-lab"),
    ((), "notes-test-results-stage-lab"),
    ((tenant("data", "test"),), "notes-stage-lab-test-data"),
    ((tenant(application="note"), tenant("la")), "notes-stage-lab"),
]


@pytest.mark.parametrize(("neighbours", "name"), OWN, ids=str)
def test_a_tenant_stays_deployable_however_its_neighbours_are_called(
    neighbours: Any, name: str
) -> None:
    assert findings(named(name), neighbours=neighbours) == []


@pytest.mark.parametrize(
    "name",
    [
        "notes-deps-stage-lab",  # a layer that a nested stack or an earlier deployment made
        "notes-api-stage-lab",
        "notes-stage-lab-Worker-1XYZ",
        "notes-stage-lab-other-stage-lab",
        "notes-stage-lab-test-data",
        "/notes/stage/lab/api/stage/lab",
    ],
)
def test_a_name_by_the_pattern_is_own_though_an_application_is_called_as_a_part_of_it(
    name: str,
) -> None:
    data = tenant("data", "test")
    known = owner(neighbours=(*APPLICATIONS, tenant(application="other"), data))
    assert known.of_name(name) is Whose.OWN


def test_a_name_with_an_environment_in_it_is_own_in_every_environment() -> None:
    for env in Env:
        own = owner(tenant=tenant(env=env.value), neighbours=())
        assert own.of_name(f"notes-test-results-{env}-lab") is Whose.OWN, env


def test_a_description_may_say_what_an_environment_variable_may_not() -> None:
    text = {"Description": "notes-stage-lab-backend-x"}
    assert findings(function(**text), neighbours=PREFIXES) == []
    assert findings(function(Environment={"Variables": text}), neighbours=PREFIXES)
    custom = {"Made": {"Type": "Custom::Thing", "Properties": text}}
    assert findings(custom, neighbours=PREFIXES)
    assert findings(function(Description="as notes-stage-victim"), neighbours=PREFIXES)


# By the usual pattern, whatever the names ---------------------------------------------------------

WORDS = st.sampled_from(["lab", "api", "two", "notes", "backend", "data", "2", "x", *Env])
ORGS = st.lists(WORDS, min_size=1, max_size=3).map("-".join).filter(lambda org: org[0].isalpha())
PARTS = st.lists(WORDS, max_size=2).map("-".join)
NAMES = (
    st.lists(WORDS.filter(lambda word: word not in set(Env)), min_size=1, max_size=2)
    .map("-".join)
    .filter(lambda name: name[0].isalpha())
)
TENANTS = st.builds(Tenant, application=NAMES, env=st.sampled_from(Env), org=ORGS)
NEIGHBOURHOODS = st.tuples(TENANTS, st.lists(TENANTS, max_size=4).map(tuple))


def by_pattern(of: Tenant, middle: str, rest: str) -> str:
    """A name as the applications give it: `{application}-…-{env}-{org}-…`."""
    return "-".join(part for part in (of.application, middle, of.env, of.org, rest) if part)


def known(own: Tenant, others: tuple[Tenant, ...]) -> Ownership:
    """What is known of `own`: its neighbours."""
    return Ownership(tenant=own, account=ACCOUNT, neighbours=others)


@given(NEIGHBOURHOODS, PARTS, PARTS)
@example((tenant(), PREFIXES), "", "backend")
@example((tenant(), (tenant(application="deps"),)), "deps", "")
def test_a_name_by_the_pattern_that_the_template_gives_is_own(
    who: tuple[Tenant, tuple[Tenant, ...]], middle: str, rest: str
) -> None:
    """Nobody can make a tenant undeployable by being called as a part of its names."""
    own, others = who
    others = tuple(other for other in others if other != own)
    name = by_pattern(own, middle, rest)
    template = resolved(
        {"Resources": {"F": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}}}
    )
    owned = known(own, others).with_names_of(template)
    assert owned.names_another(f"x={name}") is None
    assert owned.of_arn(f"arn:aws:sqs:{HERE}:{name}") is Whose.OWN


@given(NEIGHBOURHOODS, PARTS, PARTS)
@example((tenant(), (tenant(application="notes-two"),)), "data", "")
@example((tenant("lab-2"), (tenant(),)), "", "2-x")
def test_a_neighbours_stack_is_never_own(
    who: tuple[Tenant, tuple[Tenant, ...]], middle: str, rest: str
) -> None:
    """Unless it is called exactly as this tenant gives its names, nothing by the pattern of a known
    neighbour is the tenant's: as a name, and as a text."""
    own, others = who
    for other in others:
        name = by_pattern(other, middle, rest)
        # Where the own application stands before the neighbour's, or the own name begins the
        # neighbour's, the name is this tenant's by the pattern.
        assume(not name.startswith(f"{own.application}-") or other.application != own.application)
        assume(not f"{own.application}-".startswith(f"{other.application}-"))
        assume(other.stack_name != own.stack_name)
        assert known(own, others).of_name(name) is Whose.FOREIGN
        assert known(own, others).names_another(name)


@given(NEIGHBOURHOODS)
def test_a_neighbours_stack_of_the_same_application_is_never_own(
    who: tuple[Tenant, tuple[Tenant, ...]],
) -> None:
    own, others = who
    for other in others:
        other = other.model_copy(update={"application": own.application})
        assume(other != own and not f"{other.org}-".startswith(f"{own.org}-{other.env}-"))
        everybody = known(own, (*others, other))
        assert everybody.of_name(other.stack_name) is Whose.FOREIGN
        assert everybody.names_another(other.stack_name)


# What it costs ------------------------------------------------------------------------------------


def seconds(own: Ownership, text: str) -> float:
    """The least time of some tries to look a text through; what is made once is made before."""
    own.names_another(text)
    tries = []
    for _ in range(3):
        begun = time.perf_counter()
        own.names_another(text)
        tries.append(time.perf_counter() - begun)
    return min(tries)


def test_a_text_costs_the_same_however_many_neighbours_there_are() -> None:
    """2,000 tenants: a template has hundreds of texts, and the step has its timeout."""
    orgs = [f"org-{number}" for number in range(2000)]
    many = owner(
        neighbours=[tenant(org, application=f"{naming.OWN_APPLICATION}-{org}") for org in orgs]
        + [tenant(org) for org in orgs]
    )
    text = f"arn:aws:lambda:{HERE}:function:notes-stage-lab-backend " * 20
    few = owner(neighbours=many.neighbours[:1])
    assert many.names_another("notes-stage-org-1999") == "notes-stage-org-1999"
    assert seconds(many, text) < 20 * seconds(few, text)  # 200 times before


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a-",
        "stage-",
        "notes-stage-",
        "notes-stage-lab-",
        "notes-data-stage-",
        "stage/",
        "x_stage_",
    ],
)
def test_a_long_text_costs_no_more_than_its_length(piece: str) -> None:
    """A template is untrusted: a megabyte of one text must not take minutes."""
    own = owner(neighbours=PREFIXES)
    short, long = (f"stage {piece * (size // len(piece))}" for size in (2_000, 32_000))
    assert seconds(own, long) < 100 * seconds(own, short)  # 256 times, were it quadratic
