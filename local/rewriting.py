"""Changing a function of somebody else's module, and failing loudly when it is not the function
the change was written for. Standard library only: it runs in the emulator's environment."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from local.errors import UnexpectedEmulator


def emulator_module(name: str) -> Any:
    """A module of the emulator; untyped, since the emulator is not installed where types are
    checked."""
    return importlib.import_module(f"ministack.{name}")


def replace_once(text: str, old: str, new: str, where: str) -> str:
    """`text` with its only `old` replaced; UnexpectedEmulator when it occurs never or often."""
    if (count := text.count(old)) != 1:
        raise UnexpectedEmulator(f"{where}: expected once, found {count} times: {old.strip()!r}")
    return text.replace(old, new)


def rewrite(module: ModuleType, name: str, changes: list[tuple[str, str]]) -> Callable[..., Any]:
    """A new version of the module's function `name`, compiled from its source after `changes`
    (pairs of old and new text, each old text occurring exactly once).

    The function is returned, not installed: `install` does that. Raises UnexpectedEmulator.
    """
    where = f"{module.__name__}.{name}"
    source = inspect.getsource(getattr(module, name))
    for old, new in changes:
        source = replace_once(source, old, new, where)
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<{where}, changed by local/>", "exec"), module.__dict__, namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def install(name: str, new: Any, modules: list[ModuleType]) -> None:
    """Put `new` in the place of `name` in every one of `modules`; all of them must hold the same
    object before, or a copy somewhere else would keep the old behaviour. Raises
    UnexpectedEmulator."""
    held = {id(getattr(module, name, None)) for module in modules}
    if len(held) != 1 or held == {id(None)}:
        where = [module.__name__ for module in modules]
        raise UnexpectedEmulator(f"{name} is not one and the same in {where}")
    for module in modules:
        setattr(module, name, new)
