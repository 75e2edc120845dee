"""The proof that a deployment is through: read back from AWS and from the record, not believed.

Every step before this one may have answered "done" without doing its work, and its answer is all
that the state machine knows. So what counts is looked at again: the stack's outputs, the code of
each function, the configuration, the administrator, the tests that were recorded, and what there
was to try of the tenant's isolation.
"""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from control_plane import aws, naming, own
from control_plane.errors import OutputRefused, ProofIncomplete
from control_plane.models import Build, Deployment, JsonObject
from control_plane.rules import proof
from control_plane.services import owned_addresses, secrets_reading
from control_plane.services.ownership import Resource
from control_plane.services.stack_templates import processed_template
from control_plane.settings import VerifySettings, settings
from control_plane.store.listing import Listing
from control_plane.store.progress import Progress
from workers import verify_surface
from workers.step import Outcome
from workers.verify_code import Code, Comparison


def prove_deployment(deployment: Deployment, event: JsonObject) -> Outcome:
    """Read back what was deployed, and put the proof into the record.

    Raises ProofIncomplete with everything that is not proven, and TenantNotReady while Lambda is
    still at work on a function.
    """
    known, tenant = settings(VerifySettings), deployment.tenant
    record = Listing(known.table_name).get(tenant, deployment.id) or {}
    prefix = "rollback_" if deployment.rolling_back else ""
    patch, stack, gaps = event.get("patch") or {}, event["stack"], []
    live = _stack(tenant.stack_name)
    if str(live["status"]).endswith("_IN_PROGRESS"):
        gaps.append(f"the stack is {live['status']}")
    if live["outputs"] != stack["outputs"]:
        gaps.append("the stack has other outputs than AwaitStack answered")
    try:
        owned = owned_addresses.check(tenant, deployment.manifest, live["outputs"])
    except OutputRefused as error:
        raise ProofIncomplete(str(error)) from error
    template_of = cache(lambda name: processed_template(name, ""))  # each is read once
    required = proof.required_tests(deployment.manifest, live["parameters"])
    surface, found = _surface(deployment, live, owned, template_of)
    gaps += found
    skipped = proof.skip_reasons(deployment, live["parameters"], surface)
    gaps += proof.test_gaps(required, record.get(f"{prefix}tests") or [], skipped)
    code = _code(deployment, event, owned, patch, template_of)
    gaps += code.gaps
    config, found = _config(deployment, event, record.get(f"{prefix}config"), live, bool(patch))
    gaps += found
    admin, found = _admin(deployment, event, live["outputs"])
    gaps += found
    if gaps:
        raise ProofIncomplete("; ".join(gaps))
    facts = {
        "build": event["build"]["fingerprint"],
        "tests": list(required),
        "code": {"equal": code.equal, "not_compared": code.not_compared},
        "config": config,
        "admin": admin,
        "isolation": surface,
    }
    Progress(known.table_name).add_facts(deployment, {"proof": facts})
    note = f"{len(code.equal)} packages are the build's"
    if code.not_compared:
        note += f"; not compared: {'; '.join(code.not_compared)}"
    return Outcome({"proof": facts}, note)


