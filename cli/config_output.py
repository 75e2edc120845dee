"""What `syndi config` prints for people."""

import json
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli.output import err, out, print_json


def shown(answer: Mapping[str, Any], *, explain: bool) -> None:
    """What is live and how it stands to what was deployed; then its values, or who won each."""
    for line in _standing(answer):
        err.print(line, markup=False)
    if explain:
        out.print(_winners_table(answer["explain"]))
    elif "content" in answer:
        print_json(answer["content"])


def _standing(answer: Mapping[str, Any]) -> list[str]:
    stored = answer["overrides"]["version"]
    if not answer["deployed"]:
        return [f"nothing is live: nothing is deployed; overrides version {stored} are stored"]
    deployed = answer["deployed"]
    lines = [f"s3://{answer['bucket']}/{answer['key']}"]
    if not answer["live"]:
        lines.append(f"MISSING: deployment {deployed['deployment']} uploaded it, and it is gone")
    elif answer["as_deployed"]:
        lines[0] += f" version {answer['version_id']}"
        lines.append(f"as deployment {deployed['deployment']} left it")
    else:
        lines[0] += f" version {answer['version_id']}"
        lines.append(f"DIFFERS from what deployment {deployed['deployment']} left: {_how(answer)}")
        by = answer["uploaded_by"]
        lines.append(
            f"deployment {by['deployment']} ({by['status']}) uploaded it; the next one uploads"
            if by
            else "it was edited by hand; a deployment uploads again, and the edit is lost"
        )
    for problem in answer.get("invalid", []):
        lines.append(f"INVALID: {problem}")
    if answer["waiting"]:
        lines.append(
            f"overrides version {stored} are stored and not deployed yet"
            f" (deployed: version {deployed.get('overrides_version', 0)})"
        )
    return lines


def _how(answer: Mapping[str, Any]) -> str:
    if answer.get("problem"):
        return str(answer["problem"])
    return ", ".join(answer["differs"]) or "written differently, with the same values"


def _winners_table(winners: list[dict[str, Any]]) -> Table:
    """The winner at each path."""
    table = Table(box=None, pad_edge=False)
    for title in ("key", "value", "from", "instead of"):
        table.add_column(title, style="bold" if title == "key" else None)
    for winner in winners:
        deleted = winner.get("deleted")
        value = "(deleted)" if deleted else json.dumps(winner["value"], ensure_ascii=False)
        table.add_row(
            escape(winner["path"]), escape(value), winner["layer"], ", ".join(winner["overrode"])
        )
    return table


def stored_notice(version: int, apply: str) -> None:
    """That overrides are stored, and what applies them."""
    out.print(f"stored as version {version}; what is live has not changed")
    out.print(f"apply it: {apply}", markup=False)


def versions_table(answer: Mapping[str, Any]) -> Table:
    """Versions of the overrides, a line each; the deployed one is marked."""
    table = Table(box=None, pad_edge=False)
    for title in ("version", "changed", "by", "keys", "comment"):
        table.add_column(title)
    for version in answer["versions"]:
        mark = " (deployed)" if version["version"] == answer["deployed"] else ""
        table.add_row(
            f"{version['version']}{mark}",
            version["changed_at"][:19],
            version.get("changed_by", "").rpartition(":")[2],
            escape(", ".join(version["changed"])),
            escape(version["comment"]),
        )
    return table
