"""Sources: immutable zips of a source tree, and which one each environment deploys.

In the table: `APPLICATION#{name}` / `SOURCE#{sha256}` (its manifest), `PUSHED#{env}#{sha256}` (that
the environment has it) and `ENVIRONMENT#{env}` (its current one). In the bucket:
`sources/{env}/{sha256}.zip`, once for each environment: who may push for one has no say in others.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, manifest, parsing
from control_plane.errors import InvalidRequest
from control_plane.manifest import Manifest
from control_plane.models import Env, JsonObject, Tenant, utc_now
from control_plane.naming import source_key, source_keys
from control_plane.store import items, table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FILE_LIMIT = 1024 * 1024  # bytes of one text that is read out of a source
_CODE_LIMIT = 64 * 1024 * 1024  # bytes of all files that are held in memory to be compared

_BOUND = "bound"
"""Marks a source whose environments are recorded (`PUSHED#`). Earlier releases recorded none: a
source without the mark counts for every environment."""


class SourceArchive:
    """The files of one source, read from its zip."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = parsing.open_zip(content)
        except ValueError as error:
            raise InvalidRequest.of("source", str(error)) from error

    @classmethod
    def fetch(cls, bucket: str, tenant: Tenant, sha256: str) -> "SourceArchive":
        """A tenant's source: as it was pushed for its environment, or as it was kept with a build.

        Raises InvalidRequest when there is none or it was tampered.
        """
        for key in source_keys(tenant, sha256):
            if found := cls._at(bucket, key, sha256):
                return found
        raise lost_source(sha256, tenant.env)

    @classmethod
    def pushed(cls, bucket: str, env: Env, sha256: str) -> "SourceArchive":
        """A source as it was uploaded for an environment. Raises InvalidRequest as `fetch`."""
        found = cls._at(bucket, source_key(env, sha256), sha256)
        if found is None:
            raise unknown_source(sha256, env)
        return found

    @classmethod
    def _at(cls, bucket: str, key: str, sha256: str) -> "SourceArchive | None":
        try:
            answer = aws.s3().get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if aws.error_code(error) in ("NoSuchKey", "404"):
                return None
            raise
        if answer["ContentLength"] > parsing.ZIP_BYTES:
            message = f"has {answer['ContentLength']} bytes; {parsing.ZIP_BYTES} are allowed"
            raise InvalidRequest.of("source", message)
        content = answer["Body"].read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InvalidRequest.of("source", f"the content of {sha256} does not have that SHA-256")
        return cls(content)

    def read(self, path: str) -> str | None:
        """A text file of the source, or None where it has none."""
        try:
            info = self._zip.getinfo(path)
        except KeyError:
            return None
        if info.file_size > _FILE_LIMIT:
            raise InvalidRequest.of("source", f"{path} is larger than {_FILE_LIMIT} bytes")
        try:
            return parsing.zip_member(self._zip, info).decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest.of("source", f"{path} is not UTF-8 text") from error
        except ValueError as error:
            raise InvalidRequest.of("source", f"{path} {error}") from error

    def text(self, path: str) -> str | None:
        """A text file of the source, or None where there is none or it cannot be read as one."""
        try:
            return self.read(path)
        except InvalidRequest:
            return None

    def names(self) -> list[str]:
        """The paths of its files, sorted."""
        return sorted(info.filename for info in self._zip.infolist() if not info.is_dir())

    def contents(self) -> dict[str, tuple[bytes, bool]]:
        """Every file by its path: its bytes, and whether it can be executed.

        Raises InvalidRequest when they are too large together.
        """
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if sum(info.file_size for info in infos) > _CODE_LIMIT:
            limit = _CODE_LIMIT // 1024 // 1024
            raise InvalidRequest.of(
                "source", f"is larger than {limit} MB unpacked, too large for a patch"
            )
        try:
            return {
                info.filename: (
                    parsing.zip_member(self._zip, info),
                    bool(info.external_attr >> 16 & 0o100),
                )
                for info in infos
            }
        except ValueError as error:
            raise InvalidRequest.of("source", str(error)) from error

    def manifest(self) -> Manifest:
        """The application that this source is. Raises InvalidRequest."""
        text = self.read(manifest.FILE_NAME)
        if text is None:
            raise InvalidRequest.of("source", f"has no {manifest.FILE_NAME} in its root")
        return manifest.parse(text)


def lost_source(sha256: str, env: Env) -> InvalidRequest:
    """The refusal of a source that was pushed, and whose files are nowhere any more."""
    return InvalidRequest.of(
        "source",
        f"the files of {sha256[:12]}… are gone from the artifact bucket: push the same source "
        f"again, with 'syndi source push --env {env}' in its checkout",
    )


def unknown_source(sha256: str, env: Env, elsewhere: bool = False) -> InvalidRequest:
    """The refusal of a source that was never pushed for an environment."""
    what = f"was not pushed for {env}, only for others" if elsewhere else "is unknown"
    return InvalidRequest.of(
        "source", f"{sha256[:12]}… {what}: push it with 'syndi source push --env {env}'"
    )