def _stack(name: str) -> JsonObject:
    """The stack's outputs and parameters as they are now. Raises ProofIncomplete without one."""
    try:
        stack = aws.cloudformation().describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if aws.error_code(error) != "ValidationError":
            raise
        raise ProofIncomplete(f"there is no stack {name}") from error
    return {
        "status": stack["StackStatus"],
        "outputs": {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        "parameters": {
            item["ParameterKey"]: item.get("ParameterValue", "")
            for item in stack.get("Parameters", [])
        },
    }


def _surface(
    deployment: Deployment,
    live: JsonObject,
    owned: tuple[Resource, ...],
    template_of: Callable[[str], JsonObject],
) -> tuple[dict[str, int] | None, list[str]]:
    """How many routes and buckets had to be tried, and why that is not known; None for the control
    plane itself."""
    if own.is_own(deployment.tenant):
        return None, []
    endpoint = live["outputs"].get(deployment.manifest.tests.endpoint, "")
    try:
        found = verify_surface.surface(deployment, endpoint, live["parameters"], owned, template_of)
    except verify_surface.SurfaceUnknown as error:
        return None, [f"what a stranger could try is not known: {error}"]
    return found.counts, []


def _code(
    deployment: Deployment,
    event: JsonObject,
    owned: tuple[Resource, ...],
    patch: JsonObject,
    template_of: Callable[[str], JsonObject],
) -> Comparison:
    given = event["build"]
    build = Build.model_validate({k: given[k] for k in Build.model_fields if k in given})
    function = deployment.manifest.stack.function
    patches = {function: patch["code_sha256"]} if patch and function else {}
    known = settings(VerifySettings)
    return Code(
        deployment.tenant, owned, build, patches, known.artifact_bucket, template_of
    ).compare()


def _config(
    deployment: Deployment,
    event: JsonObject,
    recorded: JsonObject | None,
    live: JsonObject,
    is_patch: bool,
) -> tuple[JsonObject | None, list[str]]:
    """The configuration as it is in its bucket, and what is wrong with it.

    A patch brings none.
    """
    table = deployment.manifest.config
    if table is None:
        return None, []
    claimed = event.get("config") or {}
    if is_patch:
        return None, []
    if not recorded or recorded.get("sha256") != claimed.get("sha256"):
        return None, ["no configuration of this deployment is recorded as uploaded"]
    wanted = naming.filled(table.bucket, deployment.tenant, settings(VerifySettings).account_id)
    if claimed["bucket"] != wanted or claimed["key"] != table.key:
        return None, [f"the configuration lies in {claimed['bucket']}, not in {wanted}"]
    try:
        answer = (
            aws.of_tenant(deployment.tenant)
            .s3()
            .get_object(
                Bucket=wanted,
                Key=table.key,
                ExpectedBucketOwner=settings(VerifySettings).account_id,
            )
        )
    except ClientError as error:
        if aws.error_code(error) not in ("NoSuchKey", "NoSuchBucket", "404"):
            raise
        return None, [f"there is no configuration in s3://{wanted}/{table.key}"]
    body = answer["Body"].read()
    found = {"sha256": hashlib.sha256(body).hexdigest(), "version_id": answer.get("VersionId", "")}
    if found["sha256"] != claimed["sha256"]:
        return found, [
            f"s3://{wanted}/{table.key} has other content than was uploaded: something overwrote it"
        ]
    return found, proof.config_gaps(deployment.manifest, json.loads(body), live["outputs"])


def _admin(
    deployment: Deployment, event: JsonObject, outputs: dict[str, str]
) -> tuple[JsonObject | None, list[str]]:
    """The administrator that was asked for, as the pool has it, and what is wrong with it."""
    username, table = deployment.options.admin_username, deployment.manifest.admin
    if username is None or table is None or deployment.rolling_back or event.get("patch"):
        return None, []
    pool, client = outputs.get(table.user_pool), outputs.get(table.client)
    if not pool:
        return None, [f"the stack has no output {table.user_pool}"]
    cognito = aws.of_tenant(deployment.tenant).cognito()
    try:
        user = cognito.admin_get_user(UserPoolId=pool, Username=username)
        answer = cognito.admin_list_groups_for_user(UserPoolId=pool, Username=username)
        groups = [group["GroupName"] for group in answer["Groups"]]
    except ClientError as error:
        if aws.is_busy(error) or aws.is_denied(error):
            raise
        return None, [f"the administrator {username} is not in {pool}: {error}"]
    gaps = []
    if refusal := proof.cannot_sign_in(user["Enabled"], user["UserStatus"]):
        gaps.append(f"the administrator {username} {refusal}")
    if table.group not in groups:
        gaps.append(f"the administrator {username} is not in the group {table.group}")
    signs_in = "not tried: the password is the user's own"
    created = event.get("admin") or {}
    if not gaps and created.get("username") == username and created.get("password_set"):
        signs_in, found = _sign_in(pool, client, deployment, username)
        gaps += found
    return {
        "username": username,
        "status": user["UserStatus"],
        "group": table.group,
        "signs_in": signs_in,
    }, gaps


def _sign_in(
    pool: str, client: str | None, deployment: Deployment, username: str
) -> tuple[str, list[str]]:
    """Whether the administrator signs in with the password that this deployment set."""
    if not client:
        return "not tried: the stack names no client", []
    password = secrets_reading.kept(deployment.tenant, username)
    if password is None:
        return "", [f"the password of {username} is not kept, though CreateAdmin set it"]
    try:
        answer = (
            aws.of_tenant(deployment.tenant)
            .cognito()
            .admin_initiate_auth(
                UserPoolId=pool,
                ClientId=client,
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": username, "PASSWORD": password},
            )
        )
    except ClientError as error:
        if aws.is_busy(error) or aws.is_denied(error):
            raise
        if aws.error_code(error) == "InvalidParameterException":  # the flow is off for this client
            return f"not tried: {error.response['Error'].get('Message', '')}", []
        return "", [f"the administrator {username} cannot sign in: {error}"]
    challenge: Any = answer.get("ChallengeName")
    if challenge == "NEW_PASSWORD_REQUIRED":
        return "", [f"the administrator {username} has to choose a new password"]
    return (f"yes, with {challenge}" if challenge else "yes"), []
