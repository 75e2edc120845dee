"""Whether every function of a stack runs the code of the build: compared by digest.

The stamp in a package proves only the stamp; the digest proves each byte. What a function has is
Lambda's CodeSha256, what it should have is the package that the stack's processed template names.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, own
from control_plane.errors import TenantNotReady
from control_plane.models import Build, JsonObject, Tenant
from control_plane.rules.patching import Package, is_package_of
from control_plane.services.ownership import Resource
from control_plane.templates import parse

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

FUNCTION, VERSION, ALIAS = "AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"
LAYER = "AWS::Lambda::LayerVersion"


@dataclass
class Comparison:
    """What was compared: `equal` names what runs its package, `not_compared` says why not, `gaps`
    what runs something else."""

    equal: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Expected:
    """What a function should have: one of `digests`, or nothing that can be said, and why."""

    digests: frozenset[str] = frozenset()
    unknown: str = ""


class Code:
    """The code of a tenant's stack, or the control plane's own, with those nested in it.

    `owned`: its resources; `patches`: SHA-256 of what was put over the build, by logical id in the
    root stack; `build`: what was deployed, whose template lies in `artifacts`; `template_of`: the
    processed template of a stack by its name or id.
    """

    def __init__(
        self,
        tenant: Tenant,
        owned: Iterable[Resource],
        build: Build,
        patches: Mapping[str, str],
        artifacts: str,
        template_of: Callable[[str], JsonObject],
    ) -> None:
        self._tenant, self._owned, self._build = tenant, tuple(owned), build
        self._patches, self._artifacts = dict(patches), artifacts
        self._template_of = template_of
        self._digests: dict[Package, str] = {}

    def compare(self) -> Comparison:
        """Compare everything. Raises TenantNotReady while Lambda is still at work on a function."""
        done = Comparison()
        expected: dict[str, Expected] = {}
        for function in self._of(FUNCTION):
            expected[function.physical_id] = self._expected(function, done)
            self._compare(function.logical_id, function.physical_id, "", expected, done)
        for version, name, number in self._versions():
            self._compare(version, name, number, expected, done)
        for layer in self._of(LAYER):
            self._compare_layer(layer, done)
        return done

    def _of(self, kind: str) -> list[Resource]:
        return [resource for resource in self._owned if resource.type == kind]

    def _expected(self, function: Resource, done: Comparison) -> Expected:
        is_of_root = function.stack_id == self._tenant.stack_name
        if is_of_root and function.logical_id in self._patches:
            return Expected(frozenset({self._patches[function.logical_id]}))
        code = self._properties(function).get("Code")
        if not isinstance(code, dict):
            return Expected(unknown="the stack's template names no code for it")
        if "ZipFile" in code:
            return Expected(unknown="its code is inline in the template, and Lambda packs it")
        image = code.get("ImageUri")
        if image is not None:
            if isinstance(image, str) and "@sha256:" in image:
                return Expected(frozenset({image.rpartition("@sha256:")[2]}))
            return Expected(unknown="its image is named by a tag, which can be moved")
        if is_of_root and not self._is_of_build(function, code):
            done.gaps.append(
                f"{function.logical_id}: the stack's template does not name the package of the "
                f"build {self._build.fingerprint[:12]}"
            )
        return self._of_packages(list(_packages(code)))

    def _of_packages(self, packages: list[Package]) -> Expected:
        if not packages:
            return Expected(unknown="its package is named by a parameter")
        digests, unknown = set(), ""
        for package in packages:
            try:
                digests.add(self._digest(package))
            except ClientError as error:
                code = aws.error_code(error)
                missing = code in ("NoSuchKey", "NoSuchBucket", "404")
                if not missing and (package.bucket == self._artifacts or not aws.is_denied(error)):
                    raise
                what = "is gone" if missing else "may not be read"
                unknown = f"its package s3://{package.bucket}/{package.key} {what}"
        return Expected(frozenset(digests), "" if digests else unknown)

    def _is_of_build(self, function: Resource, code: JsonObject) -> bool:
        """Whether the processed template has the package that the build's own template names; a
        function that is not in that one (a macro made it) is judged by its digest alone."""
        built = (self._built.get("Resources") or {}).get(function.logical_id)
        given = (built or {}).get("Properties", {})
        uri = given.get("CodeUri")
        if not isinstance(uri, str) or not uri.startswith("s3://"):
            # An AWS::Lambda::Function has its package as bucket and key, before the transform too.
            plain = set(_packages(given.get("Code")))
            return not plain or not plain.isdisjoint(_packages(code))
        return any(
            is_package_of(package, self._built, function.logical_id) for package in _packages(code)
        )

    @cached_property
    def _built(self) -> JsonObject:
        answer = aws.s3().get_object(Bucket=self._artifacts, Key=self._build.template_key)
        return parse(answer["Body"].read().decode())

    def _digest(self, package: Package) -> str:
        """The package's SHA-256 as Lambda gives it: as recorded when it was built, else its own."""
        if package.bucket == self._artifacts and package.key in self._build.code_digests:
            return self._build.code_digests[package.key]
        if package not in self._digests:
            version = {"VersionId": package.version} if package.version else {}
            is_artifact = package.bucket == self._artifacts
            s3 = aws.s3() if is_artifact else aws.of_tenant(self._tenant).s3()
            answer = s3.get_object(Bucket=package.bucket, Key=package.key, **version)  # type: ignore[arg-type]
            digest = hashlib.sha256()
            for chunk in answer["Body"].iter_chunks(1024 * 1024):
                digest.update(chunk)
            self._digests[package] = base64.b64encode(digest.digest()).decode()
        return self._digests[package]

    def _compare(
        self,
        what: str,
        name: str,
        qualifier: str,
        expected: Mapping[str, Expected],
        done: Comparison,
    ) -> None:
        qualified = {"Qualifier": qualifier} if qualifier else {}
        try:
            found = self._lambda().get_function_configuration(FunctionName=name, **qualified)
        except ClientError as error:
            if aws.error_code(error) != "ResourceNotFoundException":
                raise
            done.gaps.append(f"{what}: the function does not exist any more")
            return
        state, update = found.get("State"), found.get("LastUpdateStatus")
        if state == "Pending" or update == "InProgress":
            raise TenantNotReady(f"{what}: Lambda is still at work on the function")
        if state == "Failed" or update == "Failed":
            reason = found.get("LastUpdateStatusReason") or found.get("StateReason") or "no reason"
            done.gaps.append(f"{what}: the function is not active: {reason}")
            return
        wanted = expected.get(name, Expected(unknown="its function is not of this stack"))
        if wanted.unknown:
            done.not_compared.append(f"{what}: {wanted.unknown}")
        elif found["CodeSha256"] in wanted.digests:
            done.equal.append(what)
        else:
            done.gaps.append(
                f"{what}: runs code with the digest {found['CodeSha256']}, the build's package has "
                f"{' or '.join(sorted(wanted.digests))}"
            )

    def _lambda(self) -> "LambdaClient":
        is_own = own.is_own(self._tenant)
        return aws.lambda_() if is_own else aws.of_tenant(self._tenant).lambda_()

    def _versions(self) -> Iterator[tuple[str, str, str]]:
        """What of the versions is served: those behind the stack's aliases, and the newest of each
        function. (What it is called, the function's name, the version's number.)"""
        newest: dict[str, tuple[int, str]] = {}
        for version in self._of(VERSION):
            name, number = _split(version.physical_id)
            if number.isdigit() and int(number) > newest.get(name, (0, ""))[0]:
                newest[name] = (int(number), version.logical_id)
        served = set()
        for alias in self._of(ALIAS):
            name, alias_name = _split(alias.physical_id)
            found = self._lambda().get_alias(FunctionName=name, Name=alias_name)
            weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
            for number in sorted({found["FunctionVersion"], *weights}):
                served.add((name, number))
                yield f"{alias.logical_id} (alias {alias_name})", name, number
        for name, (found_number, logical_id) in newest.items():
            if (name, str(found_number)) not in served:
                yield f"{logical_id} (version {found_number})", name, str(found_number)

    def _compare_layer(self, layer: Resource, done: Comparison) -> None:
        name, number = _split(layer.physical_id)
        content = self._properties(layer).get("Content")
        wanted = self._of_packages(list(_packages(content)))
        if wanted.unknown:
            done.not_compared.append(f"{layer.logical_id}: {wanted.unknown}")
            return
        found = aws.lambda_().get_layer_version(LayerName=name, VersionNumber=int(number))
        if found["Content"]["CodeSha256"] in wanted.digests:
            done.equal.append(layer.logical_id)
        else:
            done.gaps.append(f"{layer.logical_id}: the layer has other content than the build's")

    def _properties(self, resource: Resource) -> JsonObject:
        described = self._template_of(resource.stack_id).get("Resources", {})
        found = described.get(resource.logical_id, {}).get("Properties", {})
        return found if isinstance(found, dict) else {}


def _packages(value: Any) -> Iterator[Package]:
    """The packages in a code property; more than one where a condition chooses."""
    if isinstance(value, list):
        for item in value:
            yield from _packages(item)
        return
    if not isinstance(value, dict):
        return
    bucket, key, version = (value.get(n) for n in ("S3Bucket", "S3Key", "S3ObjectVersion"))
    if isinstance(bucket, str) and isinstance(key, str):
        yield Package(bucket, key, version if isinstance(version, str) else None)
        return
    for item in value.values():
        yield from _packages(item)


def _split(arn: str) -> tuple[str, str]:
    """The name of a function or a layer, and the qualifier or version behind it in an ARN."""
    *_, name, qualifier = arn.split(":")
    return name, qualifier
