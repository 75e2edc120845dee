"""The project's Python as syntax trees: who imports, raises, calls and names what."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from asl_graph import ROOT


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def files(*packages: str) -> list[Path]:
    """The Python files of these packages."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def path_of(module: str) -> Path | None:
    """The file of one of the project's modules."""
    base = ROOT / module.replace(".", "/")
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def imported(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions. `from a import b` may be `a.b`."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def with_imports(module: str, package: str) -> set[Path]:
    """A module's file and those of the modules of `package` that it imports, and so on."""
    found: set[Path] = set()
    todo = [module]
    while todo:
        path = path_of(todo.pop())
        if path is None or path in found:
            continue
        found.add(path)
        todo += [name for name in imported(path) if name.split(".")[0] == package]
    return found


def raised(path: Path) -> set[str]:
    """The names of the classes that a file raises: `raise A`, `raise A(…)`, `raise A.of(…)`."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            while isinstance(what, ast.Attribute):
                what = what.value
            if isinstance(what, ast.Name):
                found.add(what.id)
    return found


def arguments_of(path: Path, function: str) -> set[str]:
    """The plain names that `function(…)` is called with first, as in `settings(RecordSettings)`."""
    return {
        node.args[0].id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
        and node.args
        and isinstance(node.args[0], ast.Name)
    }


def strings_matched_or_keyed(function: ast.FunctionDef) -> set[str]:
    """The texts that a function tells apart: by `case "…"`, or as keys of an object."""
    found: set[str] = set()
    for node in ast.walk(function):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.MatchValue):
            values = [node.value]
        elif isinstance(node, ast.Dict):
            values = list(node.keys)
        found |= {v.value for v in values if isinstance(v, ast.Constant) and type(v.value) is str}
    return found


def function_named(path: Path, name: str) -> ast.FunctionDef:
    """A function at the top of a file."""
    return next(
        node for node in tree(path).body if isinstance(node, ast.FunctionDef) and node.name == name
    )


def texts_in_code(path: Path) -> Iterator[tuple[int, str]]:
    """Names and texts of a file with their lines, without comments and docstrings."""
    documentation = set()
    for node in ast.walk(tree(path)):
        # A text that stands alone is a docstring, of whatever precedes it.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation.add(node.value)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and type(node.value) is str and node not in documentation:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
