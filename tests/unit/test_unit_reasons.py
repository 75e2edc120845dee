"""What AWS says, in plain words: real messages of several services, and what becomes of them."""

import pytest

from control_plane.reasons import LENGTH, one_line, plain

ROLE = "arn:aws:sts::123456789012:assumed-role/syndi-cloudformation/AWSCloudFormation"
CALL = "An error occurred ({code}) when calling the {operation} operation: {told}"
IDENTITY = "because no identity-based policy allows the {action} action"


def denied(action: str, resource: str, why: str = IDENTITY, who: str = ROLE) -> str:
    """The common sentence of the IAM guide's "Troubleshoot access denied error messages"."""
    on = f" on resource: {resource}" if resource else ""
    told = f"User: {who} is not authorized to perform: {action}{on}"
    return f"{told} {why.format(action=action)}".strip()


TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/syndi-history"
GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/x:log-stream:"

PERMISSIONS = [
    (
        CALL.format(
            code="AccessDeniedException", operation="PutItem",
            told=denied("dynamodb:PutItem", TABLE),
        ),
        f"missing permission dynamodb:PutItem on {TABLE} for role syndi-cloudformation",
    ),
    (  # S3 puts the resource in quotes
        CALL.format(
            code="AccessDenied", operation="GetObject",
            told=denied("s3:GetObject", '"arn:aws:s3:::bucket/a key"'),
        ),
        "missing permission s3:GetObject on arn:aws:s3:::bucket/a key for role "
        "syndi-cloudformation",
    ),
    (  # CloudFormation around CloudWatch Logs
        f'Resource handler returned message: "{denied("logs:CreateLogGroup", GROUP)} (Service: '
        'CloudWatchLogs, Status Code: 400, Request ID: 1f6b-2)" (RequestToken: e26ed59d-420f, '
        "HandlerErrorCode: AccessDenied)",
        f"missing permission logs:CreateLogGroup on {GROUP} for role syndi-cloudformation",
    ),
    (
        CALL.format(
            code="UnauthorizedOperation", operation="RunInstances",
            told="You are not authorized to perform this operation. "
            + denied("ec2:RunInstances", "arn:aws:ec2:us-east-1:123456789012:instance/*")
            + ". Encoded authorization failure message: KzCTdjlfnw3kFnfFPzPDmpF530f-x_Y",
        ),
        "missing permission ec2:RunInstances on arn:aws:ec2:us-east-1:123456789012:instance/* "
        "for role syndi-cloudformation",
    ),
    (
        "API: iam:CreateRole "
        + denied("iam:CreateRole", "arn:aws:iam::1:role/x", "with an explicit deny"),
        "missing permission iam:CreateRole on arn:aws:iam::1:role/x for role "
        "syndi-cloudformation (denied explicitly)",
    ),
    (
        denied("iam:PassRole", "arn:aws:iam::1:role/x", "with an explicit deny in a service "
               "control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1"),
        "missing permission iam:PassRole on arn:aws:iam::1:role/x for role syndi-cloudformation "
        "(denied explicitly in a service control policy)",
    ),
    (
        denied("sqs:CreateQueue", "arn:aws:sqs:x", "with an explicit deny in a permissions "
               "boundary"),
        "missing permission sqs:CreateQueue on arn:aws:sqs:x for role syndi-cloudformation "
        "(denied explicitly in a permissions boundary)",
    ),
    (
        denied("s3:PutObject", "arn:aws:s3:::b/k", "because no permissions boundary allows the "
               "{action} action"),
        "missing permission s3:PutObject on arn:aws:s3:::b/k for role syndi-cloudformation "
        "(no permissions boundary allows it)",
    ),
    (
        denied("kms:Decrypt", "arn:aws:kms:x:key/1", "because no resource-based policy allows the "
               "{action} action", "arn:aws:iam::123456789012:user/team/ops"),
        "missing permission kms:Decrypt on arn:aws:kms:x:key/1 for user ops "
        "(no resource-based policy allows it)",
    ),
    (  # the oldest form, without a resource
        CALL.format(
            code="AccessDenied", operation="DescribeStacks",
            told=denied("cloudformation:DescribeStacks", "", ""),
        ),
        "missing permission cloudformation:DescribeStacks for role syndi-cloudformation",
    ),
    (
        "is not authorized to perform: cloudformation:ListStacks on resource: arn:x because no "
        "identity-based policy allows the cloudformation:ListStacks action",
        "missing permission cloudformation:ListStacks on arn:x",
    ),
    (
        f"Api (AWS::ApiGateway::RestApi): {denied('apigateway:POST', 'arn:aws:apigateway:x')}; "
        "the stack is ROLLBACK_COMPLETE",
        "Api (AWS::ApiGateway::RestApi): missing permission apigateway:POST on "
        "arn:aws:apigateway:x for role syndi-cloudformation; the stack is ROLLBACK_COMPLETE",
    ),
    (  # the services that say little
        CALL.format(code="AccessDenied", operation="PutObject", told="Access Denied"),
        "missing permission for PutObject: Access Denied",
    ),
    (
        CALL.format(code="403", operation="HeadObject", told="Forbidden"),
        "missing permission for HeadObject: Forbidden",
    ),
    (
        CALL.format(
            code="AccessDenied", operation="SendMessage",
            told="Access to the resource https://sqs/q is denied.",
        ),
        "missing permission for SendMessage: Access to the resource https://sqs/q is denied.",
    ),
    ("API: s3:CreateBucket Access Denied", "missing permission s3:CreateBucket"),
    (
        'Resource handler returned message: "Access Denied (Service: S3, Status Code: 403, '
        'Request ID: 1, Extended Request ID: x/=)" (RequestToken: e2, HandlerErrorCode: '
        "AccessDenied)",
        "missing permission in S3, which does not say which",
    ),
    (
        "You are not authorized to perform this operation. (Service: Ec2, Status Code: 403, "
        "Request ID: 739745f0, Extended Request ID: null)",
        "missing permission in Ec2, which does not say which",
    ),
]  # fmt: skip

