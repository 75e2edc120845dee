"""Whose a name or an ARN is: this tenant's, another's, or not to be decided. Pure.

Only what is provably the tenant's counts as its own. No name is found by a part of it: `lab` owns
nothing of `lab2`, and nothing of `lab-2`.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import accumulate

from control_plane import naming
from control_plane.models import Env, Tenant
from control_plane.rules import template_values as values
from control_plane.rules.template_values import Resolved, Resource

_ENVS = frozenset(env.value for env in Env)
_ENV = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(sorted(_ENVS))})(?![A-Za-z0-9])")
_BETWEEN = "[-_/.:]"
_TOKEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)+")
_ORG_WORD = re.compile(r"[a-z][a-z0-9]*$")
_WORDS = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?![A-Za-z0-9])")
_LAST_WORDS = re.compile(r"(?:[a-z0-9]+-)*[a-z0-9]+$")
_ORG_WORDS, _APPLICATION_WORDS = 20, 15
"""The most words that an organization (40 characters) and an application (30) can have."""

_NEAR = 64
"""How far from an environment an organization or an application beside it reaches: what a text
costs must not grow faster than its length."""

_Place = tuple[int, int, int, int]
"""Where a tenant is read in a name; the least place says whose the name is (`_another_in`)."""

_NOBODY: frozenset[str] = frozenset()
_WILDCARD = re.compile(r"[*?]")
_POLICY_VARIABLE = re.compile(r"\$\{(?!\*\}|\?\}|\$\})[^}]*\}")
_SECRET_SUFFIX = re.compile(r"-\?{6}$")
_POOL_ID = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d_[A-Za-z0-9]+")
_STACK_TAG = "syndi:stack"

SHARED_SERVICES = ("acm", "aws-marketplace", "bedrock", "cloudfront", "waf", "wafv2", "xray")
"""Services whose resources hold no tenant's data; everything else has to be the tenant's own."""


class Whose(Enum):
    """To whom a resource belongs."""

    OWN = "the tenant's own"
    FOREIGN = "not this tenant's"
    OPEN = "not known"


@dataclass(frozen=True)
class Ownership:
    """What is known of a tenant and its neighbours.

    `names`: the physical names of its own resources. `given`: those that its template gives, each
    with the kind of resource that it names there (`_named_by`). `neighbours`: the other tenants, as
    far as they are known. `account`: where the stack lies. `shared`: ARN patterns that the manifest
    declares to be no tenant's. `pools`: the ids of user pools that are tagged as its own.
    `bucket_patterns`: the manifest's. `boundary`: the permissions boundary of every role.
    """

    tenant: Tenant
    account: str
    names: frozenset[str] = frozenset()
    given: frozenset[tuple[str, str]] = frozenset()
    neighbours: tuple[Tenant, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    pools: frozenset[str] = frozenset()
    bucket_patterns: tuple[str, ...] = ()
    boundary: str = ""

    def with_names_of(self, template: Resolved) -> "Ownership":
        """The same, with the names that a template gives to its own resources.

        A name that reads as this tenant's own is its own, whoever else it may read as: a name is
        taken once, and what is there already is adopted only by its tag (`workers/stack_imports`).
        Any other name that is another tenant's does not become the tenant's by being given.
        """
        given = {
            (_named_by(resource.kind), name)
            for resource in template.resources.values()
            for name in _names_given(resource)
            if self._may_be_given(resource.kind, name)
        }
        return replace(self, given=self.given | given)

    def _may_be_given(self, kind: str, name: str) -> bool:
        if kind == "AWS::S3::Bucket" and name in self._neighbours_buckets:
            return False
        return self.names_another(name) is None or self._has_own_token(name, whole=True)

    def of_arn(self, pattern: str) -> Whose:
        """Whose an ARN, or all that a pattern of ARNs matches, is."""
        text = self.with_own_tags(pattern)
        if values.own_resource(text):  # the ARN of a resource of this template
            return Whose.OWN
        if self._is_shared(text):
            is_anothers = self.names_another(text) or self._has_a_neighbours_token(text)
            return Whose.FOREIGN if is_anothers else Whose.OWN
        parts = text.split(":", 5)
        if len(parts) < 6 or _WILDCARD.search(parts[2]):
            return Whose.OPEN if values.has_unknown(text) else Whose.FOREIGN
        _, _, service, _, account, resource = parts
        another = re.fullmatch(r"\d{12}", account) and account != self.account
        is_shared = service in SHARED_SERVICES and not another
        if is_shared or text.startswith("arn:aws:states:::"):
            return Whose.OWN  # states:::, without an account: an integration of Step Functions
        if account not in ("", "*", self.account) and not values.has_own(account):
            return Whose.OPEN if values.has_unknown(account) else Whose.FOREIGN
        return self.of_name(_name_in(service, resource), _kind_in(service, resource))

    def is_within_boundary(self, pattern: str) -> bool:
        """Whether the permissions boundary of tenants' roles allows the own bucket of that ARN;
        True for what is no bucket of the tenant's.

        As OwnBuckets of TenantBoundary in template.yaml has it:
        `{application}-…-{env}-{org}-{account}`, or whatever stands behind the stack's name, as in
        the names that CloudFormation makes. A boundary cannot allow more: its wildcards also match
        slashes, so that a pattern without the account would match keys in others' buckets.
        """
        text, own = self.with_own_tags(pattern), self.tenant
        parts = text.split(":", 5)
        if len(parts) < 6 or parts[2] != "s3" or self._is_shared(text):
            return True
        bucket = _POLICY_VARIABLE.sub("*", parts[5].partition("/")[0])
        if values.own_resource(bucket) or bucket.startswith(f"{own.stack_name}-"):
            return True
        end = f"-{own.env}-{own.org}-{self.account}"
        if not bucket.startswith(f"{own.application}-"):
            return False
        literal = _WILDCARD.split(bucket, maxsplit=1)[0]
        if literal == bucket:
            return bucket.endswith(end)
        there = literal.rfind(end[: -len(self.account)])  # what follows may be the account
        return there >= 0 and end.startswith(literal[there:])

    def _is_shared(self, text: str) -> bool:
        return any(fnmatchcase(text, shared) for shared in self.shared)

    def is_own_source(self, arn: str) -> bool:
        """Whether an ARN that is the source of a request can only be the tenant's own resource.

        A pattern that matches resources of other accounts is not; and of services whose resources
        no name tells apart (a distribution's id), only one of this template is.
        """
        if self.of_arn(arn) is not Whose.OWN:
            return False
        text = self.with_own_tags(arn)
        if values.own_resource(text) or self._is_shared(text):
            return True
        _, _, service, _, account, resource = text.split(":", 5)
        if service in SHARED_SERVICES and not values.own_resource(resource.partition("/")[2]):
            return False
        if service == "s3" and account == "":  # a bucket's name is taken once in the world
            return True
        return account == self.account or values.has_own(account)

    def of_name(self, pattern: str, kind: str = "") -> Whose:
        """Whose a name is, or every name that a pattern matches.

        `kind`: of what resource (`lambda:function`), where that is known: a name that the template
        gives to a function says nothing of a table.
        """
        literal = _WILDCARD.split(_POLICY_VARIABLE.sub("*", pattern), maxsplit=1)[0]
        whole = literal == pattern
        if whole and values.readable(literal) in self._own_names(kind):
            return Whose.OWN
        is_secret = kind == "secretsmanager:secret" and pattern == f"{literal}*"
        if is_secret and values.readable(literal).removesuffix("-") in self._own_names(kind):
            reaches = self.names_another(literal, kind) or self._may_go_on_as_anothers(literal)
            return Whose.FOREIGN if reaches else Whose.OWN  # Secrets Manager adds `-AbCdEf`
        if values.has_own(literal):  # a part of it is random, and this stack's
            return Whose.FOREIGN if self.names_another(literal, kind) else Whose.OWN
        if values.has_unknown(pattern):
            return Whose.OPEN
        if literal in self.pools:
            return Whose.OWN
        is_own = (
            self._has_own_token(literal, whole=whole)
            and not self.names_another(literal, kind)
            and (whole or not self._may_go_on_as_anothers(literal))
        )
        return Whose.OWN if is_own else Whose.FOREIGN

    def with_own_tags(self, text: str) -> str:
        """A policy's text, with the tags that this tenant's roles have filled in."""
        return text.replace(f"${{aws:PrincipalTag/{_STACK_TAG}}}", self.tenant.stack_name)

    def _has_own_token(self, literal: str, *, whole: bool) -> bool:
        """Whether a name can be read as one with the application, the environment and the
        organization in it: every environment in it is tried.

        `whole`: nothing follows. Otherwise the organization has to be told apart from a longer one:
        `lab` from `lab2` and `lab-2`.
        """
        return any(whole or rest not in ("", "-") for rest in self._after_own_token(literal))

    def _after_own_token(self, literal: str) -> Iterator[str]:
        """What follows the organization, for each way to read a name as this tenant's."""
        application, env, org = self.tenant.application, self.tenant.env, self.tenant.org
        named = re.search(rf"(?<![a-z0-9]){re.escape(application)}{_BETWEEN}", literal)
        if named is None:
            return
        for found in _ENV.finditer(literal, named.end()):
            after = literal[found.end() : found.end() + _NEAR]
            if found[1] != env or not re.match(_BETWEEN, after):
                continue
            rest = after[1:].removeprefix(org)
            if len(rest) < len(after) - 1 and not re.match("[A-Za-z0-9]", rest):
                yield rest

    def _may_go_on_as_anothers(self, literal: str) -> bool:
        """Whether a text with an open end matches names of a neighbour whose organization goes on
        from it: `notes-stage-lab-db-*` those of `lab-db-2`."""
        known, own = self._known, self.tenant
        return any(
            own.application in known.orgs[own.env, org]
            for rest in self._after_own_token(literal)
            for org in known.orgs_beginning(own.env, own.org + rest)
        )

    def _has_a_neighbours_token(self, text: str) -> bool:
        return any(
            self._known.orgs.get((found[1], org))
            for found in _ENV.finditer(text)
            if re.match(_BETWEEN, text[found.end() : found.end() + 1])
            for org in _beginnings(_words_at(text, found.end() + 1))
        )

    # Others' names in any text -----------------------------------------------------------------

    def names_another(self, text: str, kind: str = "", *, is_label: bool = False) -> str | None:
        """The name in a text that is another tenant's, or None.

        By the known tenants' names, by the pattern `{application}-…-{env}-{org}` of this
        application, and by this one's buckets' patterns alike. `kind`: as in `of_name`. `is_label`:
        the text is only for people (a description), so what reads as this tenant's own is.
        """
        text = values.readable(text)
        text = text.replace(self.boundary, " ") if self.boundary else text
        if not _ENV.search(text):
            return None
        if mine := self._mine(kind):
            text = mine.sub(" ", text)
        for token in _TOKEN.findall(text):
            if other := self._another_in(token, is_label=is_label):
                return other
        return self._anothers_path(text) or self._anothers_bucket(text)

    def _another_in(self, token: str, *, is_label: bool) -> str | None:
        """The name in a token (words and dashes) that is another tenant's, or None.

        A token may read as more than one tenant's. The application that comes first says whose it
        is, a longer one before a shorter (`notes-two`, `notes`), then the environment that comes
        first, then the longer organization: `notes-deps-stage-lab` is of `notes`, also where an
        application is called `deps`, and `notes-stage-lab-backend` is of `lab-backend`, where there
        is one.
        """
        words = token.split("-")
        known, own = self._known, self.tenant
        first: dict[str, int] = {}  # applications seen so far, by the word that they begin with
        own_is_open = False  # `{application}-` with only words in lower case since
        mine: _Place | None = None
        unknown = ""
        others: list[tuple[_Place, str]] = []

        def place(application: str, env_at: int, org: str) -> _Place:
            return first[application], -len(application), env_at, -len(org)

        for at, word in enumerate(words):
            if word in _ENVS and at + 1 < len(words):
                orgs = tuple(_beginnings(words[at + 1 : at + 1 + _ORG_WORDS]))
                if own.application in first and word == own.env and own.org in orgs:
                    here = place(own.application, at, own.org)
                    mine = here if mine is None else min(mine, here)
                for org in orgs:
                    for application in known.orgs.get((word, org), _NOBODY) & first.keys():
                        others.append((place(application, at, org), org))
                if own_is_open and not unknown and _ORG_WORD.match(words[at + 1]):
                    until = at + 1 + _ORG_WORDS
                    unknown = "-".join(words[first[own.application] : until])
            for length in range(1, min(at + 1, _APPLICATION_WORDS) + 1):
                application = "-".join(words[at + 1 - length : at + 1])
                if application in known.applications or application == own.application:
                    first.setdefault(application, at + 1 - length)
                    own_is_open = own_is_open or application == own.application
            own_is_open = own_is_open and word == word.lower()
        for there, org in others:
            if mine is None or (there < mine and not is_label):
                return "-".join([*words[there[0] : there[2] + 1], org])
        return None if mine else unknown or None

    def _anothers_path(self, text: str) -> str | None:
        """A known neighbour's name with other separators: `/notes/stage/victim/…`."""
        known, own = self._known, self.tenant
        for found in _ENV.finditer(text):
            at, by = found.start() - 1, text[max(0, found.start() - 1) : found.start()]
            if by not in ("_", "/", ".", ":") or text[found.end() : found.end() + 1] != by:
                continue
            near = text[max(0, at - _NEAR) : at]
            last = _LAST_WORDS.search(near)
            before = last[0].split("-") if last else []
            words = _words_at(text, found.end() + 1)
            applications = {"-".join(before[n:]) for n in range(len(before))}
            is_own = found[1] == own.env and own.org in _beginnings(words)
            # `/notes/deps/stage/lab`: the application that comes first says whose it is.
            begins = rf"(?<![A-Za-z0-9]){re.escape(own.application)}(?:[-{by}][a-z0-9]+)*$"
            is_own = is_own and re.search(begins, near) is not None
            for org in _beginnings(words):
                anothers = known.orgs.get((found[1], org), _NOBODY) & applications
                if anothers and not (is_own and len(org) <= len(own.org)):
                    return f"{sorted(anothers)[0]}{by}{found[1]}{by}{org}"
        return None

    def _anothers_bucket(self, text: str) -> str | None:
        own = self.tenant
        for pattern in self._bucket_expressions:
            for found in pattern.finditer(text):
                env, org = found["env"], found["org"]
                is_longer = env == own.env and org.startswith(f"{own.org}-")
                is_known = own.application in self._known.orgs.get((env, org), _NOBODY)
                if (env, org) != (own.env, own.org) and (is_known or not is_longer):
                    return found[0]
        return None

    # What is looked up for each text, made once ------------------------------------------------

    @cached_property
    def _known(self) -> "_Neighbours":
        return _Neighbours.of(self.neighbours)

    @cached_property
    def _names_by_kind(self) -> dict[str, frozenset[str]]:
        return {}

    def _own_names(self, kind: str) -> frozenset[str]:
        """The tenant's own names, as of a resource of that kind; of any, when it is not known."""
        if kind not in self._names_by_kind:
            service = kind.partition(":")[0]
            named = {name for by, name in self.given if not kind or by in (kind, service)}
            if service in ("logs", ""):  # Lambda names a function's log group
                named |= {f"/aws/lambda/{n}" for by, n in self.given if by == "lambda:function"}
            self._names_by_kind[kind] = self.names | named
        return self._names_by_kind[kind]

    @cached_property
    def _mine_by_kind(self) -> dict[str, "re.Pattern[str] | None"]:
        return {}

    def _mine(self, kind: str) -> "re.Pattern[str] | None":
        """What matches the tenant's own names in a text, each whole."""
        if kind not in self._mine_by_kind:
            names = sorted(self._own_names(kind), key=len, reverse=True)
            either = "|".join(re.escape(name) for name in names)
            # A secret's ARN goes on with six characters of Secrets Manager.
            whole = rf"(?<![A-Za-z0-9-])(?:{either})(?:-\?{{6}})?(?![A-Za-z0-9-])"
            self._mine_by_kind[kind] = re.compile(whole) if names else None
        return self._mine_by_kind[kind]

    @cached_property
    def _neighbours_buckets(self) -> frozenset[str]:
        """The buckets that the other tenants of this application have by its patterns."""
        return frozenset(
            naming.filled(pattern, other, self.account)
            for other in self.neighbours
            if other.application == self.tenant.application
            for pattern in self.bucket_patterns
        )

    @cached_property
    def _bucket_expressions(self) -> "tuple[re.Pattern[str], ...]":
        return tuple(
            re.compile(
                "(?<![a-z0-9-])"
                + re.escape(bucket)
                .replace(re.escape("{env}"), rf"(?P<env>{'|'.join(_ENVS)})")
                .replace(re.escape("{org}"), r"(?P<org>[a-z][a-z0-9]*(?:-[a-z0-9]+){0,19}?)")
                .replace(re.escape("{account}"), r"\d{12}")
                + "(?![a-z0-9-])"
            )
            for bucket in self.bucket_patterns
            if "{env}" in bucket and "{org}" in bucket
        )

    def other_pools(self, text: str) -> Iterable[str]:
        """The ids of user pools in a text that are not known to be the tenant's."""
        return [pool for pool in _POOL_ID.findall(text) if pool not in self.pools]


def pools_in(text: str) -> list[str]:
    """The ids of user pools in a text (`us-east-1_aBcDeFgHi`)."""
    return _POOL_ID.findall(text)


def _name_in(service: str, resource: str) -> str:
    """The part of an ARN's resource that names what it is a part of."""
    match service:
        case "s3":
            return resource.partition("/")[0]
        case "sqs" | "sns":
            return resource.partition(":")[0]
        case "logs" | "states" | "lambda" | "secretsmanager":
            name = resource.split(":", 2)[1] if ":" in resource else resource
            return _SECRET_SUFFIX.sub("", name) if service == "secretsmanager" else name
        case "dynamodb" | "kinesis" | "cognito-idp" | "kms":
            return resource.split("/", 2)[1] if "/" in resource else resource
        case "execute-api":
            return resource.partition("/")[0]
        case "ssm":
            return resource.removeprefix("parameter")
    return resource.partition("/")[2] or resource.partition(":")[2] or resource


@dataclass(frozen=True)
class _Neighbours:
    """The other tenants, to be looked up by what may stand in a name: the applications that have an
    organization in an environment. What a text costs does not grow with their number."""

    orgs: Mapping[tuple[str, str], frozenset[str]]
    applications: frozenset[str]
    sorted_orgs: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, tenants: Iterable[Tenant]) -> "_Neighbours":
        """The index of these tenants."""
        orgs: dict[tuple[str, str], set[str]] = {}
        for tenant in tenants:
            orgs.setdefault((tenant.env.value, tenant.org), set()).add(tenant.application)
        by_env: dict[str, list[str]] = {}
        for env, org in sorted(orgs):
            by_env.setdefault(env, []).append(org)
        return cls(
            {key: frozenset(found) for key, found in orgs.items()},
            frozenset().union(*orgs.values()),
            by_env,
        )

    def orgs_beginning(self, env: str, text: str) -> Iterator[str]:
        """The organizations of an environment whose names begin with a text."""
        orgs = self.sorted_orgs.get(env, ())
        for at in range(bisect_left(orgs, text), len(orgs)):
            if not orgs[at].startswith(text):
                return
            yield orgs[at]


