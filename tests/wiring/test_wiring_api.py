"""The API of template.yaml: the routes of the code, each signed, and who may call the function."""

import ast
import json
import re
from typing import Any

import pytest
from asl_graph import Json
from sam_template import functions, properties
from sam_translation import translated
from source_code import files, tree

METHODS = {"get", "post", "put", "delete", "patch", "head"}

POLICY_BYTES = 20 * 1024
"""Lambda's limit of a function's resource policy, which cannot be raised."""


def _routes_in_code() -> set[tuple[str, str]]:
    """(method, path) of every decorated route, in API Gateway's spelling."""
    found = set()
    for path in files("control_plane"):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef):
                continue
            for call in node.decorator_list:
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr in METHODS
                ):
                    route = ast.literal_eval(call.args[0])
                    found.add((call.func.attr, re.sub(r"<(\w+)>", r"{\1}", route)))
    return found


def _operations(paths: Json) -> dict[tuple[str, str], Json]:
    """What an OpenAPI description says of each (method, path)."""
    return {(method, path): said for path, item in paths.items() for method, said in item.items()}


def _routes() -> dict[tuple[str, str], Json]:
    return _operations(properties("Api")["DefinitionBody"]["paths"])


def test_the_template_has_the_routes_of_the_code() -> None:
    routes = _routes_in_code()
    assert len(routes) >= 14
    assert set(_routes()) == routes


def test_every_route_calls_the_function_that_is_live() -> None:
    for route, said in _routes().items():
        integration = said["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy", route
        assert integration["httpMethod"] == "POST", route
        assert "/functions/${ApiFunction.Alias}/invocations" in integration["uri"]["Sub"], route


def test_every_route_asks_for_a_signature() -> None:
    """In what CloudFormation gets: how SAM brings the one authorizer to every route is SAM's."""
    assert properties("Api")["Auth"] == {"DefaultAuthorizer": "AWS_IAM", "InvokeRole": "NONE"}
    assert not any("security" in said for said in _routes().values()), "a route of its own mind"
    body = translated()["Api"]["Properties"]["Body"]
    (scheme,) = body["components"]["securitySchemes"].items()
    assert scheme[1]["x-amazon-apigateway-authtype"] == "awsSigv4"
    translated_routes = _operations(body["paths"])
    assert set(translated_routes) == set(_routes())
    for route, said in translated_routes.items():
        assert said["security"] == [{scheme[0]: []}], route
        assert "credentials" not in said["x-amazon-apigateway-integration"], route


def test_no_function_has_routes_as_events() -> None:
    """SAM would give each a permission, of which a function's policy does not hold many."""
    for name, function in functions().items():
        kinds = {event["Type"] for event in function.get("Events", {}).values()}
        assert not kinds & {"Api", "HttpApi"}, name


# Who may call a function -------------------------------------------------------------------------


def _may_call(function: str) -> list[Json]:
    """The permissions for a function or its alias."""
    return [
        item["Properties"]
        for item in translated().values()
        if item["Type"] == "AWS::Lambda::Permission"
        and function in json.dumps(item["Properties"]["FunctionName"])
    ]


def _statement(permission: Json) -> Json:
    """As Lambda keeps it, in an account where all names are as long as they get."""
    arn: Any = permission["SourceArn"]
    source = json.dumps(arn) if isinstance(arn, dict) else arn
    return {
        "Sid": f"control-plane-stage-{'o' * 22}-{'p' * 40}-{'r' * 12}",
        "Effect": "Allow",
        "Principal": {"Service": permission["Principal"]},
        "Action": permission["Action"],
        "Resource": f"arn:aws:lambda:ap-southeast-1:123456789012:function:{'f' * 64}:live",
        "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }


@pytest.mark.parametrize("function", functions())
def test_who_may_call_a_function_fits_into_its_policy(function: str) -> None:
    statements = [_statement(permission) for permission in _may_call(function)]
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
    assert len(json.dumps(policy)) < POLICY_BYTES


def test_the_api_may_call_its_function_and_nobody_else() -> None:
    (permission,) = _may_call("ApiFunction")
    assert permission["FunctionName"] == {"Ref": "ApiFunctionAliaslive"}
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${AWS::AccountId}:${Api}/*")