OTHERS = [
    ("two\n  lines", "two lines"),
    (
        'Resource handler returned message: "Bucket (x) already exists (Service: S3, Status Code: '
        '409, Request ID: 1)" (RequestToken: e2-1, HandlerErrorCode: AlreadyExists)',
        "Bucket (x) already exists (AlreadyExists)",
    ),
    (
        CALL.format(code="ValidationError", operation="CreateChangeSet", told="Template is bad"),
        "An error occurred (ValidationError) when calling the CreateChangeSet operation: "
        "Template is bad",
    ),
    ("the tenant says: not authorized", "the tenant says: not authorized"),
]


@pytest.mark.parametrize(("said", "told"), PERMISSIONS + OTHERS)
def test_a_message_of_aws_is_told_in_plain_words(said: str, told: str) -> None:
    assert plain(said) == told
    assert plain(told) == told, "telling it twice changes nothing"


STACK = "control-plane-prod-main"


@pytest.mark.parametrize(
    ("state", "error", "cause", "reason"),
    [
        ("AwaitStack", "StackFailed", '{"errorMessage": "a\\n b"}', "AwaitStack: a b"),
        ("AwaitBuild", "BuildTimedOut", "too long", "AwaitBuild: too long"),
        (
            "RunTests", "States.Timeout", "",
            "RunTests: the verify worker crashed 3 times in a row (States.Timeout); "
            "its log group is /aws/lambda/control-plane-prod-main-verify",
        ),
        (
            "AwaitStack", "Sandbox.Timedout", '{"errorMessage": "Task timed out after 60.00 s"}',
            "AwaitStack: the stack worker crashed 3 times in a row (Sandbox.Timedout: Task timed "
            "out after 60.00 s); its log group is /aws/lambda/control-plane-prod-main-stack",
        ),
        (
            "AwaitApproval", "States.Timeout", "timed out",
            "AwaitApproval: nobody approved within 24 hours",
        ),
        (
            "AwaitApproval", "ApprovalRejected", "rejected by x: no",
            "AwaitApproval: rejected by x: no",
        ),
    ],
)  # fmt: skip
def test_a_reason_says_where_and_why(state: str, error: str, cause: str, reason: str) -> None:
    assert one_line({"state": state, "error": error, "cause": cause}, STACK) == reason


def test_a_reason_is_a_line_that_can_be_read() -> None:
    told = one_line({"state": "S", "error": "E", "cause": "long " * 1000}, STACK)
    assert len(told) == LENGTH
    assert told.endswith("…")
