"""Where the emulator's IAM differs from AWS: what a policy is compared with.

As in `patches`: each function explains the difference, checks what it replaces, and raises
UnexpectedEmulator otherwise. Standard library and `ministack` only.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

from local.errors import UnexpectedEmulator
from local.leading_keys import leading_key_values
from local.rewriting import emulator_module, install


def role_paths() -> None:
    """A policy on the roles below a path is evaluated against a role's path.

    Without this every role counts as one without a path, and a policy that names the path, as it
    should, allows nothing.
    """
    iam_actions = emulator_module("core.iam_actions")
    iam = emulator_module("services.iam")
    if not hasattr(iam, "_roles"):
        raise UnexpectedEmulator("ministack.services.iam has no _roles")
    known: Callable[..., str] = iam_actions.extract_resource_arn

    def with_path(*request: Any) -> str:
        arn = known(*request)
        if ":role/" not in arn or not arn.startswith("arn:aws:iam::"):
            return arn
        return str((iam._roles.get(arn.rpartition("/")[2]) or {}).get("Arn", arn))

    install("extract_resource_arn", with_path, [iam_actions])


def leading_keys() -> None:
    """A policy's `dynamodb:LeadingKeys` condition is evaluated.

    Without this the key is absent from every request: `ForAllValues:` conditions are then always
    met, and a function that must only see its own tenant's items sees all of them unnoticed.
    """
    iam_actions = emulator_module("core.iam_actions")
    dynamodb = emulator_module("services.dynamodb")
    if not hasattr(dynamodb, "_tables"):
        raise UnexpectedEmulator("ministack.services.dynamodb has no _tables")
    known: Callable[[bytes], dict[str, Any]] = iam_actions.dynamodb_service_context

    def key_schema(table: str, index: str | None) -> Any:
        found = dynamodb._tables.get(table.rpartition("table/")[2]) or {}
        indexes = [*(found.get("GlobalSecondaryIndexes") or []),
                   *(found.get("LocalSecondaryIndexes") or [])]  # fmt: skip
        return next((i for i in indexes if i.get("IndexName") == index), found).get("KeySchema", [])

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        context = known(body)
        if keys := leading_key_values(body, key_schema):
            context["dynamodb:LeadingKeys"] = keys
        return context

    install("dynamodb_service_context", with_leading_keys, [iam_actions])


def schedule_groups() -> None:
    """A policy on the schedules of a group is evaluated against that group.

    Without this every schedule counts as one of the group `default`, and a policy that names the
    group, as it should, allows nothing.
    """
    iam_actions = emulator_module("core.iam_actions")
    known: Callable[..., str] = iam_actions.extract_resource_arn
    if inspect.getsource(known).count(":schedule/default/{parts[si + 1]}") != 1:
        raise UnexpectedEmulator("extract_resource_arn does not put schedules into `default`")

    def with_group(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, *rest: Any
    ) -> str:
        arn = known(service, method, path, headers, body, query, *rest)
        if service != "scheduler" or ":schedule/default/" not in arn:
            return arn
        group = (query or {}).get("groupName")
        if group is None and body:
            group = json.loads(body).get("GroupName")
        group = group[0] if isinstance(group, list) else group
        return arn.replace(":schedule/default/", f":schedule/{group or 'default'}/")

    install("extract_resource_arn", with_group, [iam_actions])


def lambda_reads() -> None:
    """Reading one alias, one version of a layer or a function's URLs needs its own action, and so
    do listing and removing a layer's versions.

    Without this they count as ListAliases, ListLayers, GetFunction or as nothing, and a policy that
    allows what AWS asks for allows nothing.
    """
    iam_actions = emulator_module("core.iam_actions")
    known: Callable[[str, str], str | None] = iam_actions._lambda_action
    if known("GET", "/2018-10-31/layers/a/versions/1") != "ListLayers":
        raise UnexpectedEmulator("_lambda_action does not take a layer's version for ListLayers")

    def with_reads(method: str, path: str) -> str | None:
        match [part for part in path.split("/") if part][1:], method:
            case ["layers", _, "versions", _], "GET":
                return "GetLayerVersion"
            case ["layers", _, "versions"], "GET":
                return "ListLayerVersions"
            case ["layers", _, "versions", _], "DELETE":
                return "DeleteLayerVersion"
            case ["functions", _, "aliases", _], "GET":
                return "GetAlias"
            case ["functions", _, "urls"], "GET":
                return "ListFunctionUrlConfigs"
        return known(method, path)

    install("_lambda_action", with_reads, [iam_actions])


def tables_by_arn() -> None:
    """A policy on a table is evaluated also for calls that name the table by its ARN: its tags.

    Without this ListTagsOfResource is on no table, and a policy that names the tables allows none.
    """
    iam_actions = emulator_module("core.iam_actions")
    known: Callable[..., list[str]] = iam_actions.dynamodb_resource_arns

    def with_arn(body: bytes, *rest: Any) -> list[str]:
        arns = known(body, *rest)
        if arns or body[:1] != b"{":
            return arns
        arn = json.loads(body).get("ResourceArn")
        return [str(arn)] if arn else []

    install("dynamodb_resource_arns", with_arn, [iam_actions])


def change_sets_by_arn() -> None:
    """A policy on change sets is evaluated for calls that name one by its ARN, without its stack:
    those of nested stacks.

    Without this such a call is on no resource, and a policy that names change sets allows nothing.
    """
    iam_actions = emulator_module("core.iam_actions")
    known: Callable[..., str] = iam_actions.extract_resource_arn
    if not hasattr(iam_actions, "_query_param"):
        raise UnexpectedEmulator("ministack.core.iam_actions has no _query_param")

    def with_change_set(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, *rest: Any
    ) -> str:
        arn = known(service, method, path, headers, body, query, *rest)
        if service != "cloudformation" or arn != "*":
            return arn
        named = str(iam_actions._query_param(query, "ChangeSetName") or "")
        return named if named.startswith("arn:") else arn

    install("extract_resource_arn", with_change_set, [iam_actions])


def user_pool_tags() -> None:
    """A policy's `aws:ResourceTag` condition on a user pool is evaluated.

    Without this the key is absent from every request, and a policy that names the pools it is for
    by their tag, which is the only way as their ARNs are random, allows nothing.
    """
    iam_actions = emulator_module("core.iam_actions")
    cognito = emulator_module("services.cognito")
    if not hasattr(cognito, "_user_pools"):
        raise UnexpectedEmulator("ministack.services.cognito has no _user_pools")
    known: Callable[..., dict[str, Any]] = iam_actions.request_tag_context

    def with_pool_tags(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        context = known(service, iam_action, body, params)
        if service not in ("cognito-idp", "cognito_idp") or body[:1] != b"{":
            return context
        pool = cognito._user_pools.get(json.loads(body).get("UserPoolId", "")) or {}
        tags = pool.get("UserPoolTags") or {}
        return {**context, **{f"aws:ResourceTag/{key}": value for key, value in tags.items()}}

    install("request_tag_context", with_pool_tags, [iam_actions])


def policy_variables() -> None:
    """`${aws:PrincipalTag/…}` and its like in a statement's resources and conditions are replaced
    by their values; one without a value matches nothing.

    Without this they are text, and a policy that allows what has the caller's own tag, or its name,
    allows nothing.
    """
    evaluator = emulator_module("core.iam_evaluator")
    known: Callable[..., Any] = evaluator._first_match
    if "stmt.resources" not in inspect.getsource(known):
        raise UnexpectedEmulator("_first_match does not compare the resources of statements")

    def filled(value: Any, context: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(item, context) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, context) for item in value]
        if not isinstance(value, str):
            return value

        def replaced(variable: re.Match[str]) -> str:
            found = evaluator._resolve_condition_key(variable[1], context)
            return found if isinstance(found, str) else _MATCHES_NOTHING

        return _VARIABLE.sub(replaced, value)

    def with_values(context: Any, statements: list[Any], effect: str) -> Any:
        of_effect = [statement for statement in statements if statement.effect == effect]
        return known(
            context,
            [
                dataclasses.replace(
                    statement,
                    resources=filled(statement.resources, context),
                    not_resources=filled(statement.not_resources, context),
                    conditions=filled(statement.conditions, context),
                )
                for statement in of_effect
            ],
            effect,
        )

    install("_first_match", with_values, [evaluator])


_VARIABLE = re.compile(r"\$\{(aws:[^}]+)\}")
_MATCHES_NOTHING = "\0"
