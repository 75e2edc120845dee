"""`syndi approve` and `syndi reject`: a yes or no to what a deployment would change."""

from cli.by_id import ask_of
from cli.context import command, current
from cli.options import CommentOption, IdArgument, JsonOption
from cli.output import out, print_json
from cli.summaries import changes


@command
def approve(
    deployment_id: IdArgument, comment: CommentOption = "", as_json: JsonOption = False
) -> None:
    """Let a deployment that waits for an approval go on."""
    _decide("approve", deployment_id, comment)


@command
def reject(
    deployment_id: IdArgument, comment: CommentOption = "", as_json: JsonOption = False
) -> None:
    """End a deployment that waits for an approval, before anything is changed."""
    _decide("reject", deployment_id, comment)


def _decide(verb: str, deployment_id: str, comment: str) -> None:
    """Send the decision, and say what it was about. A refusal of the API is exit code 2."""
    record = ask_of(current.api(), deployment_id, verb, lambda _: {"comment": comment})
    if current.as_json:
        print_json(record)
        return
    approval = record["approval"]
    verdict = str(approval["decision"]).lower()
    out.print(f"{verdict} deployment {record['id']} of {record['stack_name']}", markup=False)
    for line in changes(record):
        out.print(line)
    out.print(f"asked by   {record.get('requested_by', 'nobody known')}", markup=False)
    out.print(f"{verdict:<10} by {approval['decided_by']}", markup=False)
