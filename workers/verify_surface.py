"""What a stranger could try of a live tenant: its routes that ask for a sign-in, and its buckets.

Read from the templates as they are deployed, the root stack's and those nested in it, and from the
stacks' resources: no manifest can leave one out. RunTests tries them; the proof counts them again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws, naming
from control_plane.errors import TenantNotReady
from control_plane.models import Deployment, JsonObject
from control_plane.rules import api_routes, nested_templates
from control_plane.rules import template_values as values
from control_plane.rules.api_routes import Route
from control_plane.rules.nested_templates import Part
from control_plane.rules.template_values import Resolved
from control_plane.services import stack_contents, stack_reading
from control_plane.services.ownership import Resource
from control_plane.settings import VerifySettings, settings

FILLED = "syndi-isolation-test"
"""What a path's parameters are filled with, and the key of an object that is not there."""

_MAKE_STAGES = (
    "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage",
)  # fmt: skip
"""The types that make a stage; a deployment does where it has a StageName."""

_PARAMETER = re.compile(r"\{[^}]*\}")


class SurfaceUnknown(Exception):
    """What has to be tried cannot be read from the tenant's templates; the message says why."""


@dataclass(frozen=True)
class Surface:
    """What has to be tried. `routes`: with its address, which is empty where none is known.
    `buckets`: by name, the key of an object to read."""

    routes: tuple[tuple[Route, str], ...]
    buckets: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """How many there are, as the proof has it."""
        return {"routes": len(self.routes), "buckets": len(self.buckets)}


def surface(
    deployment: Deployment,
    endpoint: str,
    parameters: Mapping[str, str],
    owned: Iterable[Resource],
    template_of: Callable[[str], JsonObject],
) -> Surface:
    """What has to be tried of a tenant.

    `endpoint`: its address. `parameters`: the stack's. `owned`: its resources, with those of nested
    stacks. `template_of`: the processed template of a stack by its name or id. Raises
    SurfaceUnknown.
    """
    stack, known = deployment.tenant.stack_name, settings(VerifySettings)
    here = values.Stack(stack, known.account_id, known.aws_region, "aws", parameters=parameters)
    kept = [resource for resource in owned if not resource.is_left]
    physical: dict[str, str] = {}
    parts = _parts(stack, here, "", kept, physical, template_of)
    templates = nested_templates.joined(parts, physical)
    routes = [found for one in templates for found in _addresses(endpoint, one, physical)]
    return Surface(
        routes=tuple({(route.name, url): (route, url) for route, url in routes}.values()),
        buckets=_buckets(deployment, templates, physical),
    )


def _parts(
    stack_id: str,
    here: values.Stack,
    path: str,
    owned: Iterable[Resource],
    physical: dict[str, str],
    template_of: Callable[[str], JsonObject],
) -> list[Part]:
    """The templates of a stack and of those nested in it, with the values that they have; their
    physical ids by path are added to `physical`."""
    mine = {r.logical_id: r for r in owned if r.stack_id == stack_id}
    physical |= {path + name: resource.physical_id for name, resource in mine.items()}
    below: list[Part] = []
    outputs: dict[str, Mapping[str, str]] = {}
    for name, resource in mine.items():
        if resource.type != stack_contents.NESTED:
            continue
        found = stack_reading.describe(resource.physical_id)
        if found is None:
            raise TenantNotReady(f"{path}{name}: the nested stack {resource.physical_id} is gone")
        outputs[name] = {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])}
        inner = values.Stack(
            found["StackName"], here.account, here.region, here.partition,
            parameters=stack_reading.parameters(found), stack_id=resource.physical_id,
        )  # fmt: skip
        below += _parts(resource.physical_id, inner, f"{path}{name}/", owned, physical, template_of)
    here = values.Stack(
        here.name, here.account, here.region, here.partition, here.parameters, here.stack_id,
        nested=outputs,
    )  # fmt: skip
    try:
        variants = list(values.variants(template_of(stack_id), here))
    except (ValueError, values.Undecidable) as error:
        raise SurfaceUnknown(f"{path}template: {error}") from error
    return [Part(path, nested_templates.in_place(variants, frozenset(mine))), *below]


# Routes -------------------------------------------------------------------------------------------


def _addresses(
    endpoint: str, template: Resolved, physical: Mapping[str, str]
) -> Iterator[tuple[Route, str]]:
    """Every route with an authorizer, on every stage of its API; one without a stage has an empty
    address."""
    region = settings(VerifySettings).aws_region
    for api in api_routes.apis(template):
        resource = template.resources[api.logical_id]
        closed = str(resource.properties.get("DisableExecuteApiEndpoint")).lower() == "true"
        stages = [
            str(item.properties.get("StageName"))
            for item in template.resources.values()
            if item.kind in _MAKE_STAGES
            and item.properties.get("StageName")
            and values.own_resource(
                str(item.properties.get("RestApiId") or item.properties.get("ApiId"))
            )
            == api.logical_id
        ]
        host = f"https://{physical.get(api.logical_id, '')}.execute-api.{region}.amazonaws.com"
        bases = [host if stage == "$default" else f"{host}/{stage}" for stage in stages]
        is_there = api.logical_id in physical
        for route in api.routes:
            if not any(authorizer.kind != "key" for authorizer in route.authorizers):
                continue
            if not closed and (not bases or not is_there):
                yield route, ""
            for base in [endpoint] if closed else bases if is_there else []:
                yield route, base + _PARAMETER.sub(FILLED, route.path)


# Buckets ------------------------------------------------------------------------------------------


def _buckets(
    deployment: Deployment, templates: Iterable[Resolved], physical: Mapping[str, str]
) -> dict[str, str]:
    manifest, tenant = deployment.manifest, deployment.tenant
    account, public = settings(VerifySettings).account_id, manifest.isolation.public
    names, declared = set[str](), {""}
    for template in templates:
        for path, resource in template.resources.items():
            if resource.kind != "AWS::S3::Bucket":
                continue
            # A logical id is declared, in whichever stack it is (rules/exposure).
            if path.rpartition("/")[2] in public:
                declared |= {physical.get(path, ""), resource.name or ""}
            else:
                names.add(physical.get(path, ""))
    patterns = [*manifest.stack.buckets, *([manifest.config.bucket] if manifest.config else [])]
    names |= {naming.filled(pattern, tenant, account) for pattern in patterns}
    keys = {name: _a_key(name) for name in sorted(names - declared)}
    return {name: key for name, key in keys.items() if key is not None}


def _a_key(bucket: str) -> str | None:
    """The key of an object, or one that is not there; None where there is no such bucket."""
    try:
        page = aws.s3().list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        if aws.error_code(error) == "NoSuchBucket":
            return None
        raise
    return next((item["Key"] for item in page.get("Contents", [])), FILLED)
