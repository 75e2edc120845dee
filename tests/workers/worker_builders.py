"""A small world for the workers: an application called `notes`, its source, and moto's AWS."""

import hashlib
import io
import json
import re
import zipfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from control_plane import aws, manifest, naming
from control_plane.models import Deployment, Env, JsonObject, Options, Tenant
from control_plane.services import secrets
from control_plane.store.history import History
from control_plane.store.listing import Listing
from control_plane.store.locks import Locks
from control_plane.store.sources import Sources

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"
TABLE = "syndi-history"
ARTIFACTS = "notes-sam-deployments-123456789012"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:syndi-deployment"
ROLLOUT_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:syndi-rollout"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/syndi"
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

ENVIRONMENT = {
    "ACCOUNT_ID": ACCOUNT,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "TABLE_NAME": TABLE,
    "CONTROL_PLANE_STACK": "control-plane-prod-main",
    "UPDATE_ROLE_ARN": f"{ROLE}-update",
    "VERSION_RETENTION_DAYS": "14",
    "DEFAULT_APPLICATION": "notes",
    "APPLICATION_PREFIXES": "notes,notes-frontend,other,plain",
    "ARTIFACT_BUCKET": ARTIFACTS,
    "CLOUDFORMATION_ROLE_ARN": ROLE,
    "PERMISSIONS_BOUNDARY_ARN": f"arn:aws:iam::{ACCOUNT}:policy/syndi-boundary",
    "TENANT_RUNTIME": "python3.13",
    "TENANT_ARCHITECTURE": "arm64",
    "TENANT_PLATFORM": "aarch64-manylinux2014",
    "BUILD_PROJECTS": "syndi-build-dev,syndi-build-test,syndi-build-stage,syndi-build-prod",
    "OWN_BUILD_PROJECT": "syndi-own-build",
    "STATE_MACHINE_ARN": MACHINE,
    "ROLLOUT_MACHINE_ARN": ROLLOUT_MACHINE,
    "SCHEDULE_GROUP": "syndi",
    "SCHEDULER_ROLE_ARN": ROLE,
    "APPROVAL_ENVIRONMENTS": "",
    "MANUAL_START_ENVIRONMENTS": "dev,test,stage",
    "EXPLICIT_CREATION_ENVIRONMENTS": "",
    "DEPLOYMENT_SLOTS": "2",
    "CONFIG_FUNCTION": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:syndi-config:live",
    "CODE_FUNCTION": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:syndi-code:live",
    "RECORD_FUNCTION": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:syndi-record:live",
    "ROUTE_FUNCTION": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:syndi-route:live",
    "SHIFT_STATE_MACHINE_ARN": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:syndi-shift",
    "TENANT_ROLE_ARN": f"{ROLE}-tenant",
    "STRANGER_POOL_ID": f"{REGION}_stranger",
    "STRANGER_CLIENT_ID": "stranger-client",
    "POWERTOOLS_METRICS_NAMESPACE": "Syndi",
    "POWERTOOLS_TRACE_DISABLED": "true",
}

MANIFEST = """
schema = 1
name = "notes"
[build]
commands = ["make generated"]
stamp = "build.json"
dependencies = "requirements.txt"
dependency_overrides = "overrides/{env}-{org}.txt"
[stack]
function = "Function"
buckets = ["notes-config-{env}-{org}-{account}"]
stateful_types = ["AWS::S3::Bucket", "AWS::Cognito::UserPool"]
[stack.parameters]
enable_auth = "EnableAuth"
create_buckets = "CreateBuckets"
[stack.first_deployment]
EnableAuth = "true"
CreateBuckets = "true"
[config]
directory = "config"
bucket = "notes-config-{env}-{org}-{account}"
key = "config.json"
[config.outputs]
"auth.pool" = "PoolId"
"api.url" = "Url"
[admin]
user_pool = "PoolId"
client = "ClientId"
group = "ADMINS"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
protected = "/me"
identity = "email"
groups = "groups"
runtime_config = "/config"
runtime_user_pool = "pool"
"""
PLAIN_MANIFEST = """
schema = 1
name = "plain"
[build]
stamp = "build.json"
[stack]
function = "Function"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
"""
FILES = {
    "application.toml": MANIFEST,
    "template.yaml": "Resources: {}",
    "config/base.json": json.dumps({"title": "Notes", "auth": {"on": True}}),
    "config/stage-alpha.json": json.dumps({"title": "Alpha"}),
}


def tenant(org: str = "alpha", env: Env = Env.STAGE, application: str = "notes") -> Tenant:
    return Tenant(application=application, env=env, org=org)


ALPHA, BETA = tenant("alpha"), tenant("beta")


def arn(name: str) -> str:
    """The ARN of an execution."""
    return naming.execution_arn(MACHINE, name)


