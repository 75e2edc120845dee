"""A new version of the control plane, as its trial meets it: this release's API, on moto.

What arrives over HTTP is given to the API's own handler, so that a path or a body that it would not
take fails here. Uploads reach moto's bucket.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3
import worker_builders as build
from api_calls import call
from test_worker_api_starts import input_of

from control_plane import aws, manifest
from control_plane.errors import TenantNotReady, TrialFailed
from control_plane.models import Deployment, Env, JsonObject, Tenant
from control_plane.store.progress import Progress
from workers import release

API = "https://abc123.execute-api.us-east-1.amazonaws.com/v1"
OWN = Tenant(application="control-plane", env=Env.PROD, org="main")
PRINT = "ab" * 32
"""The fingerprint of the build on trial."""


@dataclass
class Reply:
    """What urllib3 answers."""

    status: int
    data: bytes


Answer = Reply | Exception


def json_reply(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode())


SILENCE = urllib3.exceptions.MaxRetryError(None, API, None)  # type: ignore[arg-type]
REFUSED = json_reply(400, {"error": {"code": "InvalidRequest", "message": "source is odd"}})
FORBIDDEN = json_reply(403, {"Message": "User is not authorized"})
BROKEN = json_reply(500, {"message": "Internal server error"})
THROTTLED = json_reply(429, {"message": "Too Many Requests"})
NO_JSON = Reply(200, b"<html>")

ANSWERS: list[tuple[Answer, type[Exception], str]] = [
    (REFUSED, TrialFailed, "the new version's API: source is odd"),
    (FORBIDDEN, TrialFailed, "was refused with 403: User is not authorized"),
    (json_reply(404, {"message": "Not Found"}), TrialFailed, "was refused with 404"),
    (THROTTLED, TenantNotReady, "was refused with 429"),
    (BROKEN, TenantNotReady, "was refused with 500: Internal server error"),
    (NO_JSON, TenantNotReady, "answered 200 without JSON"),
    (SILENCE, TenantNotReady, "does not answer"),
]
"""What is not the answer that was asked for, what it means to the trial, and what is told."""

A_REFUSAL, A_SILENCE = ANSWERS[0], ANSWERS[-1]


@dataclass
class NewVersion:
    """Answers `urllib3.request`.

    `wrong` replaces the answers to a kind of request: `PUT sources`, `PUT upload`,
    `POST deployments`, `GET deployments`, `DELETE orgs`. An exception is raised. Nothing answers
    below `has_no_route`: the version is of an earlier release.
    """

    wrong: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    has_no_route: str = ""

    def request(
        self, method: str, url: str, *, body: bytes | None, headers: dict[str, str], **_: Any
    ) -> Reply:
        path = url.removeprefix(API)
        kind = f"{method} {_kind(path)}"
        self.asked.append(kind)
        self.paths.append(f"{method} {path}")
        if self.has_no_route and path.startswith(self.has_no_route):
            return json_reply(403, {"message": "Missing Authentication Token"})
        found = self.wrong.get(kind)
        if isinstance(found, Exception):
            raise found
        if found:
            return found
        if path == url:
            key = urlsplit(url).path.removeprefix(f"/{build.ARTIFACTS}/")
            aws.s3().put_object(Bucket=build.ARTIFACTS, Key=key, Body=body or b"")
            return Reply(200, b"")
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 "), "signed"
        sent = {name: text for name, text in headers.items() if name == "Idempotency-Key"}
        told = call(method, path, json.loads(body) if body else None, sent)
        return json_reply(told.status, told.body)

    def tells(self, id_: str, status: str, on: str | None = PRINT, **more: Any) -> None:
        """A deployment or a removal, as the new version has it in its history."""
        found = {"id": id_, "status": status, "control_plane": {"build": on}, **more}
        self.wrong["GET deployments"] = json_reply(200, found)


def _kind(path: str) -> str:
    """What a request is about: the last collection in its path."""
    parts = path.split("/")
    known = [part for part in parts if part in ("sources", "deployments", "orgs")]
    return known[-1] if path.startswith("/") else "upload"


def updating(**changes: Any) -> Deployment:
    """A control plane's own deployment, whose new version is to be tried."""
    text = build.PLAIN_MANIFEST + '[trial]\ndirectory = "trial"\n'
    parsed = manifest.parse(text.replace('"plain"', '"control-plane"'))
    return build.opened(build.deployment(OWN, manifest=parsed, **changes))


def going_back(made: Deployment) -> Deployment:
    """The same deployment on its way back."""
    Progress(build.TABLE).open_way_back(made)
    return made.model_copy(update={"rolling_back": True})


def step(made: Deployment, name: str, **given: Any) -> JsonObject:
    """One call of the release worker."""
    event = {"fingerprint": PRINT, "outputs": {"ApiUrl": API}, **given}
    return release.handler(build.event(made, name, **event), None)


def started(made: Deployment) -> JsonObject:
    """The trial that the first step starts."""
    trial: JsonObject = step(made, "StartTrial")["trial"]
    return trial


def awaited(made: Deployment, trial: JsonObject) -> JsonObject:
    """One look at the trial."""
    return step(made, "AwaitTrial", trial=trial)


def source_of(trial: JsonObject) -> str:
    """The source that the trial's deployment was asked for."""
    return str(input_of(trial["execution_arn"])["source"])


def told(made: Deployment, name: str) -> JsonObject:
    """What the history has of a step."""
    record = build.record(made)
    steps: JsonObject = record["rollback_steps" if made.rolling_back else "steps"]
    return dict(steps[name])
