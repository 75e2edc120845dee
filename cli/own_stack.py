"""The control plane's own stack, as whoever installs it works on it: with their own permissions."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from botocore.exceptions import WaiterError

from cli.awaiting import await_operation
from cli.failure import Failed, Refused
from cli.install import Built, Target
from control_plane import aws, naming, templates
from control_plane.errors import StackRefused
from control_plane.models import Env, JsonObject, StackStatus, utc_now
from control_plane.rules import changes, data, decisions
from control_plane.rules.decisions import StackAction, StackRequest
from control_plane.services import change_sets
from control_plane.services import stack_reading as reading

POLL_SECONDS = 5.0
"""How often CloudFormation is asked how far it is: DescribeStacks has a limit for the account."""

_WITHOUT_DATA = ("StrangerPool",)
"""What of the control plane's own holds nothing in spite of its type: a pool for proofs that its
users are refused, none of whom outlives a test."""

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
        case StackAction.CONTINUE_ROLLBACK if stack:
            stack_id, token = stack["StackId"], f"continue-{naming.new_deployment_id(utc_now())}"
            client.continue_update_rollback(
                StackName=stack_id, ClientRequestToken=token, **in_role(target.role_arn)
            )
            back = (StackStatus.UPDATE_ROLLBACK_COMPLETE,)
            await_operation(target.stack, target.poll_seconds, stack_id, token, back)
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
    target: Target,
    built: Built,
    account: str,
    before_change: Callable[[], None],
    deployed_types: Collection[str] = (),
) -> JsonObject:
    """Bring the stack to a build, as a deployment of itself would; gives what `change` gives.

    `before_change` is called right before anything is changed, and may refuse. `deployed_types`:
    the stateful types by the manifest of what is installed.
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
        stateful={*stateful, *deployed_types},
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
    stateful: Collection[str] = (),
    before_change: Callable[[], None] | None = None,
) -> JsonObject:
    """Bring the stack to a template; gives a record's `change_set`.

    Raises Refused for a change that would lose data, and Failed with the first failing resource.
    """
    client, name = aws.cloudformation(), f"syndi-install-{naming.new_deployment_id(utc_now())}"
    stack = reading.describe(target.stack)
    values = changes.stack_parameters(
        template.get("Parameters", {}),
        computed=given,
        requested={},
        first_deployment={},
        previous=reading.parameters(stack) if stack and kind == "UPDATE" else None,
    )
    try:
        change_set, stack_id = change_sets.create(
            target.stack,
            name,
            stack=stack,
            kind=kind,
            template={"TemplateURL": url} if url else {"TemplateBody": body},
            parameters=values,
            role=in_role(target.role_arn),
        )
    except StackRefused as error:
        raise Refused(str(error)) from error
    made = {"id": change_set, "stack_id": stack_id}
    found = _effects(target, stack_id, change_set, stateful)
    if found is None:
        client.delete_change_set(ChangeSetName=change_set)
        return {**made, "has_changes": False, "summary": {}}
    refusal = changes.refuse_changes(changes.of_own_stack(found.losses), [])
    if refusal:
        client.delete_change_set(ChangeSetName=change_set)
        raise Refused(f"{target.stack}: {refusal}")
    if before_change:
        before_change()
    client.execute_change_set(
        ChangeSetName=change_set,
        ClientRequestToken=name,
        # What a failed change made goes with it: a published version that stayed would be the one
        # that the next attempt may not publish again.
        RetainExceptOnCreate=True,
    )
    await_operation(target.stack, target.poll_seconds, stack_id, name, reading.SUCCEEDED)
    summary = changes.summarize(found.changes)
    return {**made, "has_changes": True, "summary": summary, **change_sets.facts(found)}


def protect(target: Target) -> None:
    """Termination protection in prod, as every other stack there has it."""
    if target.tenant.env == Env.PROD:
        aws.cloudformation().update_termination_protection(
            StackName=target.stack, EnableTerminationProtection=True
        )


def refuse_destruction(name: str, stack_id: str) -> None:
    """Raise Refused when a deletion of the stack would destroy data: what holds data, or may, and
    no DeletionPolicy retains. The logs go with the stack, as docs/install.md says."""
    lost = [
        f"{loss.logical_id} ({loss.resource_type})"
        for loss in change_sets.deleted_with(stack_id, ())
        if loss.resource_type not in data.LOGS and loss.logical_id not in _WITHOUT_DATA
    ]
    if lost:
        raise Refused(
            f"deleting {name} would destroy what holds data and no DeletionPolicy retains: "
            f"{', '.join(lost)}; nothing was removed. Install a release whose template retains it, "
            "then uninstall"
        )


def delete(name: str, stack_id: str, poll_seconds: float, role_arn: str | None = None) -> None:
    """Delete the stack, also a protected one. Raises Failed with what is in the way."""
    client, token = aws.cloudformation(), f"uninstall-{naming.new_deployment_id(utc_now())}"
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    client.delete_stack(StackName=stack_id, ClientRequestToken=token, **in_role(role_arn))
    await_operation(name, poll_seconds, stack_id, token, (StackStatus.DELETE_COMPLETE,))


def in_role(arn: str | None) -> Any:
    """The parameter that names CloudFormation's role; without one it keeps the last role."""
    return {"RoleARN": arn} if arn else {}


def _previous(target: Target) -> dict[str, str]:
    stack = reading.describe(target.stack)
    return reading.parameters(stack) if stack else {}


def _effects(
    target: Target, stack: str, change_set: str, stateful: Collection[str]
) -> change_sets.Effects | None:
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
        why = reading.refusal(change_set, reason)
        raise Failed(f"{target.stack}: no change set could be made: {why}") from error
    return change_sets.effects(stack, change_set, stateful)


def _every(poll_seconds: float, minutes: int) -> Any:
    return {"Delay": poll_seconds, "MaxAttempts": int(minutes * 60 / poll_seconds)}
