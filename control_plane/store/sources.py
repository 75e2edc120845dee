"""Sources: immutable zips of a source tree, and which one each environment deploys.

In the table: `APPLICATION#{name}` / `SOURCE#{sha256}` (its manifest) and `ENVIRONMENT#{env}` (the
current one). In the bucket: `sources/{sha256}.zip`.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane import aws, manifest, parsing
from control_plane.errors import InvalidRequest
from control_plane.manifest import Manifest
from control_plane.models import Env, JsonObject, utc_now
from control_plane.naming import source_key
from control_plane.store import items, table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FILE_LIMIT = 1024 * 1024  # bytes of one text that is read out of a source
_CODE_LIMIT = 64 * 1024 * 1024  # bytes of all files that are held in memory to be compared


class SourceArchive:
    """The files of one source, read from its zip."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = parsing.open_zip(content)
        except ValueError as error:
            raise InvalidRequest.of("source", str(error)) from error

    @classmethod
    def fetch(cls, bucket: str, sha256: str) -> "SourceArchive":
        """The source of that name. Raises InvalidRequest when there is none or it was tampered."""
        try:
            answer = aws.s3().get_object(Bucket=bucket, Key=source_key(sha256))
        except ClientError as error:
            if aws.error_code(error) in ("NoSuchKey", "404"):
                raise unknown_source(sha256) from error
            raise
        if answer["ContentLength"] > parsing.ZIP_BYTES:
            told = f"has {answer['ContentLength']} bytes; {parsing.ZIP_BYTES} are allowed"
            raise InvalidRequest.of("source", told)
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


def unknown_source(sha256: str) -> InvalidRequest:
    """The refusal of a source that was never pushed."""
    return InvalidRequest.of(
        "source", f"{sha256[:12]}… is unknown: push it with 'syndi source push'"
    )


class Sources:
    """The registered sources of each application."""

    def __init__(self, table_name: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table_name
        self._client = client or aws.dynamodb()

    def register(self, sha256: str, described: Manifest, environments: list[Env]) -> JsonObject:
        """Remember a source and make it the current one of `environments`, all or nothing."""
        now = utc_now().isoformat(timespec="milliseconds")
        partition = _partition(described.name)
        source = {
            "application": described.name,
            "sha256": sha256,
            "manifest": described.model_dump(mode="json", by_alias=True, exclude_none=True),
            "registered_at": now,
        }
        writes: list[Any] = [self._put(partition, f"SOURCE#{sha256}", source)]
        for env in environments:
            current = {"sha256": sha256, "env": env, "changed_at": now}
            writes.append(self._put(partition, f"ENVIRONMENT#{env}", current))
        self._client.transact_write_items(TransactItems=writes)
        return {**source, "environments": list(environments)}

    def resolve(self, application: str, env: Env, sha256: str | None) -> tuple[str, Manifest]:
        """The source to deploy and its manifest: `sha256`, or the environment's current one.

        Raises InvalidRequest when there is no such source.
        """
        if sha256 is None:
            pointer = self._read(application, f"ENVIRONMENT#{env}")
            if pointer is None:
                raise InvalidRequest.of(
                    "source",
                    f"{application} has no source for {env}: push one with 'syndi source push'",
                )
            sha256 = str(pointer["sha256"])
        known = self._read(application, f"SOURCE#{sha256}")
        if known is None:
            raise unknown_source(sha256)
        # A release that was rolled back may have registered it, with keys of its own.
        return sha256, Manifest.model_validate(known["manifest"], extra="ignore")

    def listed(self, application: str) -> JsonObject:
        """The sources of an application and the current one of each environment."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": _partition(application)}},
        )
        found = [
            (item["SK"]["S"], items.from_item(item)) for page in pages for item in page["Items"]
        ]
        sources = [item for sk, item in found if sk.startswith("SOURCE#")]
        return {
            "sources": sorted(sources, key=lambda item: str(item["registered_at"]), reverse=True),
            "environments": {
                item["env"]: item["sha256"] for sk, item in found if sk.startswith("ENVIRONMENT#")
            },
        }

    def _put(self, partition: str, sk: str, values: JsonObject) -> Any:
        item = items.whole(partition, sk, values)
        return {"Put": {"TableName": self._table, "Item": item}}

    def _read(self, application: str, sk: str) -> JsonObject | None:
        return table.read(self._client, self._table, _partition(application), sk)


def _partition(application: str) -> str:
    return f"APPLICATION#{application}"
