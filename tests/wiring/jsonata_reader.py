"""Reads JSONata in the emulator's environment, which has a JSONata library.

A program, not a module: stdin is {"parse": [text], "evaluate": [{"text", "variables"}]}, stdout
{"parsed": [{"error"} or {"variables": [[name, field, …]]}], "evaluated": [value]}.
"""

import json
import sys
from typing import Any

from jsonata import Jsonata


def variables(node: Any, found: list[list[str]]) -> None:
    """Collect every variable that an expression reads, with the fields that are read of it."""
    if isinstance(node, list | tuple):
        for inner in node:
            variables(inner, found)
        return
    kind = getattr(node, "type", None)
    if kind is None:
        return
    if kind in ("bind", "lambda"):
        raise ValueError("variables of an expression's own are not understood here")
    if kind == "variable":
        if node.value:
            found.append([node.value])
        return
    if kind == "path" and node.steps[0].type == "variable":
        read = [node.steps[0].value]
        for step in node.steps[1:]:
            if step.type != "name":
                break
            read.append(step.value)
        found.append(read)
        variables(node.steps[1:], found)
        return
    for name, inner in vars(node).items():
        # `procedure` of a function is the function's own name, not a variable.
        if name != "_outer_instance" and not (kind == "function" and name == "procedure"):
            variables(inner, found)


def parsed(text: str) -> dict[str, Any]:
    """The variables of an expression, or why it is none."""
    found: list[list[str]] = []
    try:
        variables(Jsonata(text).ast, found)
    except Exception as error:  # noqa: BLE001  # the library's own, and ours above
        return {"error": str(error)}
    return {"variables": found}


def evaluated(request: dict[str, Any]) -> Any:
    """The value of an expression."""
    expression = Jsonata(request["text"])
    for name, value in request["variables"].items():
        expression.assign(name, value)
    return expression.evaluate(None)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answer = {
        "parsed": [parsed(text) for text in asked["parse"]],
        "evaluated": [evaluated(request) for request in asked["evaluate"]],
    }
    json.dump(answer, sys.stdout)
