"""Whether configurations fit the JSON Schema of their application, before anything uses them.

Decided at each door: when a source is pushed, when overrides are stored, when a deployment starts
(before its build), and again when it uploads.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from control_plane.errors import ConfigInvalid, InvalidRequest
from control_plane.manifest import ConfigTable, Manifest
from control_plane.models import ORG_PATTERN, Env, JsonObject, Mode, Tenant
from control_plane.rules import config, config_schema
from control_plane.rules.config import Layer
from control_plane.rules.config_schema import ConfigSchema, with_outputs_unknown
from control_plane.store.overrides import Overrides
from control_plane.store.sources import SourceArchive


class Stores(Protocol):
    """What a front door and the record worker both know: where sources and overrides are."""

    @property
    def artifact_bucket(self) -> str: ...
    @property
    def table_name(self) -> str: ...


ORGANIZATIONS = 2000
"""Organizations with files of their own that a push looks at; the request has 29 s. Those beyond
are looked at when they are deployed."""

SHOWN = 20
"""Problems that a refused push tells."""


def schema_of(archive: SourceArchive, table: ConfigTable | None) -> ConfigSchema | None:
    """The schema of a source; None where its manifest names none.

    Raises InvalidRequest when the file is missing, or is no schema that can be applied.
    """
    if table is None or table.schema_ is None:
        return None
    text = archive.read(table.schema_)
    if text is None:
        raise InvalidRequest.of("config.schema", f"{table.schema_} is missing from the source")
    return ConfigSchema.parse(table.schema_, text)


def check_start(tenant: Tenant, mode: Mode, source: str, manifest: Manifest, known: Stores) -> None:
    """Raise InvalidRequest for a deployment whose configuration does not fit: before its build.

    Only of `full`, which brings the configuration of the source that it builds; the other modes
    have no build to save, and their upload decides.
    """
    table = manifest.config
    if mode != Mode.FULL or table is None or table.schema_ is None:
        return
    archive = SourceArchive.fetch(known.artifact_bucket, tenant, source)
    overrides = Overrides(known.table_name).latest(tenant).content
    check_deployable(archive, table, tenant, overrides)


def check_deployable(
    archive: SourceArchive, table: ConfigTable, tenant: Tenant, overrides: JsonObject
) -> None:
    """Raise InvalidRequest that names the keys of a tenant's configuration that do not fit.

    What the stack will set is not known yet, and fits. An application without a schema has nothing
    to be checked by.
    """
    schema = schema_of(archive, table)
    if schema is None:
        return
    try:
        files = config.file_layers(table, tenant, archive.read)
    except ConfigInvalid as error:
        raise InvalidRequest.of("source", str(error)) from error
    layers = [*files, Layer(config.STORED, overrides)]
    config_schema.check_fits(schema, with_outputs_unknown(table, config.merged(layers)), layers)


def check_source(archive: SourceArchive, manifest: Manifest, environments: Iterable[Env]) -> None:
    """Raise InvalidRequest for a source whose configuration files could never be deployed.

    Each file must be a JSON object. With a schema, each environment's files must fit it, merged,
    and each organization's over them: of the environments that shall deploy the source, and of
    those that have files. Stored overrides are not known here: a source serves many tenants.
    """
    table = manifest.config
    if table is None:
        return
    schema = schema_of(archive, table)
    base = f"{table.directory}/base.json"
    if archive.read(base) is None:
        raise InvalidRequest.of("source", f"{base} is missing from the source")
    found = _organizations(archive, table)
    named = set(environments)
    problems: dict[str, tuple[str, str]] = {}
    for env in Env:
        orgs = found[env]
        if not (env in named or orgs or archive.read(f"{table.directory}/{env}.json") is not None):
            continue
        # Where organizations have files, an environment's need not be complete.
        problems |= _problems(archive, table, schema, env, None, complete=not orgs)
        for org in orgs[:ORGANIZATIONS]:
            problems |= _problems(archive, table, schema, env, org, complete=True)
            if len(problems) >= SHOWN:
                break
    if not named and not problems:
        problems |= _problems(archive, table, schema, None, None, complete=False)
    if problems:
        shown = list(problems.values())[:SHOWN]
        raise InvalidRequest(
            "; ".join(f"{field} {reason}" for field, reason in shown),
            [{"field": field, "reason": reason} for field, reason in shown],
        )


def _organizations(archive: SourceArchive, table: ConfigTable) -> dict[Env, list[str]]:
    """The organizations that have files, by environment."""
    pattern = ORG_PATTERN.removeprefix("^").removesuffix("$")
    name = re.compile(rf"{re.escape(table.directory)}/({'|'.join(Env)})-({pattern})\.json")
    found: dict[Env, list[str]] = {env: [] for env in Env}
    for path in archive.names():
        if match := name.fullmatch(path):
            found[Env(match[1])].append(match[2])
    return found


def _problems(
    archive: SourceArchive,
    table: ConfigTable,
    schema: ConfigSchema | None,
    env: Env | None,
    org: str | None,
    *,
    complete: bool,
) -> dict[str, tuple[str, str]]:
    """What is wrong with one merge of files, (field, reason) by what makes it the same elsewhere.

    `complete`: no other layer can bring a required key any more.
    """
    parts = ["base", *([str(env)] if env else []), *([f"{env}-{org}"] if org else [])]
    names = [f"{table.directory}/{part}.json" for part in parts]
    layers: list[Layer] = []
    for name in names:
        text = archive.read(name)
        if text is None:
            continue
        try:
            layers.append(Layer(name, config.parse_layer(name, text)))
        except ConfigInvalid as error:
            return {name: (name, str(error).removeprefix(f"{name} "))}
    if schema is None:
        return {}
    found = schema.problems(with_outputs_unknown(table, config.merged(layers)))
    named: dict[str, tuple[str, str]] = {}
    for problem in found:
        if problem.is_missing and not complete:
            continue
        file = config_schema.origin(layers, problem.path)
        place = f"in {file}" if file else f"in {', '.join(names)} together"
        # The file that has it makes it the same in every merge; what is missing is of the merge.
        named[f"{file or names[-1]} {problem}"] = (problem.field, f"({place}) {problem.reason}")
    return named
