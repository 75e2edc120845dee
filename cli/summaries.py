"""What a command tells of one deployment: its steps, what it changed, why it ended so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.context import current
from cli.output import coloured, out, seconds_between
from control_plane import aws, own


def steps_of(record: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The steps that a deployment entered, in their order; those of the way back with an arrow."""
    forth = list(record.get("steps", {}).items())
    back = [(f"↩ {name}", step) for name, step in record.get("rollback_steps", {}).items()]
    return sorted(forth + back, key=lambda item: item[1].get("started_at", ""))


def steps_table(record: Mapping[str, Any]) -> Table:
    """The steps that a deployment entered, with their times."""
    table = Table(box=None, pad_edge=False)
    for title in ("step", "status", "took", "what it found or did"):
        table.add_column(title, style="bold" if title == "step" else None)
    for name, step in steps_of(record):
        table.add_row(
            name,
            coloured(step["status"]),
            seconds_between(step.get("started_at"), step.get("finished_at")),
            escape(step.get("note", "")),
        )
    return table


def summary(record: Mapping[str, Any]) -> None:
    """A deployment's end: what happened, why, and where to look."""
    out.print(
        f"\n{coloured(record['status'])} [bold]{record['stack_name']}[/bold] "
        f"deployment {record['id']} "
        f"({seconds_between(record.get('created_at'), record.get('finished_at'))})"
    )
    if record.get("aftermath"):
        out.print(f"aftermath  {record['aftermath']}", markup=False)
    if record.get("reason"):
        out.print(f"reason     {record['reason']}", markup=False)
    if record.get("hint"):
        out.print(f"hint       {record['hint']}", markup=False)
    if record.get("build_log"):
        out.print("the build's log ends with")
        for line in record["build_log"]:
            out.print(f"  | {line}", markup=False)
    for line in [*changes(record), *asked(record)]:
        out.print(line)
    _builds(record)
    for kind, key in (("test", "tests"), ("test again", "rollback_tests")):
        for test in record.get(key, []):
            said = escape(f"{test['name']}: {test['detail']}")
            out.print(f"{kind:<10} {coloured(test['status'])} {said}")
    if record.get("endpoint"):
        out.print(f"endpoint   {aws.reachable(record['endpoint'])}")
    for name, value in record.get("outputs", {}).items():
        if value.startswith("https://") and value != record.get("endpoint"):
            out.print(f"{name:<10} {value}", markup=False)
    admin = record.get("admin")
    if admin:
        kept = (
            f"password in the secret {admin['secret']}"
            if admin["secret"]
            else "password not kept here"
        )
        out.print(f"admin      {admin['username']} ({admin['group']}; {kept})")
    if record.get("control_plane"):
        out.print(f"run by     {release(record['control_plane'])}", markup=False)
    out.print(f"execution  {record['console_url']}")


def release(found: Mapping[str, Any]) -> str:
    """Which release of the control plane it was, such as `control plane 0.2.0 (build …)`."""
    known = [f"{what} {found[what][:12]}" for what in ("build", "source") if found.get(what)]
    return f"control plane {found['version']} ({', '.join(known) or 'a checkout, not a build'})"


def _builds(record: Mapping[str, Any]) -> None:
    """What was brought: a build, or a patch over one; and what was put back."""
    patch = record.get("patch")
    if patch:
        over = patch["over"][:12]
        out.print(f"patch      {patch['fingerprint'][:12]} (code only, over build {over})")
    elif record.get("build"):
        build = record["build"]
        made = "reused" if build["reused"] else "built"
        out.print(f"build      {build['fingerprint'][:12]} ({made}: {build['build_id']})")
    if record.get("rollback_build"):
        out.print(f"back to    {record['rollback_build']['fingerprint'][:12]}")


_MARKS = {
    "added": "[green]+ added[/green]",
    "imported": "[cyan]> imported[/cyan]",
    "modified": "[yellow]~ modified[/yellow]",
    "replaced": "[bold red]! replaced[/bold red]",
    "maybe_replaced": "[bold red]! maybe replaced[/bold red]",
    "removed": "[bold red]- removed[/bold red]",
}

_FOLDED = {
    "AWS::Lambda::Version": "version",
    "AWS::Lambda::Permission": "permission",
    "AWS::IAM::Role": "role",
}
"""Of the control plane: what every release has anew, dozens of them. They are counted, so that the
rest of a summary stays in sight; `--json` names them."""


def changes(record: Mapping[str, Any]) -> list[Text]:
    """What the change set does to which resource, a line each; what may lose data stands out."""
    found = record.get("change_set")
    if not found:
        return []
    folded = _FOLDED if record.get("application") == own.APPLICATION else {}
    lines = [
        line for kind, items in found["summary"].items() for line in _changed(kind, items, folded)
    ] or [Text("changes    none")]
    lines += [
        Text.from_markup(f"[yellow]not retained[/yellow] {escape(name)} ({escape(what)})")
        for name, what in sorted(found.get("unretained", {}).items())
    ]
    if record.get("request", {}).get("dry_run"):
        lines.insert(0, Text("dry run    nothing was changed; a deployment would do this:"))
    return lines + config_changes(record)


def config_changes(record: Mapping[str, Any]) -> list[Text]:
    """What a deployment would do to the live configuration, a line a key, without values."""
    found = record.get("config_changes")
    if not found:
        return []
    lines = [
        Text.from_markup(f"{_MARKS[mark]} ") + Text(f"config {key}")
        for kind, mark in (("added", "added"), ("changed", "modified"), ("removed", "removed"))
        for key in found[kind]
    ]
    if found.get("problem"):
        lines.append(Text(f"config     what is live cannot be read: {found['problem']}"))
    if found["more"]:
        lines.append(Text(f"config     {found['more']} more keys"))
    lines = lines or [Text("config     no key changes")]
    if found["set_by_stack"]:
        keys = ", ".join(found["set_by_stack"])
        lines.append(Text(f"config     set by the stack when it is there: {keys}"))
    return lines


def _changed(
    kind: str, items: Sequence[Mapping[str, str]], folded: Mapping[str, str]
) -> list[Text]:
    """What happens to resources of one kind of change: a line each, and one for what is counted."""
    told = [f"{item['id']} ({item['type']})" for item in items if item["type"] not in folded]
    counts = Counter(folded[item["type"]] for item in items if item["type"] in folded)
    counted = ", ".join(f"{n} {what}{'s' * (n > 1)}" for what, n in sorted(counts.items()))
    return [Text.from_markup(f"{_MARKS[kind]} {escape(text)}") for text in [*told, counted] if text]


def asked(record: Mapping[str, Any]) -> list[Text]:
    """Of a deployment that needs an approval: how to give it, or who decided, why and when."""
    approval = record.get("approval")
    if not approval:
        return []
    if "decision" in approval:
        told = f"approval   {approval['decision'].lower()} by {approval['decided_by']}"
        told += f" at {approval['decided_at'][:19]}"
        return [Text(told + (f": {approval['comment']}" if approval["comment"] else ""))]
    if record["status"] != "AWAITING_APPROVAL":
        return []
    syndi = "syndi --local" if current.local else "syndi"
    return [
        Text(
            f"waiting for approval until {approval['expires_at'][:16]}: "
            f"{syndi} approve {record['id']} / {syndi} reject {record['id']}"
        )
    ]
