"""Layers that are unpacked once, not once for every process of every function.

Runs in the emulator's environment: standard library and `ministack` only.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import shutil
import tempfile
import textwrap
import threading
import zipfile
from pathlib import Path
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, replace_once

_unpacking = threading.Lock()


def shared_layers() -> None:
    """Processes that use the same layer share one directory of its contents, as /opt is on AWS.

    Without this every cold start unpacks the whole layer (the workers': 3,000 files, 74 MB), and
    so does every call after one that failed, because that ends the process. Of fifty starts at
    once 43 then timed out; with it none. Nothing may write into a layer: on AWS /opt is read-only.
    """
    runtime = emulator_module("core.lambda_runtime")
    if hasattr(runtime, "_syndi_unpacked"):
        raise UnexpectedEmulator("layers were patched already")
    runtime._syndi_unpacked = unpacked
    where = "ministack.core.lambda_runtime.Worker._spawn"
    anchor = "            layer_data = _resolve_layer_zip(layer_ref)\n            if layer_data:\n"
    source = replace_once(
        textwrap.dedent(inspect.getsource(runtime.Worker._spawn)),
        anchor,
        "            layer_data = _resolve_layer_zip(layer_ref)\n"
        '            if layer_data and runtime.startswith("python"):\n'
        "                layers_dirs.append(_syndi_unpacked(layer_data))\n"
        "            elif layer_data:\n",
        where,
    )
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<{where}, changed by local/>", "exec"), runtime.__dict__, namespace)
    runtime.Worker._spawn = namespace["_spawn"]


def unpacked(layer: bytes) -> str:
    """The directory that holds a layer's contents: named by them, complete when it is there."""
    parent = Path(tempfile.gettempdir()) / "layers"
    target = parent / hashlib.sha256(layer).hexdigest()
    with _unpacking:
        if not target.is_dir():
            parent.mkdir(exist_ok=True)
            fresh = tempfile.mkdtemp(dir=parent)
            try:
                with zipfile.ZipFile(io.BytesIO(layer)) as archive:
                    archive.extractall(fresh)  # leaves out what points outside
                os.replace(fresh, target)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
    return str(target)
