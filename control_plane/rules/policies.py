"""IAM policy documents as data, and what an Allow comes to. Pure.

After the IAM user guide: policy elements, evaluation logic, global condition keys. A condition that
is not known here counts as met for an Allow and as not met for a Deny.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from control_plane.models import JsonObject

Condition = tuple[str, str, tuple[str, ...]]
"""An operator without `IfExists`, a key in lower case, and the values."""


@dataclass(frozen=True)
class Statement:
    """One statement. `place` says where it stands: `Role, policy "own", statement 2 (Sid)`.

    `principals`: (kind, value), such as `("Service", "lambda.amazonaws.com")` and `("*", "*")`.
    """

    place: str
    allows: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: tuple[tuple[str, str], ...]
    not_principals: bool
    conditions: tuple[Condition, ...]
    if_exists: bool

    def narrows(self, keys: Sequence[str]) -> Iterator[str]:
        """The values that conditions want for one of `keys`, where they have to be there."""
        for operator, key, wanted in self.conditions:
            if key in keys and operator in _POSITIVE:
                yield from wanted


_POSITIVE = (
    "stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike",
)  # fmt: skip
"""Operators of which one value has to match (IAM user guide, condition operators)."""


def statements(document: Any, place: str) -> list[Statement]:
    """The statements of a policy document. Raises ValueError for what is none."""
    if not isinstance(document, dict):
        raise ValueError(f"{place} is not a policy that can be read")
    found = document.get("Statement")
    if not isinstance(found, (list, dict)):
        raise ValueError(f"{place} has no statements that can be read")
    answer = []
    for index, item in enumerate(found if isinstance(found, list) else [found], 1):
        if not isinstance(item, dict) or item.get("Effect") not in ("Allow", "Deny"):
            raise ValueError(f"{place}, statement {index} cannot be read")
        sid = f" ({item['Sid']})" if item.get("Sid") else ""
        answer.append(_statement(item, f"{place}, statement {index}{sid}"))
    return answer


def _statement(item: JsonObject, place: str) -> Statement:
    conditions, if_exists = [], False
    for operator, keys in (item.get("Condition") or {}).items():
        name = str(operator).lower().split(":")[-1]
        for key, wanted in keys.items() if isinstance(keys, dict) else []:
            # A key that may be absent, or a set of values that may be empty, excludes nobody.
            loose = name.endswith("ifexists") or str(operator).lower().startswith("forallvalues:")
            if_exists = if_exists or loose
            conditions.append(("" if loose else name, str(key).lower(), texts(wanted)))
    return Statement(
        place=place,
        allows=item["Effect"] == "Allow",
        actions=texts(item.get("Action")),
        not_actions=texts(item.get("NotAction")),
        resources=texts(item.get("Resource")),
        not_resources=texts(item.get("NotResource")),
        principals=tuple(_principals(item.get("Principal"))),
        not_principals="NotPrincipal" in item,
        conditions=tuple(conditions),
        if_exists=if_exists,
    )


def _principals(given: Any) -> Iterator[tuple[str, str]]:
    if isinstance(given, dict):
        for kind, names in given.items():
            for name in texts(names):
                yield ("*", "*") if (kind, name) == ("AWS", "*") else (str(kind), name)
    elif given is not None:
        for name in texts(given):
            yield ("*", "*") if name == "*" else ("AWS", name)


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, as a tuple."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def covers(pattern: str, action: str) -> bool:
    """Whether a pattern of actions matches an action, or all that another pattern does."""
    return fnmatchcase(action.lower(), pattern.lower())


def allowed_actions(statement: Statement) -> tuple[str, ...]:
    """The actions of an Allow; `*` for all but some."""
    return statement.actions or (("*",) if statement.not_actions else ())


def is_denied(action: str, resource: str, denials: Iterable[Statement]) -> bool:
    """Whether a Deny without a condition takes all of an action on all of a resource pattern away.

    A Deny of everything but some resources is `denies_all_but`.
    """
    return any(
        not denial.conditions
        and _covers_action(denial, action)
        and any(fnmatchcase(resource, pattern) for pattern in denial.resources)
        for denial in denials
    )


def denies_all_but(action: str, denials: Iterable[Statement]) -> tuple[str, ...]:
    """The resources that are left of an action by a Deny with `NotResource`; empty without one."""
    for denial in denials:
        if denial.not_resources and not denial.conditions and _covers_action(denial, action):
            return denial.not_resources
    return ()


def _covers_action(statement: Statement, action: str) -> bool:
    if statement.not_actions:
        return not any(_overlap(pattern, action) for pattern in statement.not_actions)
    return any(covers(pattern, action) for pattern in statement.actions)


def _overlap(one: str, other: str) -> bool:
    return covers(one, other) or covers(other, one)


HARMLESS = {
    "logs:createloggroup": "writes log lines and reads none",
    "logs:createlogstream": "writes log lines and reads none",
    "logs:putlogevents": "writes log lines and reads none",
    "logs:describeloggroups": "a listing, which has no resource",
    "logs:describelogstreams": "a listing",
    "cloudwatch:putmetricdata": "takes no resource",
    "ec2:assignprivateipaddresses": "a function's network interfaces",
    "ec2:createnetworkinterface": "a function's network interfaces",
    "ec2:deletenetworkinterface": "a function's network interfaces",
    "ec2:describenetworkinterfaces": "a function's network interfaces",
    "ec2:describesubnets": "a function's network interfaces",
    "ec2:describesecuritygroups": "a function's network interfaces",
    "ec2:describevpcs": "a function's network interfaces",
    "ec2:unassignprivateipaddresses": "a function's network interfaces",
    "ec2:getsecuritygroupsforvpc": "a function's network interfaces",
    "kms:listaliases": "a listing, which has no resource",
    "kms:generaterandom": "takes no resource",
    "lambda:listfunctions": "a listing, which has no resource",
    "lambda:getaccountsettings": "takes no resource",
    "dynamodb:listtables": "a listing, which has no resource",
    "dynamodb:liststreams": "a listing, which has no resource",
    "s3:listallmybuckets": "a listing, which has no resource",
    "secretsmanager:getrandompassword": "takes no resource",
    "secretsmanager:listsecrets": "a listing, which has no resource",
    "ssm:describeparameters": "a listing, which has no resource",
    "sqs:listqueues": "a listing, which has no resource",
    "sns:listtopics": "a listing, which has no resource",
    "states:liststatemachines": "a listing, which has no resource",
    "sts:getcalleridentity": "takes no resource",
}
"""Actions that take no resource, or read no tenant's data, whatever their resource is (service
authorization reference). A listing shows names, and no data."""

STATELESS = (
    "bedrock", "comprehend", "geo", "polly", "pricing", "rekognition", "ses", "textract",
    "transcribe", "translate", "xray",
)  # fmt: skip
"""Services that keep nothing of a tenant."""


def is_harmless(action: str) -> bool:
    """Whether an action reaches no tenant's data, on whatever resource."""
    service, _, rest = action.lower().partition(":")
    if service in STATELESS and rest:
        return True
    return action.lower() in HARMLESS


EXECUTION_POLICIES = (
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaMSKExecutionRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
    "CloudWatchLambdaInsightsExecutionRolePolicy",
)
"""AWS's policies that SAM attaches by itself (for a log, an event source, tracing, a VPC). They
name no resource. The boundary narrows them: CloudFormation's role makes no role without it."""
