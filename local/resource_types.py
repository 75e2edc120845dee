"""Writes what AWS publishes about resource types, from the schemas of all regions in cfn-lint.

`make resource-types`: control_plane/rules/resource_types.py, by which a worker can tell a type that
holds no data from one that nobody has decided about; and replacing_properties.json, by which the
laptop's change sets say what is replaced of that which holds data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from control_plane.rules.data import HOLDS_DATA

PROPERTIES = Path(__file__).parent / "replacing_properties.json"
TARGET = Path(__file__).parents[1] / "control_plane" / "rules" / "resource_types.py"


def published() -> set[str]:
    """Every resource type of cfn-lint's schemas, SAM's and CDK's included."""
    # A development tool, which a worker does not have.
    from cfnlint.helpers import REGIONS
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    return {kind for of in REGIONS for kind in PROVIDER_SCHEMA_MANAGER.get_resource_types(of)}


def module(types: set[str], source: str, date: str) -> str:
    """The text of the module: one line a service."""
    services: dict[str, list[str]] = {}
    for kind in sorted(types):
        service, _, name = kind.rpartition("::")
        services.setdefault(service, []).append(name)
    lines = "\n".join(f"{service} {' '.join(names)}" for service, names in services.items())
    return (
        '"""The resource types that AWS publishes. Generated: `make resource-types`."""\n\n'
        "# ruff: noqa: E501\n\n"
        f'SOURCE = "{source}"\n'
        f'PUBLISHED_AT = "{date}"\n\n'
        f'_TYPES = """\n{lines}\n"""\n\n'
        "PUBLISHED = frozenset(\n"
        '    f"{service}::{name}"\n'
        '    for service, *names in (line.split() for line in _TYPES.split("\\n") if line)\n'
        "    for name in names\n"
        ")\n"
    )


def replacing(types: Collection[str]) -> dict[str, dict[str, list[str]]]:
    """By type, the properties whose change replaces a resource (`Always`), or may."""
    from cfnlint.helpers import REGIONS
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    found: dict[str, dict[str, list[str]]] = {}
    for kind in sorted(types):
        for region in ("us-east-1", *REGIONS):
            if kind in PROVIDER_SCHEMA_MANAGER.get_resource_types(region):
                schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema
                found[kind] = _replacing(schema)
                break
    return found


def _replacing(schema: dict[str, Any]) -> dict[str, list[str]]:
    """A property of which only a part replaces the resource does so conditionally."""
    found: dict[str, set[str]] = {"Always": set(), "Conditionally": set()}
    for pointer in schema.get("createOnlyProperties") or []:
        _, _, name, *parts = pointer.split("/")
        found["Conditionally" if parts else "Always"].add(name)
    for pointer in schema.get("conditionalCreateOnlyProperties") or []:
        found["Conditionally"].add(pointer.split("/")[2])
    return {kind: sorted(names) for kind, names in found.items()}


def main() -> None:
    """Write both."""
    lines = (f"{json.dumps(kind)}: {json.dumps(of)}" for kind, of in replacing(HOLDS_DATA).items())
    PROPERTIES.write_text("{" + ",\n".join(lines) + "}\n")
    source = f"the resource schemas of cfn-lint {version('cfn-lint')}"
    TARGET.write_text(module(published(), source, f"{datetime.now(UTC):%Y-%m-%d}"))
    sys.stdout.write(f"{TARGET}\n")


if __name__ == "__main__":
    main()
