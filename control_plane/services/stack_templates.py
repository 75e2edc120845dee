"""The template of a stack or of a change set, as CloudFormation applies it."""

from control_plane import aws, templates
from control_plane.models import JsonObject


def processed_template(stack: str, change_set: str) -> JsonObject:
    """The template that a change set would apply, after its transforms (SAM, includes, macros).

    `stack`: the stack's name or id; IAM policies name stacks. `change_set`: its name or id; empty:
    the template that the stack has now, or {} for a stack that has none yet (REVIEW_IN_PROGRESS).
    References and conditions stand in it as they are written. GetTemplate's `Processed` stage
    (CloudFormation API reference). Raises ValueError for a text that is no template.
    """
    named: dict[str, str] = {"ChangeSetName": change_set} if change_set else {}
    answer = aws.cloudformation().get_template(StackName=stack, TemplateStage="Processed", **named)
    # botocore gives a JSON template as an object, and a YAML one as its text.
    body = answer.get("TemplateBody", "")
    return templates.parse(body) if isinstance(body, str) and body.strip() else dict(body or {})
