"""The config worker's two steps, and the bucket that they fill."""

import json
from typing import Any

import scripted_aws as scripted
import worker_builders as build
from worker_builders import TABLE

from control_plane import aws
from control_plane.models import Deployment
from control_plane.store.history import History
from workers import config as worker

BUCKET = f"notes-config-stage-alpha-{build.ACCOUNT}"
POLICIES: dict[str, str] = {}
"""Bucket policies are kept here: moto would apply them without their conditions."""


def accept_policies(script: scripted.Scripted) -> None:
    def accept(asked: dict[str, Any]) -> dict[str, Any]:
        POLICIES[asked["Bucket"]] = asked["Policy"]
        return {}

    script.on(aws.s3(), "PutBucketPolicy", accept)


def upload(made: Deployment) -> dict[str, Any]:
    return worker.handler(build.event(made, "UploadConfig"), None)


def sync(made: Deployment, version: int = 0, **outputs: str) -> dict[str, Any]:
    """`version`: of the overrides that UploadConfig used."""
    known = {"config": {"overrides_version": version}}
    return worker.handler(build.event(made, "SyncConfig", outputs=outputs, **known), None)


def content() -> dict[str, Any]:
    body = aws.s3().get_object(Bucket=BUCKET, Key="config.json")["Body"].read()
    return dict(json.loads(body))


def versions() -> int:
    return len(aws.s3().list_object_versions(Bucket=BUCKET).get("Versions", []))


def succeed(made: Deployment, **receipt: Any) -> None:
    build.take_lock(made)
    History(TABLE).succeed(made.tenant, made.id, made.execution_arn, receipt, receipt)
