"""Wildcards in a template's policies, and whether each has its reason beside it."""

import re
from dataclasses import dataclass

_ACTION = re.compile(r"""["' \[][a-z0-9-]+:\*(?=["',\] ]|$)""")
_ANYTHING = re.compile(r"""(?:Resource|Action|Principal|AWS): *\[? *["']?\*(?!\w)|- ["']\*["']""")
_ALL_OF_A_KIND = re.compile(r"\}:[a-z-]+/\*[\"']|::/[a-z]+/\*[\"']")
"""An ARN that ends in `userpool/*`: any resource of that type."""


@dataclass(frozen=True)
class Wildcard:
    """A line with a wildcard, numbered from 1, and the comment on it or right above it."""

    line: int
    text: str
    reason: str


def wildcards(template: str) -> list[Wildcard]:
    """The lines of a template that allow any action, any resource, or any resource of a type.

    The reason is the comment on the line, on the line above, or above the list that it is in.
    """
    lines = template.splitlines()
    found = []
    for index, line in enumerate(lines):
        code, _, comment = line.partition(" #")
        if code.strip().startswith("#"):
            continue
        if any(pattern.search(code) for pattern in (_ACTION, _ANYTHING, _ALL_OF_A_KIND)):
            found.append(Wildcard(index + 1, line.strip(), comment.strip() or _above(lines, index)))
    return found


def _above(lines: list[str], index: int) -> str:
    """The comment right above a line, or above the member whose list the line is in."""
    while index > 0:
        index -= 1
        above = lines[index].strip()
        if above.startswith("#"):
            return above.removeprefix("#").strip()
        if " #" in above and above.partition(" #")[0].strip().endswith(":"):
            return above.partition(" #")[2].strip()
        if not above.startswith("- !") and not above.endswith(":"):
            return ""
    return ""
