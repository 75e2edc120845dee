"""The routes of a template's APIs, and who is let in: by OpenAPI definition, and by resource. Pure.

Sources: API Gateway developer guide, OpenAPI extensions (`x-amazon-apigateway-authorizer`,
`x-amazon-apigateway-any-method`) and important notes: a `security` at the root of a definition is
ignored, only that of an operation counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.models import JsonObject
from control_plane.rules import template_values as values
from control_plane.rules.template_values import Resolved, Resource

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_ANY = "x-amazon-apigateway-any-method"
REST, HTTP = "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"


@dataclass(frozen=True)
class Authorizer:
    """Who decides about a request.

    `kind`: `cognito`, `jwt`, `lambda`, `iam`, `key`, or `none` for a scheme without an authorizer.
    `trusts`: the pools' ARNs, the issuer, or the function's address.
    """

    place: str
    kind: str
    trusts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A method of a path. `authorizers`: the alternatives of which one has to let a request in;
    empty for a route that is open. `optional`: one of the alternatives is to have none."""

    api: str
    method: str
    path: str
    authorizers: tuple[Authorizer, ...]
    optional: bool = False

    @property
    def name(self) -> str:
        """`GET /drafts/{id}`"""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Api:
    """An API of the template. `is_readable` is False for a definition that lies elsewhere."""

    logical_id: str
    kind: str
    authorizers: tuple[Authorizer, ...]
    routes: tuple[Route, ...]
    is_readable: bool = True


def apis(template: Resolved) -> list[Api]:
    """The APIs that a template makes."""
    return [
        _api(resource, template)
        for resource in template.resources.values()
        if resource.kind in (REST, HTTP)
    ]


def _api(resource: Resource, template: Resolved) -> Api:
    body = resource.properties.get("Body")
    by_resource = dict(_authorizers_by_resource(resource, template))
    if body is None:
        routes = tuple(_routes_by_resource(resource, template, by_resource))
        elsewhere = "BodyS3Location" in resource.properties
        return Api(
            resource.logical_id, resource.kind, tuple(by_resource.values()), routes, not elsewhere
        )
    if not isinstance(body, dict):
        return Api(resource.logical_id, resource.kind, (), (), is_readable=False)
    schemes = _schemes(resource.logical_id, body)
    routes = (
        *_routes(resource.logical_id, body, schemes),
        *_routes_by_resource(resource, template, by_resource),
    )
    return Api(
        resource.logical_id, resource.kind, (*schemes.values(), *by_resource.values()), routes
    )


# An OpenAPI definition ----------------------------------------------------------------------------


def _schemes(api: str, body: JsonObject) -> dict[str, Authorizer]:
    """The security schemes of a definition, by name."""
    components = body.get("components")
    found = body.get("securityDefinitions") or (
        components.get("securitySchemes") if isinstance(components, dict) else None
    )
    return {
        name: _scheme(f"{api}, authorizer {name}", scheme)
        for name, scheme in (found if isinstance(found, dict) else {}).items()
        if isinstance(scheme, dict)
    }


def _scheme(place: str, scheme: JsonObject) -> Authorizer:
    if str(scheme.get("x-amazon-apigateway-authtype", "")).lower() == "awssigv4":
        return Authorizer(place, "iam")
    given = scheme.get("x-amazon-apigateway-authorizer")
    if not isinstance(given, dict):
        is_key = scheme.get("type") == "apiKey" and str(scheme.get("name")).lower() == "x-api-key"
        return Authorizer(place, "key" if is_key else "none")
    match str(given.get("type", "")).lower():
        case "cognito_user_pools":
            return Authorizer(place, "cognito", _listed(given.get("providerARNs")))
        case "jwt":
            configured = given.get("jwtConfiguration")
            issuer = configured.get("issuer") if isinstance(configured, dict) else None
            return Authorizer(place, "jwt", _listed(issuer))
        case "token" | "request":
            return Authorizer(place, "lambda", _listed(given.get("authorizerUri")))
    return Authorizer(place, "none")


def _routes(api: str, body: JsonObject, schemes: Mapping[str, Authorizer]) -> Iterator[Route]:
    for path, item in (body.get("paths") or {}).items():
        for method, operation in (item if isinstance(item, dict) else {}).items():
            if method.lower() not in _METHODS and method != _ANY:
                continue
            given = operation.get("security") if isinstance(operation, dict) else None
            names = [list(entry) for entry in given or [] if isinstance(entry, dict)]
            yield Route(
                api=api,
                method="ANY" if method == _ANY else method.upper(),
                path=str(path),
                authorizers=tuple(
                    schemes.get(name, Authorizer(f"{api}, authorizer {name}", "none"))
                    for entry in names
                    for name in entry
                ),
                optional=[] in names,
            )


# Resources of their own ---------------------------------------------------------------------------


def _authorizers_by_resource(api: Resource, template: Resolved) -> Iterator[tuple[str, Authorizer]]:
    for resource in template.resources.values():
        given, name = resource.properties, resource.logical_id
        if not _is_of(given, api):
            continue
        if resource.kind == "AWS::ApiGateway::Authorizer":
            match given.get("Type"):
                case "COGNITO_USER_POOLS":
                    yield name, Authorizer(name, "cognito", _listed(given.get("ProviderARNs")))
                case _:
                    yield name, Authorizer(name, "lambda", _listed(given.get("AuthorizerUri")))
        elif resource.kind == "AWS::ApiGatewayV2::Authorizer":
            configured = given.get("JwtConfiguration")
            if isinstance(configured, dict):
                yield name, Authorizer(name, "jwt", _listed(configured.get("Issuer")))
            else:
                yield name, Authorizer(name, "lambda", _listed(given.get("AuthorizerUri")))


def _routes_by_resource(
    api: Resource, template: Resolved, authorizers: Mapping[str, Authorizer]
) -> Iterator[Route]:
    for resource in template.resources.values():
        given = resource.properties
        if not _is_of(given, api):
            continue
        if resource.kind == "AWS::ApiGateway::Method":
            method, path = str(given.get("HttpMethod")), _path(given.get("ResourceId"), template)
        elif resource.kind == "AWS::ApiGatewayV2::Route":
            method, _, path = str(given.get("RouteKey")).partition(" ")
            if not path:
                method, path = "ANY", "/" + method
        else:
            continue
        kind = str(given.get("AuthorizationType", "NONE")).upper()
        found: tuple[Authorizer, ...]
        if kind == "AWS_IAM":
            found = (Authorizer(resource.logical_id, "iam"),)
        elif kind == "NONE":
            found = ()
        else:
            named = values.own_resource(str(given.get("AuthorizerId", ""))) or ""
            missing = Authorizer(f"{resource.logical_id}, AuthorizerId", "none")
            found = (authorizers.get(named, missing),)
        yield Route(api.logical_id, method.upper(), path, found)


def _path(resource_id: Any, template: Resolved) -> str:
    """The path of an AWS::ApiGateway::Resource, or `/` of its API's root."""
    parts: list[str] = []
    while True:
        resource = template.resources.get(values.own_resource(str(resource_id)) or "")
        if resource is None or resource.kind != "AWS::ApiGateway::Resource" or len(parts) > 30:
            return "/" + "/".join(reversed(parts))
        parts.append(str(resource.properties.get("PathPart")))
        resource_id = resource.properties.get("ParentId")


def _is_of(given: JsonObject, api: Resource) -> bool:
    named = given.get("RestApiId") or given.get("ApiId")
    return isinstance(named, str) and values.own_resource(named) == api.logical_id


def _listed(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(str(item) for item in items)
