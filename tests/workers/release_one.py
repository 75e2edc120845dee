"""A table as the first release left it, with what belongs to it in S3.

The items are literal: what the code of commit 5c2f0e5 (the first release) wrote into moto's table
when its own handlers and classes were called. `notes-stage-alpha` was deployed twice, then a
deployment was refused by its stack and one was stopped by hand; `beta`'s request was refused before
it had a record; `gamma`'s was asked for by the API and has not begun.
"""

import json
from pathlib import Path

import worker_builders as build
from worker_builders import ALPHA, ARTIFACTS, TABLE

from control_plane import aws
from control_plane.models import Deployment, JsonObject, Tenant
from control_plane.store import items

ITEMS = Path(__file__).with_suffix(".jsonl")
BETA, GAMMA = build.tenant("beta"), build.tenant("gamma")

OLDER = "2edd1e586fc6f605d297b5e992390eb615137318b677cadc7c1e41005c96e1a3"
NEWER = "0c5e17c836740a2ed5f4b291ab61774e61ceedc5d750251df5939b323366b959"
"""The two sources of `notes`; the newer one is current."""

FIRST, SECOND = "20261120-100000-000e9jku", "20261120-110000-000iaq29"
REFUSED, STOPPED = "20261120-120000-000x3s5g", "20261120-130000-000x5vkk"
NEVER_RECORDED, WAITING = "20261120-140000-000j7g6v", "20261120-150001-000rjprt"
"""Deployments: `FIRST` and `SECOND` succeeded, with the builds 111… and 222…"""

KEY = "once"
"""The idempotency key of `WAITING`."""


def load() -> None:
    """Fill the table and the artifact bucket."""
    for line in ITEMS.read_text().splitlines():
        aws.dynamodb().put_item(TableName=TABLE, Item=json.loads(line))
    newer = {"title": "Newer", "auth": {"on": True}}
    files = {**build.FILES, "config/base.json": json.dumps(newer)}
    assert (build.upload_source(), build.upload_source(files)) == (OLDER, NEWER)
    for name in ("1", "2"):
        key = f"notes-stage-alpha/builds/{name * 64}/template.yaml"
        body = f"Function: {{CodeUri: s3://{ARTIFACTS}/notes-stage-alpha/c0de{name}}}\n"
        aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=body.encode())
        aws.s3().put_object(Bucket=ARTIFACTS, Key=f"notes-stage-alpha/c0de{name}", Body=b"code")


def raw(of: Tenant, sort_key: str) -> JsonObject:
    """An item's attributes as they stand in the table."""
    answer = aws.dynamodb().get_item(
        TableName=TABLE, Key=items.key(items.tenant_key(of), sort_key), ConsistentRead=True
    )
    return dict(answer["Item"])


def running(of: Tenant = ALPHA, number: int = 9, **options: object) -> Deployment:
    """A deployment of today's release that holds its tenant."""
    made = build.opened(build.deployment(of, number, source=NEWER, **options))
    build.take_lock(made)
    return made
