"""The control plane's own stack, as whoever installs it works on it: with their own permissions."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import WaiterError

from cli.failure import Failed, Refused
from cli.install import Built, Target
from control_plane import aws, naming, templates
from control_plane.models import Env, JsonObject, StackStatus, utc_now
from control_plane.rules import changes, decisions
from control_plane.rules.decisions import StackAction, StackRequest
from control_plane.services import stack_reading as reading

POLL_SECONDS = 5.0
"""How often CloudFormation is asked how far it is: DescribeStacks has a limit for the account."""

_BUCKET_RESOURCES = ("ArtifactBucket", "ArtifactBucketPolicy")
"""What the first installation makes first: the bucket that the rest is packaged into."""


def make_ready(target: Target) -> bool:
    """Bring the stack into a state that can be updated, as docs/lifecycle.md says; answers whether
    there is one. Raises Refused, and Failed."""
    client, stack = aws.cloudformation(), reading.describe(target.stack)
    status = StackStatus(stack["StackStatus"]) if stack else None
    event = reading.last_event(stack["StackId"]) if stack else None
    decision = decisions.decide_stack(status, event, StackRequest(target.tenant))
    match decision.action:
        case StackAction.CREATE:
            return False
        case StackAction.UPDATE:
            return True
        case StackAction.DELETE_FIRST if stack:
            delete(target.stack, stack["StackId"], target.poll_seconds, target.role_arn)
            return False
        case StackAction.CONTINUE_ROLLBACK:
            client.continue_update_rollback(StackName=target.stack, **in_role(target.role_arn))
            _wait(target, "stack_rollback_complete", target.stack)
            return True
        case _:
            raise Refused(f"{target.stack} is {status}: {decision.reason}")


def artifact_bucket(target: Target, account: str) -> str:
    """The bucket that the first prefix names. Raises Refused where another one is in use."""
    bucket = f"{target.prefixes.split(',')[0]}-sam-deployments-{account}"
    found = reading.describe(target.stack)
    outputs = {i["OutputKey"]: i["OutputValue"] for i in found.get("Outputs", [])} if found else {}
    used = outputs.get("ArtifactBucketName", bucket)
    if used != bucket:
        raise Refused(
            f"the first of --prefixes names the artifact bucket, and {target.stack} has {used}: "
            f"put {used.removesuffix(f'-sam-deployments-{account}')} first"
        )
    return bucket


def create_bucket(target: Target, template: JsonObject, bucket: str) -> None:
    """Create the stack with the artifact bucket alone, or with one that an uninstall left."""
    resources = {name: template["Resources"][name] for name in _BUCKET_RESOURCES}
    own = resources["ArtifactBucket"]["Properties"]
    # A literal, so that CloudFormation adopts a bucket that is there.
    resources["ArtifactBucket"] = {
        **resources["ArtifactBucket"],
        "Properties": {**own, "BucketName": bucket},
    }
    first = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": template["Description"],
        "Parameters": template["Parameters"],
        "Resources": resources,
    }
    change(target, first, target.parameters(), kind="CREATE", body=templates.dump(first))


def deploy(
    target: Target, built: Built, account: str, before_change: Callable[[], None]
) -> JsonObject:
    """Bring the stack to a build, as a deployment of itself would; gives what `change` gives.

    `before_change` is called right before anything is changed, and may refuse.
    """
    body = aws.s3().get_object(Bucket=built.bucket, Key=built.template_key)["Body"].read()
    region = aws.cloudformation().meta.region_name
    stateful = built.manifest.stack.stateful_types
    given = {**target.parameters(), "Build": naming.build_label(built.template_key)}
    packaged = templates.parse(body.decode())
    here = {
        "AWS::AccountId": account,
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::StackName": target.stack,
    }
    before, declared = _previous(target), packaged.get("Parameters", {})
    asked = changes.stack_parameters(
        declared, computed=given, requested={}, first_deployment={}, previous=before
    )
    named = templates.with_literal_names(packaged, {**given, **here}, stateful)
    template = templates.with_versions_of(
        named, changes.all_values(asked, declared=declared, previous=before)
    )
    key = naming.resolved_key(built.template_key)
    aws.s3().put_object(
        Bucket=built.bucket,
        Key=key,
        Body=templates.dump(template).encode(),
        ContentType="application/json",
    )
    url = reading.template_url(region, built.bucket, key)
    return change(
        target,
        template,
        given,
        kind="UPDATE",
        url=url,
        stateful=stateful,
        before_change=before_change,
    )


def change(
    target: Target,
    template: JsonObject,
    given: Mapping[str, str],
    *,
    kind: str,
    url: str = "",
    body: str = "",
    stateful: tuple[str, ...] = (),
    before_change: Callable[[], None] | None = None,
) -> JsonObject:
    """Bring the stack to a template; gives a record's `change_set`.

    Raises Refused for a change that would lose data, and Failed with the first failing resource.
    """
    client, name = aws.cloudformation(), f"syndi-install-{naming.new_deployment_id(utc_now())}"
    values = changes.stack_parameters(
        template.get("Parameters", {}),
        computed=given,
        requested={},
        first_deployment={},
        previous=_previous(target) if kind == "UPDATE" else None,
    )
    made = client.create_change_set(
        StackName=target.stack,
        ChangeSetName=name,
        ChangeSetType=kind,  # type: ignore[arg-type]  # CREATE or UPDATE
        **({"TemplateURL": url} if url else {"TemplateBody": body}),  # type: ignore[arg-type]
        Parameters=values,  # type: ignore[arg-type]  # the same shape, as plain dicts
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": naming.OWNER_TAG, "Value": target.stack}],
        # The table and the bucket that an uninstall left are adopted, with what is in them.
        ImportExistingResources=True,
        **in_role(target.role_arn),
    )
    found = _found(target, made["StackId"], made["Id"])
    if found is None:
        client.delete_change_set(ChangeSetName=made["Id"])
        return {"id": made["Id"], "stack_id": made["StackId"], "has_changes": False, "summary": {}}
    refusal = changes.refuse_changes(changes.lost(found, stateful), [])
    if refusal:
        client.delete_change_set(ChangeSetName=made["Id"])
        raise Refused(f"{target.stack}: {refusal}")
    if before_change:
        before_change()
    client.execute_change_set(ChangeSetName=made["Id"], ClientRequestToken=name)
    waiter = "stack_create_complete" if kind == "CREATE" else "stack_update_complete"
    _wait(target, waiter, made["StackId"], name)
    return {
        "id": made["Id"],
        "stack_id": made["StackId"],
        "has_changes": True,
        "summary": changes.summarize(found),
    }


def protect(target: Target) -> None:
    """Termination protection in prod, as every other stack there has it."""
    if target.tenant.env == Env.PROD:
        aws.cloudformation().update_termination_protection(
            StackName=target.stack, EnableTerminationProtection=True
        )


def delete(name: str, stack_id: str, poll_seconds: float, role_arn: str | None = None) -> None:
    """Delete the stack, also a protected one. Raises Failed with what is in the way."""
    client, token = aws.cloudformation(), f"uninstall-{naming.new_deployment_id(utc_now())}"
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    client.delete_stack(StackName=stack_id, ClientRequestToken=token, **in_role(role_arn))
    _await(name, poll_seconds, "stack_delete_complete", stack_id, token)


def in_role(arn: str | None) -> Any:
    """The parameter that names CloudFormation's role; without one it keeps the last role."""
    return {"RoleARN": arn} if arn else {}