def _beginnings(words: Sequence[str]) -> Iterator[str]:
    """What may be an organization at the beginning of some words: `lab`, `lab-2`, …"""
    return accumulate(words, "{}-{}".format)


def _words_at(text: str, start: int) -> list[str]:
    """The words, with dashes between them, that begin at a place in a text."""
    found = _WORDS.match(text[start : start + _NEAR])
    return found[0].split("-") if found else []


# What names a resource ----------------------------------------------------------------------------

_NAMED_BY = {
    "AWS::Events::EventBus": "events:event-bus",
    "AWS::Events::Rule": "events:rule",
    "AWS::IAM::Group": "iam:group",
    "AWS::IAM::ManagedPolicy": "iam:policy",
    "AWS::IAM::Role": "iam:role",
    "AWS::IAM::User": "iam:user",
    "AWS::Lambda::Function": "lambda:function",
    "AWS::Lambda::LayerVersion": "lambda:layer",
    "AWS::StepFunctions::StateMachine": "states",
}
"""The kind that stands in the ARN of a resource, where its service has more than one that is named,
or another name than its type."""


def _named_by(kind: str) -> str:
    return _NAMED_BY.get(kind) or kind.split("::")[1].lower()


def _kind_in(service: str, resource: str) -> str:
    """The kind of resource in an ARN, as `_named_by` gives it."""
    found = re.match(r"[a-z-]+(?=[:/])", resource)
    return f"{service}:{found[0]}" if found else service


def _names_given(resource: Resource) -> Iterator[str]:
    """The names that a resource has by its own properties; a part may be an own attribute.

    Beside the types whose names stand in policies, by CloudFormation's convention: a resource of
    the type `AWS::…::Alarm` has its name in `Name` or `AlarmName`. What a custom resource makes of
    a property is not known.
    """
    _, service, kind = (*resource.kind.split("::"), "", "")[:3]
    if not resource.kind.startswith("AWS::") or service == "CloudFormation":
        return
    properties = resource.properties
    key = values.NAME_PROPERTIES.get(resource.kind)
    for name, value in properties.items():
        by_convention = name == "Name" or (
            name.endswith(("Name", "Identifier"))
            and kind.endswith(re.sub("(Name|Identifier)$", "", name))
        )
        is_name = name == key if key else by_convention or (kind, name) == _DOMAIN
        if is_name and isinstance(value, str) and value and not values.has_unknown(value):
            yield values.readable(value)
    config = properties.get(f"{kind}Config")
    if isinstance(config, dict) and isinstance(config.get("Name"), str):
        yield values.readable(config["Name"])


_DOMAIN = ("UserPoolDomain", "Domain")