def start_of(name: str) -> str:
    """When an execution of that name (or ARN) was started: as its deployment was asked for, or at
    noon for one by hand."""
    found = re.search(r"\d{8}-\d{6}-", name)
    at = (naming.time_of(found[0]) if found else None) or NOON
    return at.replace(microsecond=123_000).isoformat(timespec="milliseconds")


def zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


def deflated(files: dict[str, str], damaged: bool = False) -> bytes:
    """A compressed zip; `damaged`: some of its compressed bytes are not what they were."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files.items()):
            archive.writestr(name, text)
    data = bytearray(content.getvalue())
    if damaged:
        start = 30 + len(min(files))  # after the first local header (APPNOTE.TXT 4.3.7)
        data[start : start + 4] = b"\xff" * 4
    return bytes(data)


def _template_reader() -> type[yaml.SafeLoader]:
    class Reader(yaml.SafeLoader):
        pass

    Reader.add_multi_constructor("!", lambda loader, tag, node: f"!{tag} {node.value}")
    return Reader


@cache
def _table() -> JsonObject:
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=_template_reader())
    described = template["Resources"]["Table"]["Properties"]
    keys = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {key: described[key] for key in keys}


def create_table() -> None:
    """The table, with the keys and indexes that template.yaml gives it."""
    aws.dynamodb().create_table(TableName=TABLE, **_table())


def upload_source(files: dict[str, str] | None = None, envs: tuple[Env, ...] = (Env.STAGE,)) -> str:
    """A source in the artifact bucket; gives its SHA-256."""
    content = zipped(FILES if files is None else files)
    sha256 = hashlib.sha256(content).hexdigest()
    for env in envs:
        key = naming.source_key(env, sha256)
        aws.s3().put_object(Bucket=ARTIFACTS, Key=key, Body=content)
    return sha256


def push_source(files: dict[str, str] | None = None, envs: tuple[Env, ...] = (Env.STAGE,)) -> str:
    """A registered source, current in `envs`; gives its SHA-256."""
    files = FILES if files is None else files
    sha256 = upload_source(files, envs)
    Sources(TABLE).register(sha256, manifest.parse(files["application.toml"]), list(envs))
    return sha256


def deployment(of: Tenant = ALPHA, number: int = 1, **changes: Any) -> Deployment:
    """A deployment of `of`; later numbers are newer. Options are given by name."""
    names = {key: changes.pop(key) for key in list(changes) if key in Options.model_fields}
    made = naming.new_deployment_id(NOON.replace(minute=number))
    values: JsonObject = {
        "id": made,
        "execution_arn": arn(naming.execution_name(of, made)),
        "tenant": of,
        "source": "5" * 64,
        "config_source": changes.get("source", "5" * 64),
        "manifest": manifest.parse(MANIFEST),
        "options": Options(**names),
        "started_at": NOON.replace(minute=number),
    }
    return Deployment(**{**values, **changes})


def opened(made: Deployment) -> Deployment:
    """The same deployment, with an open record in the table."""
    request = made.options.model_dump(mode="json", exclude_none=True)
    facts = {"request": request, "source": made.source, "trigger": "api"}
    History(TABLE).open(made.tenant, made.id, made.execution_arn, facts)
    return made


def record(made: Deployment) -> JsonObject:
    """The deployment's record as it is now."""
    found = Listing(TABLE).get(made.tenant, made.id)
    assert found is not None, "there is no such record"
    return found


def current(of: Tenant = ALPHA) -> JsonObject:
    """What the table says of the tenant."""
    return Listing(TABLE).current(of) or {}


def holder(of: Tenant = ALPHA) -> str | None:
    """The execution that holds the tenant's lock."""
    return (Locks(TABLE).holder(of) or {}).get("execution_arn")


def take_lock(made: Deployment) -> None:
    """The deployment holds its tenant, and has done so for a while."""
    arn_ = made.execution_arn
    assert Locks(TABLE, clock=lambda: NOON).acquire(made.tenant, made.id, arn_, instead_of=arn_)


def event(made: Deployment, step: str, **given: Any) -> JsonObject:
    """What the state machine gives a worker, after its way through JSON."""
    dumped = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    if step == "AcquireLock":
        given = {"execution": execution_of(made), **given}
    return dict(json.loads(json.dumps({"step": step, "deployment": dumped, **given})))


def execution_of(made: Deployment) -> JsonObject:
    """The context object's `Execution` of a deployment."""
    given = made.tenant.model_dump(mode="json")
    return {"Id": made.execution_arn, "StartTime": made.started_at.isoformat(), "Input": given}


def everything() -> list[JsonObject]:
    """Every item of the table, as DynamoDB has it."""
    return list(aws.dynamodb().scan(TableName=TABLE)["Items"])


def create_secret(tenant: Tenant, name: str, username: str, password: str) -> str:
    """A secret of the tenant's that holds a user's password; its ARN."""
    asked = secrets.of_user(tenant, name, username, password)
    return aws.secretsmanager().create_secret(**asked)["ARN"]
