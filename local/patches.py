"""Where the emulator differs from AWS in a way that a deployment system must notice.

Each function here is one patch: it explains the difference, checks that what it replaces is what
it was written for (MiniStack 1.5.33), and raises UnexpectedEmulator otherwise. CloudFormation,
IAM, Step Functions and layers have modules of their own. Runs in the emulator's environment:
standard library and `ministack` only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, install, replace_once, rewrite


def lambda_errors() -> None:
    """A failed function reports the class of its exception, as AWS does.

    Without this every exception is `Runtime.HandlerError`, and no typed `Catch` of a state machine
    can match. The payload becomes what AWS's Python runtime sends: errorMessage, errorType,
    requestId and stackTrace. A `sys.exit()` in a handler becomes `Runtime.ExitError`.
    """
    lambda_runtime = emulator_module("core.lambda_runtime")
    lambda_svc = emulator_module("services.lambda_svc")

    lambda_runtime._PYTHON_WORKER_SCRIPT = replace_once(
        lambda_runtime._PYTHON_WORKER_SCRIPT,
        '"error": str(e), "trace": traceback.format_exc()}',
        '"error": str(e), "trace": traceback.format_exc(), "error_payload": {'
        '"errorMessage": str(e), "errorType": type(e).__name__, '
        '"requestId": _ms_ctx.get("request_id", ""), '
        # The first frame is the runtime's own call of the handler: AWS leaves it out too.
        '"stackTrace": traceback.format_list(traceback.extract_tb(e.__traceback__)[1:])}}',
        "ministack.core.lambda_runtime._PYTHON_WORKER_SCRIPT",
    )
    anchor = '            error_msg = result.get("error", "Unknown error")\n'
    timed_out = '                error_type = "Sandbox.Timedout"\n'
    changed = rewrite(
        lambda_svc,
        "_execute_function_warm",
        [
            (
                anchor,
                '            if isinstance(result.get("error_payload"), dict):\n'
                '                log = [result.get("log", ""), result.get("trace", "")]\n'
                '                return {"body": result["error_payload"], "error": True,\n'
                '                        "log": "\\n".join(filter(None, log))}\n' + anchor,
            ),
            (
                timed_out,
                timed_out + '            elif error_msg == "Worker process died":\n'
                '                error_type = "Runtime.ExitError"\n',
            ),
        ],
    )
    install("_execute_function_warm", changed, [lambda_svc])


def non_empty_buckets() -> None:
    """CloudFormation refuses to delete a bucket that holds objects, as AWS does.

    Without this the bucket and everything in it is gone without a word, and a test of a deployment
    that must not lose data would pass for the wrong reason. The reason is worded as AWS words it.
    """
    s3 = emulator_module("services.s3")
    provisioners = emulator_module("services.cloudformation.provisioners")

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    if handlers.get("delete") is not provisioners._s3_delete:
        raise UnexpectedEmulator("the S3 bucket's delete handler is not _s3_delete")
    for name in ("_buckets", "_bucket_has_versions", "_delete_bucket"):
        if not hasattr(s3, name):
            raise UnexpectedEmulator(f"ministack.services.s3 has no {name}")
    delete_empty = provisioners._s3_delete

    def delete(bucket_name: str, props: dict[str, Any]) -> None:
        bucket = s3._buckets.get(bucket_name)
        if bucket is not None:
            versions = s3._bucket_has_versions(bucket_name)
            if bucket["objects"] or versions:
                more = " You must delete all versions in the bucket." if versions else ""
                raise ValueError(
                    'Resource handler returned message: "The bucket you tried to delete is not '
                    f"empty.{more} (Service: S3, Status Code: 409, Request ID: "
                    f'{uuid.uuid4().hex[:16].upper()})" (RequestToken: {uuid.uuid4()}, '
                    "HandlerErrorCode: GeneralServiceException)"
                )
        delete_empty(bucket_name, props)

    handlers["delete"] = delete


def bucket_tags() -> None:
    """A bucket that a stack makes carries the stack's tags and its own, as on AWS.

    Without this it has none, and nothing could say whose it is once its stack is gone.
    """
    s3 = emulator_module("services.s3")
    provisioners = emulator_module("services.cloudformation.provisioners")
    tagged, kind = provisioners._STACK_TAG_PROPERTY, "AWS::S3::Bucket"
    if kind in tagged or not hasattr(s3, "_bucket_tags"):
        raise UnexpectedEmulator("CloudFormation's buckets are tagged in another way")
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    tagged[kind] = ("Tags", "list")
    for verb, name in (("create", "_s3_create"), ("update", "_s3_update")):
        if handlers.get(verb) is not getattr(provisioners, name):
            raise UnexpectedEmulator(f"the S3 bucket's {verb} handler is not {name}")
        handlers[verb] = _tagging(handlers[verb], s3)


def _tagging(handle: Callable[..., Any], s3: Any) -> Callable[..., Any]:
    def tag(*arguments: Any) -> Any:
        bucket, attributes = handle(*arguments)
        properties = arguments[-2]  # in both verbs the new ones, before the stack's name
        s3._bucket_tags[bucket] = {i["Key"]: i["Value"] for i in properties.get("Tags", [])}
        return bucket, attributes

    return tag


_KEPT = {"LogsConfig": "logsConfig", "Cache": "cache", "QueuedTimeoutInMinutes":
         "queuedTimeoutInMinutes"}  # fmt: skip


def codebuild_projects() -> None:
    """A CodeBuild project keeps its log group, cache and queue limit.

    Without this CloudFormation drops them, and the CodeBuild endpoint, which reads the project
    from the emulator, could not write its log where the template says.
    """
    codebuild = emulator_module("services.codebuild")
    provisioners = emulator_module("services.cloudformation.provisioners")

    handlers = provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    if (
        handlers.get("create") is not provisioners._codebuild_project_create
        or handlers.get("update") is not provisioners._codebuild_project_update
        or set(handlers) != {"create", "update", "delete"}
    ):
        raise UnexpectedEmulator("the CodeBuild project's handlers are not the expected ones")
    create, update, shape = handlers["create"], handlers["update"], codebuild._project_shape

    def keep(name: str, props: dict[str, Any]) -> None:
        for property_name, member in _KEPT.items():
            codebuild._projects[name].pop(member, None)
            if property_name in props:
                value = provisioners._codebuild_cfn_to_api(props[property_name])
                codebuild._projects[name][member] = value

    def create_and_keep(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        name, attributes = create(logical_id, props, stack_name)
        keep(name, props)
        return name, attributes

    def update_and_keep(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any
    ) -> Any:
        name, attributes = update(physical_id, old, new, *rest)
        keep(name, new)
        return name, attributes

    def shape_with_kept(project: dict[str, Any]) -> dict[str, Any]:
        kept = {member: project[member] for member in _KEPT.values() if member in project}
        return {**shape(project), **kept}

    handlers.update(create=create_and_keep, update=update_and_keep)
    install("_project_shape", shape_with_kept, [codebuild])
