"""When a function may be patched past CloudFormation, and with which package: pure rules.

A patch brings code and nothing else. What else a source changes would be lost until the next full
deployment, and the code might rely on it: so it is refused, by name.
"""

import hashlib
import io
import posixpath
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from control_plane import manifest, naming
from control_plane.manifest import Manifest, PackageTable
from control_plane.models import JsonObject, Tenant

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


@dataclass(frozen=True)
class SourceFiles:
    """A source as the rule looks at it: `files` are all its files (path to bytes)."""

    manifest: Manifest
    template: JsonObject
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Package:
    """Where a function's code lies in S3, and its SHA-256 as Lambda gives it (base64)."""

    bucket: str
    key: str
    version: str | None = None


def fingerprint(source: str, stack_build: str) -> str:
    """What a patch is called: by its source and the build it is put over. Never a build's name."""
    digest = hashlib.sha256()
    for part in ("patch", source, stack_build):
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


def other_changes(tenant: Tenant, old: SourceFiles, new: SourceFiles) -> list[str]:
    """What a source changes beside the code, in words: a patch would lose it.

    Empty when it changes the code only. `old` is the source of the build that the stack runs.
    """
    found = _environment(old, new)
    if infrastructure := _infrastructure(old, new):
        found.append(f"infrastructure: {', '.join(infrastructure)}")
    if dependencies := _changed(_dependencies(tenant, old), _dependencies(tenant, new)):
        found.append(f"dependencies: {', '.join(dependencies)}")
    built = _changed(_of_the_build(old), _of_the_build(new))
    if old.manifest != new.manifest:
        built.insert(0, manifest.FILE_NAME)
    if built:
        found.append(f"build: {', '.join(built)}")
    return found


def configuration_changes(old: SourceFiles, new: SourceFiles) -> list[str]:
    """The configuration files that a source changes: a patch leaves the configuration as it is."""
    table = new.manifest.config
    if table is None:
        return []
    return _changed(_below(old.files, table.directory), _below(new.files, table.directory))


def _environment(old: SourceFiles, new: SourceFiles) -> list[str]:
    function = new.manifest.stack.function or ""
    told = []
    for owner, path in (
        (function, ("Resources", function, "Properties", "Environment")),
        ("Globals", ("Globals", "Function", "Environment")),
    ):
        before, after = (_variables(_at(files.template, path)) for files in (old, new))
        if names := _changed(before, after):
            told.append(f"environment variables: {owner} {', '.join(filter(None, names))}".rstrip())
    return told


def _variables(environment: Any) -> dict[str, Any]:
    """Variables by name; an environment that is computed as a whole counts as one without name."""
    variables = environment.get("Variables", {}) if isinstance(environment, dict) else environment
    if isinstance(variables, dict) and not any(name.startswith("Fn::") for name in variables):
        return variables
    return {"": variables}


def _infrastructure(old: SourceFiles, new: SourceFiles) -> list[str]:
    """Resources and sections of the template that changed, but for the function's variables."""
    before, after = (_without_variables(files) for files in (old, new))
    resources = _changed(before.pop("Resources", {}), after.pop("Resources", {}))
    return resources + _changed(before, after)


def _without_variables(files: SourceFiles) -> JsonObject:
    template = {k: v for k, v in files.template.items() if k != "Description"}
    function = files.manifest.stack.function or ""
    for path in (("Resources", function, "Properties"), ("Globals", "Function")):
        template = _without(template, (*path, "Environment"))
    return template


def _without(value: Any, path: tuple[str, ...]) -> Any:
    """The same without what is at `path`; nothing is changed in place."""
    name, *rest = path
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {k: v for k, v in value.items() if k != name}
    return {**value, name: _without(value[name], tuple(rest))}


def _dependencies(tenant: Tenant, source: SourceFiles) -> dict[str, bytes]:
    """The files that decide about a tenant's dependencies: its lock, and the layer's directory.

    Where the tenant has a lock of its own, the common one does not count, nor do other tenants'.
    """
    build, layer = source.manifest.build, source.manifest.stack.layer
    found: dict[str, bytes] = {}
    content = _at(source.template, ("Resources", layer or "", "Properties", "ContentUri"))
    if isinstance(content, str):
        base = posixpath.dirname(build.template)
        found |= _below(source.files, posixpath.normpath(posixpath.join(base, content)))
    if build.dependencies and build.dependencies in source.files:
        found[build.dependencies] = source.files[build.dependencies]
    if build.dependency_overrides:
        anybodys = re.escape(build.dependency_overrides)
        for part in ("env", "org"):
            anybodys = anybodys.replace(rf"\{{{part}\}}", "[^/]+")
        found = {path: data for path, data in found.items() if not re.fullmatch(anybodys, path)}
        own = naming.filled(build.dependency_overrides, tenant)
        if own in source.files:
            found.pop(build.dependencies or "", None)
            found[own] = source.files[own]
    return found


