"""The verify worker's one step, and the pools that it works with."""

from typing import Any

import scripted_aws as scripted
import worker_builders as build
from fake_tenant import PRINT, URL
from pool_builders import new_pool, owns

from control_plane import aws
from control_plane.models import Deployment
from workers import verify as worker

ON, OFF = {"EnableAuth": "true"}, {"EnableAuth": "false"}


class Pools:
    """The tenant's pool and the stranger's, which no tenant may trust."""

    def __init__(self, script: scripted.Scripted) -> None:
        self.pool, self.client = new_pool("notes")
        self.stranger, self.stranger_client = new_pool("stranger")
        owns(script, ("AWS::Cognito::UserPool", self.pool), ("AWS::ApiGateway::RestApi", "abc123"))

    def users(self) -> list[str]:
        """Who is left in both pools."""
        return [
            user["Username"]
            for pool in (self.pool, self.stranger)
            for user in aws.cognito().list_users(UserPoolId=pool)["Users"]
        ]

    def outputs(self) -> dict[str, str]:
        return {"Url": f"{URL}/", "PoolId": self.pool, "ClientId": self.client}


def run(
    made: Deployment, pools: Pools, parameters: dict[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    event = {"outputs": pools.outputs(), "parameters": parameters or ON, "fingerprint": PRINT}
    return worker.handler(build.event(made, "RunTests", **{**event, **given}), None)


def statuses(made: Deployment) -> dict[str, str]:
    """The results in the record."""
    return {item["name"]: item["status"] for item in build.record(made)["tests"]}
