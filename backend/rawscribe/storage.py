"""JSON documents in a bucket, one tenant's, below one prefix.

Names are validated by the routes before they come here. Every write is conditional: `create` never
overwrites, `replace` only overwrites the version that the caller has read.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from rawscribe.errors import Invalid, StorageUnavailable, TooLarge, UnreadableDocument

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
U = TypeVar("U")

ABSENT = frozenset({"NoSuchKey", "404"})
# 409 is S3's answer while another conditional write of the same key is under way.
CONDITION_FAILED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class Stored:
    """A document as it is in the bucket."""

    content: bytes
    etag: str

    def json(self) -> dict[str, Any]:
        """The content as a JSON object. Raises UnreadableDocument."""
        try:
            document = json.loads(self.content)
        except ValueError as error:
            raise UnreadableDocument("the stored document is not JSON") from error
        if not isinstance(document, dict):
            raise UnreadableDocument("the stored document is not a JSON object")
        return document


@dataclass(frozen=True)
class Entry:
    """A line of a listing: `name` is the key below the prefix."""

    name: str
    size: int
    updated_at: datetime


class DocumentStore:
    """The documents below one prefix of one bucket."""

    def __init__(self, s3: "S3Client", bucket: str, prefix: str, max_bytes: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._max_bytes = max_bytes

    def get(self, name: str) -> Stored | None:
        """The document, or None when there is none. Raises StorageUnavailable."""

        def read() -> Stored:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return Stored(answer["Body"].read(), answer["ETag"])

        return self._attempt(read, None, ABSENT)

    def create(self, name: str, document: dict[str, Any]) -> bool:
        """Store a new document; False when one of that name is there already."""
        return self._put(name, document, IfNoneMatch="*")

    def replace(self, name: str, document: dict[str, Any], etag: str) -> bool:
        """Store a document over the version `etag`; False when that is not the latest any more."""
        return self._put(name, document, IfMatch=etag)

    def delete(self, name: str) -> None:
        """Remove a document; one that is gone already is fine."""
        key = self._prefix + name
        self._attempt(lambda: self._s3.delete_object(Bucket=self._bucket, Key=key), None)

    def page(self, limit: int, after: str | None = None) -> tuple[list[Entry], str | None]:
        """Up to `limit` entries in the order of their names, and the name to go on after.

        Names may contain slashes: what somebody put deeper is listed, and the caller's to skip.
        """
        answer = self._attempt(
            lambda: self._s3.list_objects_v2(
                Bucket=self._bucket,
                Prefix=self._prefix,
                MaxKeys=limit,
                StartAfter=self._prefix + (after or ""),
            ),
            None,
        )
        assert answer is not None
        entries = [
            Entry(item["Key"].removeprefix(self._prefix), item["Size"], item["LastModified"])
            for item in answer.get("Contents", [])
        ]
        return entries, entries[-1].name if entries and answer["IsTruncated"] else None

    def _put(self, name: str, document: dict[str, Any], **condition: str) -> bool:
        try:
            body = json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
        except ValueError as error:  # NaN, infinity, half a surrogate pair: JSON in name only
            raise Invalid("the document cannot be written as JSON") from error
        if len(body) > self._max_bytes:
            raise TooLarge(f"a document may have {self._max_bytes} bytes")

        def write() -> bool:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                Body=body,
                ContentType="application/json",
                **condition,  # type: ignore[arg-type]
            )
            return True

        return bool(self._attempt(write, False, CONDITION_FAILED))

    def _attempt(
        self, call: Callable[[], T], otherwise: U, expected: frozenset[str] = frozenset()
    ) -> T | U:
        """Run `call`; `otherwise` when it fails in an expected way."""
        if not self._bucket:
            raise StorageUnavailable("no bucket is configured")
        try:
            return call()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "Unknown"))
            if code in expected:
                return otherwise
            raise StorageUnavailable("the storage refused", {"reason": code}) from error
        except BotoCoreError as error:
            reason = type(error).__name__
            raise StorageUnavailable("the storage was not reached", {"reason": reason}) from error
