"""What belongs to a tenant besides its stack, and how much of it there is.

Two sources say what there may be: CloudFormation's list of what its stack had, by the stack's id,
and the index of tags (Resource Groups), which has whatever carries the tag `syndi:stack`. What the
index does not cover is added by name: the config bucket, the log groups that Lambda and API Gateway
make, the tenant's passwords. Each candidate is then looked at itself: the index lags, and a list of
yesterday has what is gone today. A resource is a tenant's when its own tag says so, or when its
type has no tags and it was in the stack. A source that cannot be read is said, never taken for
empty.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.services import stack_contents
from control_plane.settings import OffboardSettings, settings
from control_plane.store.listing import Listing
from workers import offboard_kinds as kinds
from workers.offboard_kinds import Kind, Seen

KEPT = "kept by its DeletionPolicy"
NOT_OURS = "not ours: "
ANOTHERS = f"{NOT_OURS}it is tagged"
EVENT_PAGES = 100
"""Pages of a stack's events (100 each) that are read for what earlier updates left behind."""


@dataclass(frozen=True)
class Belonging:
    """Something that is there. `foreign`: why it is not known to be the tenant's, or None.

    `remover`: its type, when a purge can remove it. `in_stack`: its stack has it, or had it.
    `is_unreadable`: AWS does not say whose it is.
    """

    kind: str
    name: str
    why: str = KEPT
    holds: JsonObject = field(default_factory=dict)
    foreign: str | None = None
    remover: Kind | None = None
    in_stack: bool = False
    is_unreadable: bool = False

    @property
    def is_anothers(self) -> bool:
        """Whether its tag says that it is another stack's."""
        return (self.foreign or "").startswith(ANOTHERS)


@dataclass
class Findings:
    """What is there, and which sources could not be read."""

    items: list[Belonging] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass
class _Candidates:
    """What may be there: `known` by type and name, each with why it would be left; `unknown` types
    as they are listed."""

    known: dict[tuple[str, str], str] = field(default_factory=dict)
    unknown: list[Belonging] = field(default_factory=list)
    in_stack: set[tuple[str, str]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def add(self, kind: Kind, name: str | None, why: str = KEPT) -> None:
        if name:
            self.known.setdefault((kind.label, name), why)


def find(deployment: Deployment) -> Findings:
    """All that is left of a tenant, the types that a purge removes first, in its order."""
    found = _Candidates()
    deleted = _of_stack(deployment, found)
    _of_tags(deployment.tenant, found, deleted)
    _of_names(deployment, found)
    _of_earlier_look(deployment, found)
    _logs(found)
    order = [kind.label for kind in kinds.KINDS]
    known = sorted(found.known.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    items = [
        looked
        for (label, name), why in known
        if (looked := _look(deployment.tenant, label, name, why, found))
    ]
    return Findings(items + found.unknown, found.unread)


def buckets(deployment: Deployment) -> list[Belonging]:
    """The buckets that there are of the live stack, and that the manifest or a tag names."""
    return _some(deployment, "bucket")


def pools(deployment: Deployment) -> list[Belonging]:
    """The user pools that there are of the live stack, and that its last outputs or a tag name."""
    return _some(deployment, "user-pool")


def bucket(tenant: Tenant, name: str) -> Belonging | None:
    """One bucket, or None when there is none of that name."""
    return _look(tenant, "bucket", name, KEPT, _Candidates())


def secrets(tenant: Tenant) -> list[str]:
    """The names of the tenant's secrets: its administrators' passwords."""
    prefix = naming.secret_prefix(tenant)
    pages = aws.secretsmanager().get_paginator("list_secrets")
    asked = pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    names = [item["Name"] for page in asked for item in page["SecretList"]]
    return sorted(name for name in names if name.startswith(prefix))


def leftovers(deployment: Deployment, deadline: float) -> JsonObject:
    """What is there, with its count and why it is, and what could not be read.

    Counting objects stops at `deadline` (monotonic).
    """
    found = find(deployment)
    items = [_listed(item, deadline) for item in found.items]
    names = secrets(deployment.tenant)
    if names:
        items.append(
            {
                "kind": "secrets",
                "name": f"{naming.secret_prefix(deployment.tenant)}*",
                "count": len(names),
                "why": "passwords of administrators; only a purge removes them",
            }
        )
    return {"items": items, "unread": found.unread} if found.unread else {"items": items}


# What may be there --------------------------------------------------------------------------------


def _some(deployment: Deployment, label: str) -> list[Belonging]:
    found = _Candidates()
    _of_live_stack(deployment.tenant, label, found)
    for arn in _tagged(deployment.tenant):
        if (named := kinds.of_arn(arn)) and named[0].label == label:
            found.add(*named)
    _of_names(deployment, found)
    looked = [
        _look(deployment.tenant, kind, name, why, found)
        for (kind, name), why in found.known.items()
        if kind == label
    ]
    return [item for item in looked if item]


def _of_live_stack(tenant: Tenant, label: str, found: _Candidates) -> None:
    """Add what the tenant's stack has now of a type; nothing when there is no such stack."""
    try:
        stack_contents.own(tenant.stack_name)  # first: an unknown nested stack is no missing stack
    except ClientError as error:
        if aws.error_code(error) == "ValidationError":
            return
        raise
    for item in stack_contents.with_nested(tenant.stack_name):
        kind = kinds.of_type(item.type)
        if not kind or kind.label != label or item.is_gone or item.is_left:
            continue
        if name := kind.name_of(item.physical_id):
            found.add(kind, name)
            found.in_stack.add((label, name))


def _of_stack(deployment: Deployment, found: _Candidates) -> set[str]:
    """Add what CloudFormation says that the removed stack left; gives what it says is gone."""
    stack_id = _removed_stack(deployment)
    if not stack_id:
        return set()
    try:
        listed = list(stack_contents.with_nested(stack_id))
        _of_events(stack_id, found)
    except ClientError as error:
        if aws.is_busy(error):
            raise
        if aws.error_code(error) == "ValidationError":
            if _looked_before(deployment):
                return {stack_id}
            why = "CloudFormation does not know it any more (it does for 90 days)"
        else:
            why = str(error)
        found.unread.append(f"the resources of the stack {stack_id}: {why}")
        return {stack_id}
    types = {item.type for item in listed}
    for item in listed:
        if item.type == "AWS::Lambda::Function":
            found.functions.add(item.physical_id)
        if item.type == "AWS::ApiGateway::RestApi":
            _execution_logs(item.physical_id, found)
        if item.is_gone or not item.physical_id or kinds.PARTS.get(item.type) in types:
            continue
        kind = kinds.of_type(item.type)
        name = kind.name_of(item.physical_id) if kind else None
        if kind and name:
            found.add(kind, name)
            found.in_stack.add((kind.label, name))
        else:
            found.unknown.append(_unknown(item.type, item.physical_id))
    return {stack_id, *(item.physical_id for item in listed if item.is_gone and item.physical_id)}


def _of_events(stack_id: str, found: _Candidates) -> None:
    """Add what updates left behind long before the end (a layer's versions, what a new name
    replaced), and the functions that the stack ever had."""
    pages = aws.cloudformation().get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for number, page in enumerate(pages, start=1):
        for event in page["StackEvents"]:
            physical_id = event.get("PhysicalResourceId", "")
            kind = kinds.of_type(event.get("ResourceType", ""))
            if event.get("ResourceType") == "AWS::Lambda::Function" and physical_id:
                found.functions.add(physical_id)
            skipped = event.get("ResourceStatus") == "DELETE_SKIPPED"
            name = kind.name_of(physical_id) if kind and skipped else None
            if kind and name:
                found.add(kind, name)
                found.in_stack.add((kind.label, name))
        if number >= EVENT_PAGES and page.get("NextToken"):
            oldest = page["StackEvents"][-1]["Timestamp"]
            found.unread.append(
                f"the events of {stack_id} before {oldest:%Y-%m-%d} (more than 10,000)"
            )
            return


def _of_tags(tenant: Tenant, found: _Candidates, deleted: set[str]) -> None:
    """Add what carries the tenant's tag. `deleted`: what CloudFormation says is gone, which the
    index may still have."""
    try:
        arns = list(_tagged(tenant))
    except ClientError as error:
        if aws.is_busy(error):
            raise
        found.unread.append(f"the index of tags: {error}")
        return
    for arn in arns:
        if named := kinds.of_arn(arn):
            found.add(*named)
        elif not any(arn == one or arn.endswith((f"/{one}", f":{one}")) for one in deleted):
            service, resource = arn.split(":", 5)[2::3]
            if not any(arn.endswith(item.name) for item in found.unknown):
                found.unknown.append(_unknown(service, resource))


def _tagged(tenant: Tenant) -> Iterator[str]:
    """The ARNs of all resources that carry the tenant's tag, by the index; not its passwords."""
    pages = aws.tagging().get_paginator("get_resources")
    asked = pages.paginate(TagFilters=[{"Key": naming.OWNER_TAG, "Values": [tenant.stack_name]}])
    passwords = f":secret:{naming.secret_prefix(tenant)}"
    for page in asked:
        for item in page["ResourceTagMappingList"]:
            if passwords not in item["ResourceARN"]:
                yield item["ResourceARN"]


def _of_names(deployment: Deployment, found: _Candidates) -> None:
    """Add the buckets that the manifest names, and the pool of the stack's last outputs."""
    tenant, account = deployment.tenant, settings(OffboardSettings).account_id
    bucket, pool = kinds.labelled("bucket"), kinds.labelled("user-pool")
    table, admin = deployment.manifest.config, deployment.manifest.admin
    if bucket and table:
        config = naming.filled(table.bucket, tenant, account)
        found.known["bucket", config] = "holds the configuration, which outlives the stack"
    for name in deployment.manifest.stack.buckets:
        if bucket:
            found.add(bucket, naming.filled(name, tenant, account))
    if pool and admin:
        current = Listing(settings(OffboardSettings).table_name).current(tenant) or {}
        found.add(pool, (current.get("outputs") or {}).get(admin.user_pool))


def _of_earlier_look(deployment: Deployment, found: _Candidates) -> None:
    """Add what the last offboarding found left: CloudFormation forgets, the record does not."""
    for item in _earlier(deployment).get("items", []):
        if kind := kinds.labelled(item["kind"]):
            found.add(kind, item.get("id", item["name"]))
            if item.get("in_stack"):
                found.in_stack.add((kind.label, item.get("id", item["name"])))


def _looked_before(deployment: Deployment) -> bool:
    """Whether an earlier offboarding read all there was to read, and nothing was deployed since."""
    earlier = _earlier(deployment)
    return "items" in earlier and not earlier.get("unread")


def _earlier(deployment: Deployment) -> JsonObject:
    current = Listing(settings(OffboardSettings).table_name).current(deployment.tenant) or {}
    found: JsonObject = current.get("leftovers") or {}
    return found


def _removed_stack(deployment: Deployment) -> str | None:
    """The id of the tenant's last stack: the one that this offboarding removed, or one before."""
    listing = Listing(settings(OffboardSettings).table_name)
    for record in listing.newest_first(deployment.tenant):
        for of in (record, record.get("change_set") or {}, record.get("stack") or {}):
            if stack_id := of.get("removed_stack") or of.get("stack_id"):
                return str(stack_id)
    return None


def _logs(found: _Candidates) -> None:
    """Add the log groups that Lambda made for the stack's functions, which no stack has."""
    group = kinds.labelled("log-group")
    for function in found.functions:
        if group:
            name = f"/aws/lambda/{function}"
            found.add(group, name, "made by Lambda, outside the stack")
            found.in_stack.add((group.label, name))


def _execution_logs(api: str, found: _Candidates) -> None:
    """Add the log groups that API Gateway made for one of the stack's APIs."""
    if not api:
        return
    for name in kinds.log_groups_below(f"API-Gateway-Execution-Logs_{api}/"):
        found.known["log-group", name] = "made by API Gateway, outside the stack"
        found.in_stack.add(("log-group", name))


def _unknown(kind: str, name: str) -> Belonging:
    why = f"{KEPT}; nothing here removes this type, or sees whether it is gone: look, by hand"
    return Belonging(kind, name, why)


# What is there ------------------------------------------------------------------------------------


def _look(tenant: Tenant, label: str, name: str, why: str, found: _Candidates) -> Belonging | None:
    kind = next(kind for kind in kinds.KINDS if kind.label == label)
    in_stack = (label, name) in found.in_stack
    try:
        seen = kind.look(name)
        if seen and label == "log-group" and (user := _user_of(name, tenant)):
            return Belonging(label, name, why, seen.holds, f"{NOT_OURS}{user}")
    except ClientError as error:
        if aws.error_code(error) not in _DENIED:
            raise
        # It is there, so it is told: a name is taken once in the world.
        denied = f"access is denied; it may belong to another AWS account: {error}"
        return Belonging(label, name, why, foreign=denied, in_stack=in_stack, is_unreadable=True)
    if seen is None:
        return None
    if seen.protection:
        why = f"{why}; {seen.protection} is on, which a purge turns off"
    foreign = _foreign(tenant, seen, kind, in_stack=in_stack)
    return Belonging(label, name, why, seen.holds, foreign, kind, in_stack)


_DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")


_UNTAGGED = ("layer-version", "log-group")
"""Kinds that are the tenant's because its stack had them: layers take no tags, and log groups have
none when a service makes them. The record says so, for when CloudFormation has forgotten."""


def _foreign(tenant: Tenant, seen: Seen, kind: Kind, *, in_stack: bool) -> str | None:
    owner = seen.tags.get(naming.OWNER_TAG)
    if owner == tenant.stack_name:
        return None
    if owner:
        return f"{ANOTHERS} {naming.OWNER_TAG}={owner}"
    if in_stack and kind.label in _UNTAGGED:
        return None
    return f"{NOT_OURS}it has no tag of this tenant"


def _user_of(log_group: str, tenant: Tenant) -> str | None:
    """Who else writes into a log group: a function of that name that is not the tenant's."""
    function = log_group.removeprefix("/aws/lambda/")
    functions = kinds.labelled("function")
    if function == log_group or functions is None:
        return None
    seen = functions.look(function)
    if seen is None or seen.tags.get(naming.OWNER_TAG) == tenant.stack_name:
        return None
    return f"the function {function} of somebody else writes into it"


def _listed(item: Belonging, deadline: float) -> JsonObject:
    """An item as the record has it. `id`: where its name is shortened."""
    short = item.name.rsplit(":", 1)[-1] if item.name.startswith("arn:") else item.name
    listed: JsonObject = {"kind": item.kind, "name": short}
    if short != item.name:
        listed["id"] = item.name
    if item.foreign:
        return {**listed, "why": item.foreign}
    if item.remover is None:
        listed["by_hand"] = True
    elif item.kind in _UNTAGGED:
        listed["in_stack"] = True
    if item.kind == "bucket":
        return {**listed, **_counted(item.name, deadline), "why": item.why}
    return {**listed, **item.holds, "why": item.why}


def _counted(bucket: str, deadline: float) -> JsonObject:
    objects, older, more = 0, 0, False
    pages = aws.s3().get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        found = page.get("Versions", [])
        latest = sum(1 for version in found if version["IsLatest"])
        objects += latest
        older += len(found) - latest + len(page.get("DeleteMarkers", []))
        more = page["IsTruncated"] and time.monotonic() > deadline
        if more:
            break
    counted = {"objects": objects, "older_versions": older}
    return {**counted, "at_least": True} if more else counted