def _previous(target: Target) -> dict[str, str]:
    stack = reading.describe(target.stack)
    return reading.parameters(stack) if stack else {}


def _found(target: Target, stack: str, change_set: str) -> list[changes.Change] | None:
    """What a change set would do, when it is there; None: nothing. Raises Failed."""
    try:
        aws.cloudformation().get_waiter("change_set_create_complete").wait(
            ChangeSetName=change_set, WaiterConfig=_every(target.poll_seconds, 15)
        )
    except WaiterError as error:
        described = reading.change_set(stack, change_set)
        reason = " ".join(described.get("StatusReason", "").split())
        if changes.is_without_changes(reason):
            return None
        raise Failed(f"{target.stack}: no change set could be made: {reason}") from error
    return reading.changes(stack, change_set)


def _wait(target: Target, waiter: str, stack: str, token: str = "") -> None:
    _await(target.stack, target.poll_seconds, waiter, stack, token)


def _await(name: str, poll_seconds: float, waiter: str, stack: str, token: str) -> None:
    """Wait for an operation's end. Raises Failed with what failed first in it."""
    client: Any = aws.cloudformation()  # a waiter's name is a literal in the stubs
    try:
        client.get_waiter(waiter).wait(StackName=stack, WaiterConfig=_every(poll_seconds, 120))
    except WaiterError as error:
        found = reading.describe(stack)
        status = found["StackStatus"] if found else "gone"
        told = "; ".join(reading.validation_failures(stack))
        told = told or decisions.first_failure(reading.operation_events(stack, token)) or str(error)
        raise Failed(f"{told}; {name} is {status}") from error


def _every(poll_seconds: float, minutes: int) -> Any:
    return {"Delay": poll_seconds, "MaxAttempts": int(minutes * 60 / poll_seconds)}