def _of_the_build(source: SourceFiles) -> dict[str, bytes]:
    """The files beside the code that are not packaged but decide how it is: its Makefile."""
    package = source.manifest.package
    if package is None:
        return {}
    code = _below(source.files, package.code)
    return {path: data for path, data in code.items() if _excluded(path, package)}


def _below(files: Mapping[str, bytes], directory: str) -> dict[str, bytes]:
    prefix = "" if directory == "." else f"{directory.rstrip('/')}/"
    return {path: data for path, data in files.items() if path.startswith(prefix)}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    absent = object()
    names = before.keys() | after.keys()
    return sorted(n for n in names if before.get(n, absent) != after.get(n, absent))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name, {}) if isinstance(value, dict) else {}
    return value


def _excluded(path: str, package: PackageTable) -> bool:
    inside = path.removeprefix(f"{package.code}/")
    return any(fnmatch(inside, pattern) or fnmatch(path, pattern) for pattern in package.exclude)


# The package --------------------------------------------------------------------------------------


def template_package(template: JsonObject, function: str) -> Package | None:
    """The code that a processed template gives a function; None when it names no object in S3."""
    code = ("Resources", function, "Properties", "Code")
    bucket, key, version = (
        _at(template, (*code, name)) for name in ("S3Bucket", "S3Key", "S3ObjectVersion")
    )
    if not isinstance(bucket, str) or not isinstance(key, str):
        return None
    return Package(bucket, key, version if isinstance(version, str) else None)


def aliases(template: JsonObject, function: str) -> list[str]:
    """The aliases of a function in a processed template, by name: who calls one gets a published
    version, whatever code the function itself has."""
    return sorted(
        str(name) if isinstance(name := _at(resource, ("Properties", "Name")), str) else logical_id
        for logical_id, resource in (template.get("Resources") or {}).items()
        if _at(resource, ("Type",)) == "AWS::Lambda::Alias"
        and function in _referred(_at(resource, ("Properties", "FunctionName")))
    )


def _referred(value: Any) -> set[str]:
    """The logical ids that a property refers to, whichever function it does so with."""
    if isinstance(value, list):
        return set().union(*map(_referred, value)) if value else set()
    if isinstance(value, dict):
        return set().union(*map(_referred, value.values())) if value else set()
    text = str(value)
    return {text.partition(".")[0], *(m.partition(".")[0] for m in _VARIABLE.findall(text))}


_VARIABLE = re.compile(r"\$\{([^!}]+)\}")  # of Fn::Sub


def is_package_of(package: Package, template: JsonObject, function: str) -> bool:
    """Whether a build's template, as `sam package` left it, gives the function that package."""
    uri = _at(template, ("Resources", function, "Properties", "CodeUri"))
    return bool(uri == f"s3://{package.bucket}/{package.key}")


def packaged(
    package: PackageTable,
    stamp: tuple[str, bytes],
    built: Mapping[str, tuple[bytes, bool]],
    old_code: Mapping[str, tuple[bytes, bool]],
    new_code: Mapping[str, tuple[bytes, bool]],
) -> bytes:
    """The package of a patch: what was built, with the new source's code for the old one's.

    Files are path to (bytes, executable). What the build generated beside the code stays. `stamp`
    is its path in the source and its bytes. Sorted and with fixed times: the same is always the
    same bytes.
    """
    files = dict(built)
    for path in old_code:
        files.pop(_in_package(path, package), None)
    for path, content in new_code.items():
        if not _excluded(path, package):
            files[_in_package(path, package)] = content
    files[_in_package(stamp[0], package)] = (stamp[1], False)
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, (data, executable) in sorted(files.items()):
            info = zipfile.ZipInfo(path, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(info, data)
    return output.getvalue()


def _in_package(path: str, package: PackageTable) -> str:
    """Where a file of the source's code lies in the function's package."""
    return posixpath.normpath(posixpath.join(package.into, path.removeprefix(f"{package.code}/")))
