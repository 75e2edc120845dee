"""Where the configuration comes from: environment > S3 > bundled > defaults.

The S3 document *replaces* the bundled one instead of being merged over it: it was merged from the
same base by the control plane, and a key that an environment deleted must stay deleted. The
bundled document is for when there is no S3 document, or it cannot be read.

A warm function learns of a new document without a new deployment: after `refresh_seconds` the next
request asks S3 with the ETag that it knows. When that fails, the last good document stays in use;
an unreadable document never looks like an absent one, and `/health` tells which it was.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from rawscribe.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger("rawscribe")

BUNDLED = Path(__file__).parent / ".config" / "config.json"
REFRESH_SECONDS = 30.0

ENVIRONMENT: Mapping[str, str] = {
    "ENV": "environment",
    "ORG": "organization",
    "AUTH_ENABLED": "auth.enabled",
    "COGNITO_REGION": "auth.cognito.region",
    "COGNITO_USER_POOL_ID": "auth.cognito.userPoolId",
    "COGNITO_CLIENT_ID": "auth.cognito.clientId",
    "FORMS_BUCKET": "storage.forms.bucket",
    "DRAFTS_BUCKET": "storage.drafts.bucket",
    "ELN_BUCKET": "storage.elns.bucket",
    "ALLOWED_ORIGIN": "api.allowedOrigin",
}
"""Environment variable = dotted path. An empty variable counts as not given."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Loaded:
    """A configuration, and how it came about.

    `problem` is None when the S3 document is in use and fresh, `absent` when there is none, else
    the code of the error that kept it from being read. `sha256`: of the S3 document in use.
    """

    settings: Settings
    source: Literal["s3", "bundled", "defaults"]
    problem: str | None = None
    etag: str | None = None
    sha256: str | None = None


class ConfigStore:
    """The configuration of a running function. Safe to use from several threads."""

    def __init__(
        self,
        environ: Mapping[str, str],
        s3: "Callable[[], S3Client]",
        clock: Callable[[], float],
        bundled: Path = BUNDLED,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._environ = environ
        self._s3 = s3
        self._clock = clock
        self._bundled = bundled
        self._refresh_seconds = refresh_seconds
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._asked_at = 0.0

    def current(self, at_most: float | None = None) -> Loaded:
        """The configuration, at most `refresh_seconds` old, or `at_most` seconds.

        Raises pydantic.ValidationError when the environment itself makes no sense.
        """
        with self._lock:
            now = self._clock()
            oldest = self._refresh_seconds if at_most is None else at_most
            if self._loaded is None or now - self._asked_at >= oldest:
                self._loaded = self._load(self._loaded)
                self._asked_at = now
            return self._loaded

    def _load(self, previous: Loaded | None) -> Loaded:
        bucket, key = self._environ.get("CONFIG_S3_BUCKET"), self._environ.get("CONFIG_S3_KEY")
        if not bucket or not key:
            return self._from_bundled("absent")
        known = previous.etag if previous else None
        try:
            answer = self._s3().get_object(Bucket=bucket, Key=key, **etag_condition(known))
            raw = answer["Body"].read()
            digest = hashlib.sha256(raw).hexdigest()
            return Loaded(self._merge(_parse(raw)), "s3", etag=answer["ETag"], sha256=digest)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "Unknown"))
            if previous and code in ("304", "NotModified"):
                return replace(previous, problem=None)
            if code == "NoSuchKey":
                return self._from_bundled("absent")
        except (BotoCoreError, ValidationError, ValueError) as error:
            code = type(error).__name__
        logger.error("config not read from S3", extra={"error": code})
        if previous and previous.source == "s3":
            return replace(previous, problem=code)
        return self._from_bundled(code)

    def _from_bundled(self, problem: str) -> Loaded:
        try:
            document = _parse(self._bundled.read_bytes())
        except FileNotFoundError:
            return Loaded(self._merge({}), "defaults", problem)
        return Loaded(self._merge(document), "bundled", problem)

    def _merge(self, document: Document) -> Settings:
        # The defaults go in as a document: naming a store's bucket must not lose its prefix.
        merged = _overlay(Settings().model_dump(mode="json", by_alias=True), document)
        for variable, path in ENVIRONMENT.items():
            if value := self._environ.get(variable):
                merged = _overlay(merged, _nested(path, value))
        return Settings.model_validate(merged)


def etag_condition(etag: str | None) -> dict[str, Any]:
    """Ask only for something newer than `etag`."""
    return {"IfNoneMatch": etag} if etag else {}


def _parse(raw: bytes) -> Document:
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise ValueError("a configuration is a JSON object")
    return document


def _overlay(lower: Document, upper: Document) -> Document:
    """A new document: objects merge, everything else in `upper` replaces."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = (
            _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _nested(path: str, value: str) -> Document:
    nested: Any = value
    for key in reversed(path.split(".")):
        nested = {key: nested}
    return dict(nested)
