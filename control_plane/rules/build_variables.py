"""The variables that say whose build it is: only a build of one tenant alone has them.

A build is made once for all tenants of an environment. Commands that read a tenant's name would
give every other tenant files that were made for this one.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from control_plane.manifest import FILE_NAME, Manifest

TENANT_VARIABLES = ("TENANT_ENV", "TENANT_ORG", "STACK_NAME")
"""Environment, organization and stack, in a build with `per_tenant = true`."""

Read = Callable[[str], str | None]
"""Gives a text file of the source, or None where there is none or it is no text."""

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in make's own order
_ANY = re.compile(rf"(?<![A-Za-z0-9_])({'|'.join(TENANT_VARIABLES)})(?![A-Za-z0-9_])")


def uses(described: Manifest, template: Mapping[str, Any], read: Read) -> list[str]:
    """Where a shared build reads a variable that it does not get, each as `place: line`.

    Seen are the manifest's commands, the scripts and Makefiles that they name, and what the
    template's `Metadata` says of a function's build with its Makefile. What a script calls in turn
    is not seen: there the variable is simply not set.
    """
    if described.build.per_tenant:
        return []
    found = [
        f"{FILE_NAME} build.commands: {command}"
        for command in described.build.commands
        if _reading(command)
    ]
    for path in sorted(_files(described.build.commands, template, read)):
        text = read(path) or ""
        found += [f"{path} line {number}: {line.strip()}" for number, line in _reading(text)]
    for name, resource in _resources(template):
        metadata = json.dumps(resource.get("Metadata"), default=str)
        if _ANY.search(metadata):
            found.append(f"{described.build.template} {name}.Metadata: {metadata[:200]}")
    return found


def _reading(text: str) -> list[tuple[int, str]]:
    """The lines that read a variable which the text does not set itself, with their numbers."""
    unset = [name for name in TENANT_VARIABLES if name in text and not _sets(text, name)]
    return [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if any(found[0] in unset for found in _ANY.finditer(line))
    ]


def _sets(text: str, name: str) -> bool:
    """Whether a value is given, as make, a shell and most languages write it, that is not the
    variable's own."""
    given = re.finditer(rf"(?m)(?:^|[;&|(\s])(?:export\s+)?{name}\s*[:?+]{{0,3}}=(?!=)(.*)$", text)
    return any(not re.search(rf"(?<![A-Za-z0-9_]){name}(?![A-Za-z0-9_])", one[1]) for one in given)


def _files(commands: Iterable[str], template: Mapping[str, Any], read: Read) -> set[str]:
    """The files of the source that the commands and the template's own builds run."""
    found: set[str] = set()
    for command in commands:
        words = re.findall(r"[^\s;&|()<>\"'`]+", command)
        candidates = [word.removeprefix("./") for word in words]
        candidates += [
            f"{word.replace('.', '/')}.py" for word in words
        ]  # python3 -m package.module
        if {"npm", "npx", "yarn", "pnpm"} & set(words):
            candidates.append("package.json")
        if "make" in words or "gmake" in words:
            directories = [".", *(after for before, after in pairwise(words) if before == "-C")]
            for directory in directories:
                candidates += _first_makefile(directory, read)
        found |= {path for path in candidates if _is_inside(path) and read(path) is not None}
    for _, resource in _resources(template):
        if (resource.get("Metadata") or {}).get("BuildMethod") == "makefile":
            properties = resource.get("Properties") or {}
            directory = properties.get("CodeUri") or properties.get("ContentUri")
            globals_ = (template.get("Globals") or {}).get("Function") or {}
            found |= set(_first_makefile(directory or globals_.get("CodeUri") or ".", read))
    return found


def _first_makefile(directory: object, read: Read) -> list[str]:
    if not isinstance(directory, str):
        return []
    paths = [str(PurePosixPath(directory) / name) for name in _MAKEFILES]
    return [path for path in paths if _is_inside(path) and read(path) is not None][:1]


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _resources(template: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    resources = template.get("Resources")
    if not isinstance(resources, Mapping):
        return []
    return [(name, one) for name, one in resources.items() if isinstance(one, Mapping)]
