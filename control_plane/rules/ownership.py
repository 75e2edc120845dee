"""Whose a name or an ARN is: this tenant's, another's, or not to be decided. Pure.

Only what is provably the tenant's counts as its own. No name is found by a part of it: `lab` owns
nothing of `lab2`, and nothing of `lab-2`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase

from control_plane.models import Env, Tenant
from control_plane.rules import template_values as values
from control_plane.rules.template_values import Resolved

_ENVS = "|".join(env.value for env in Env)
_FIRST_ENV = re.compile(rf"(?<![A-Za-z0-9])({_ENVS})(?![A-Za-z0-9])")
_BETWEEN = "[-_/.:]"
_WILDCARD = re.compile(r"[*?]")
_POLICY_VARIABLE = re.compile(r"\$\{(?!\*\}|\?\}|\$\})[^}]*\}")
_SECRET_SUFFIX = re.compile(r"-(\?{6}|\*)$")
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

    `names`: the physical names of its own resources. `neighbours`: the other tenants, as far as
    they are known. `account`: where the stack lies. `shared`: ARN patterns that the manifest
    declares to be no tenant's. `pools`: the ids of user pools that are tagged as its own.
    `bucket_patterns`: the manifest's. `boundary`: the permissions boundary of every role.
    """

    tenant: Tenant
    account: str
    names: frozenset[str] = frozenset()
    neighbours: tuple[Tenant, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    pools: frozenset[str] = frozenset()
    bucket_patterns: tuple[str, ...] = ()
    boundary: str = ""

    def with_names_of(self, template: Resolved) -> "Ownership":
        """The same, with the names that a template gives to its own resources.

        A name that is another tenant's does not become the tenant's own by being given.
        """
        given = {r.name for r in template.resources.values() if r.name}
        return replace(self, names=self.names | {n for n in given if not self.names_another(n)})

    def of_arn(self, pattern: str) -> Whose:
        """Whose an ARN, or all that a pattern of ARNs matches, is."""
        text = self.with_own_tags(pattern)
        if values.own_resource(text):  # the ARN of a resource of this template
            return Whose.OWN
        if any(fnmatchcase(text, shared) for shared in self.shared):
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
        return self.of_name(_name_in(service, resource))

    def is_own_source(self, arn: str) -> bool:
        """Whether an ARN that is the source of a request can only be the tenant's own resource.

        A pattern that matches resources of other accounts is not; and of services whose resources
        no name tells apart (a distribution's id), only one of this template is.
        """
        if self.of_arn(arn) is not Whose.OWN:
            return False
        text = self.with_own_tags(arn)
        if values.own_resource(text) or any(fnmatchcase(text, shared) for shared in self.shared):
            return True
        _, _, service, _, account, resource = text.split(":", 5)
        if service in SHARED_SERVICES and not values.own_resource(resource.partition("/")[2]):
            return False
        if service == "s3" and account == "":  # a bucket's name is taken once in the world
            return True
        return account == self.account or values.has_own(account)

    def of_name(self, pattern: str) -> Whose:
        """Whose a name is, or every name that a pattern matches."""
        literal = _WILDCARD.split(_POLICY_VARIABLE.sub("*", pattern), maxsplit=1)[0]
        whole = literal == pattern
        if whole and literal in self.names:
            return Whose.OWN
        if values.has_own(literal):  # a part of it is random, and this stack's
            return Whose.FOREIGN if self.names_another(literal) else Whose.OWN
        if values.has_unknown(pattern):
            return Whose.OPEN
        if literal in self.pools:
            return Whose.OWN
        return Whose.OWN if self._has_own_token(literal, whole=whole) else Whose.FOREIGN

    def with_own_tags(self, text: str) -> str:
        """A policy's text, with the tags that this tenant's roles have filled in."""
        return text.replace(f"${{aws:PrincipalTag/{_STACK_TAG}}}", self.tenant.stack_name)

    def _has_own_token(self, literal: str, *, whole: bool) -> bool:
        """Whether a name has the application, the environment and the organization in it.

        `whole`: nothing follows. Otherwise the organization has to be told apart from a longer one:
        `lab` from `lab2` and `lab-2`.
        """
        application, env, org = self.tenant.application, self.tenant.env, self.tenant.org
        first = _FIRST_ENV.search(literal)
        if first is None or first[1] != env:
            return False
        before = literal[: first.start()]
        if not re.search(rf"(?<![a-z0-9]){re.escape(application)}{_BETWEEN}", before):
            return False
        found = re.match(rf"{_BETWEEN}{re.escape(org)}(?![A-Za-z0-9])", literal[first.end() :])
        if found is None:
            return False
        rest = literal[first.end() + found.end() :]
        if not whole and rest in ("", "-"):
            return False
        return not self._is_a_longer_neighbour(org + rest)

    def _has_a_neighbours_token(self, text: str) -> bool:
        tokens = (rf"{other.env}{_BETWEEN}{re.escape(other.org)}" for other in self.neighbours)
        found = (rf"(?<![A-Za-z0-9]){token}(?![A-Za-z0-9])" for token in tokens)
        return any(re.search(pattern, text) for pattern in found)

    def _is_a_longer_neighbour(self, text: str) -> bool:
        return any(
            other.env == self.tenant.env
            and len(other.org) > len(self.tenant.org)
            and re.match(rf"{re.escape(other.org)}(?![A-Za-z0-9])", text)
            for other in self.neighbours
        )

    # Others' names in any text -----------------------------------------------------------------

    def names_another(self, text: str) -> str | None:
        """The name in a text that is another tenant's, or None.

        By the known tenants' stacks, by the pattern `{application}-…-{env}-{org}` of any known
        application, and by this one's buckets' patterns alike.
        """
        text = text.replace(self.boundary, " ") if self.boundary else text
        if self.names:
            mine = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
            text = re.sub(rf"(?<![A-Za-z0-9-])(?:{mine})(?![A-Za-z0-9-])", " ", text)
        stack = self.tenant.stack_name
        stacks = sorted({stack, *(n.stack_name for n in self.neighbours)}, key=len, reverse=True)
        known = "|".join(re.escape(name) for name in stacks)
        for found in re.finditer(rf"(?<![A-Za-z0-9])(?:{known})(?![A-Za-z0-9])", text):
            if found[0] != stack:
                return found[0]
        own = self.tenant.application
        for application in {own, *(other.application for other in self.neighbours)}:
            pattern = (
                rf"(?<![A-Za-z0-9]){re.escape(application)}-(?:[a-z0-9]+-)*?"
                rf"(?:{_ENVS})-[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
            )
            for found in re.finditer(pattern, text):
                # `notes-two` has names that begin as those of `notes`.
                if not self._has_own_token(found[0], whole=True):
                    return found[0]
        return self._anothers_bucket(text)

    def _anothers_bucket(self, text: str) -> str | None:
        for bucket in self.bucket_patterns:
            pattern = (
                re.escape(bucket)
                .replace(re.escape("{env}"), rf"(?P<env>{_ENVS})")
                .replace(re.escape("{org}"), r"(?P<org>[a-z][a-z0-9]*(?:-[a-z0-9]+)*?)")
                .replace(re.escape("{account}"), r"\d{12}")
            )
            if "(?P<env>" not in pattern or "(?P<org>" not in pattern:
                continue
            for found in re.finditer(rf"(?<![a-z0-9-]){pattern}(?![a-z0-9-])", text):
                if (found["env"], found["org"]) != (self.tenant.env, self.tenant.org):
                    return found[0]
        return None

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