class Sources:
    """The registered sources of each application."""

    def __init__(self, table_name: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()

    def register(
        self, sha256: str, described: Manifest, environments: list[Env], *, current: bool = True
    ) -> JsonObject:
        """Remember that a source was pushed for `environments`, and make it their current one, all
        or nothing. Gives the source, and where it is the current one."""
        now = utc_now().isoformat(timespec="milliseconds")
        partition = _partition(described.name)
        source = {
            "application": described.name,
            "sha256": sha256,
            "manifest": described.model_dump(mode="json", by_alias=True, exclude_none=True),
            "registered_at": now,
        }
        writes: list[Any] = []
        for env in environments:
            pushed = {"sha256": sha256, "env": env, "pushed_at": now}
            writes.append(self._put(partition, _pushed(env, sha256), pushed))
            if current:
                pointer = {"sha256": sha256, "env": env, "changed_at": now}
                writes.append(self._put(partition, f"ENVIRONMENT#{env}", pointer))
        bound = {**source, _BOUND: True}
        put = self._put(partition, f"SOURCE#{sha256}", bound)
        put["Put"]["ConditionExpression"] = (
            f"attribute_not_exists(PK) OR attribute_exists({_BOUND})"
        )
        try:
            self._client.transact_write_items(TransactItems=[put, *writes])
        except ClientError as error:
            if not table.condition_failed(error):
                raise
            # An earlier release registered it: it stays a source of every environment.
            put = self._put(partition, f"SOURCE#{sha256}", source)
            self._client.transact_write_items(TransactItems=[put, *writes])
        return {**source, "environments": list(environments) if current else []}

    def resolve(self, application: str, env: Env, sha256: str | None) -> tuple[str, Manifest]:
        """The source to deploy and its manifest: `sha256`, or the environment's current one.

        Raises InvalidRequest when the environment has no such source. That another one has it does
        not count: who may push for one environment must not decide what runs in another. One that
        an earlier release registered counts everywhere, as it did then: running rollouts, schedules
        and retries name it.
        """
        if sha256 is None:
            pointer = self._read(application, f"ENVIRONMENT#{env}")
            if pointer is None:
                raise InvalidRequest.of(
                    "source",
                    f"{application} has no source for {env}: push one with 'syndi source push "
                    f"--env {env}'",
                )
            sha256 = str(pointer["sha256"])
        known = self._read(application, f"SOURCE#{sha256}")
        if known is None:
            raise unknown_source(sha256, env)
        if known.get(_BOUND) and self._read(application, _pushed(env, sha256)) is None:
            raise unknown_source(sha256, env, elsewhere=True)
        return sha256, _manifest(known)

    def current(self, application: str, env: Env) -> tuple[str, Manifest] | None:
        """The environment's current source and its manifest; None when it has none."""
        pointer = self._read(application, f"ENVIRONMENT#{env}")
        described = pointer and self.described(application, str(pointer["sha256"]))
        return (str(pointer["sha256"]), described) if pointer and described else None

    def described(self, application: str, sha256: str) -> Manifest | None:
        """The manifest of a source that was pushed for any environment; None when none was."""
        known = self._read(application, f"SOURCE#{sha256}")
        return _manifest(known) if known else None

    def listed_for(self, application: str, env: Env) -> JsonObject:
        """The sources that were pushed for an environment, newest first, and its current one."""
        found = self._all(application)
        pushed = {item["sha256"] for sk, item in found if sk.startswith(f"PUSHED#{env}#")}
        has = [
            (sk, item)
            for sk, item in found
            if not sk.startswith("SOURCE#") or _BOUND not in item or item["sha256"] in pushed
        ]
        listed = _listed(has)
        return {"sources": listed["sources"], "current": listed["environments"].get(env)}

    def listed(self, application: str) -> JsonObject:
        """The sources of an application and the current one of each environment."""
        return _listed(self._all(application))

    def _all(self, application: str) -> list[tuple[str, JsonObject]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": _partition(application)}},
        )
        return [
            (item["SK"]["S"], items.from_item(item)) for page in pages for item in page["Items"]
        ]

    def _put(self, partition: str, sk: str, values: JsonObject) -> Any:
        item = items.whole(partition, sk, values)
        return {"Put": {"TableName": self._table, "Item": item}}

    def _read(self, application: str, sk: str) -> JsonObject | None:
        return table.read(self._client, self._table, _partition(application), sk)


def _listed(found: list[tuple[str, JsonObject]]) -> JsonObject:
    sources = [
        {name: value for name, value in item.items() if name != _BOUND}
        for sk, item in found
        if sk.startswith("SOURCE#")
    ]
    return {
        "sources": sorted(sources, key=lambda item: str(item["registered_at"]), reverse=True),
        "environments": {
            item["env"]: item["sha256"] for sk, item in found if sk.startswith("ENVIRONMENT#")
        },
    }


def _manifest(known: JsonObject) -> Manifest:
    # A release that was rolled back may have registered it, with keys of its own.
    return Manifest.model_validate(known["manifest"], extra="ignore")


def _partition(application: str) -> str:
    return f"APPLICATION#{application}"


def _pushed(env: Env, sha256: str) -> str:
    return f"PUSHED#{env}#{sha256}"
