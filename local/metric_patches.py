"""What the emulator measures of functions, and where that differs from AWS.

As in `patches`: each function explains the difference, checks what it replaces, and raises
UnexpectedEmulator otherwise. Standard library and `ministack` only.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from local.errors import UnexpectedEmulator
from local.rewriting import emulator_module, install, rewrite

_start = threading.local()
"""How long the runtime took to start for the call that this thread makes: `ms`."""


def lambda_metrics() -> None:
    """Every call of a function is measured, once, and the report of a cold start says so.

    Without this only calls by Lambda's own Invoke have metrics, and none that an API, a state
    machine or a rule makes; no REPORT line has an `Init Duration`; and the duration of a call that
    had to start the runtime has the start in it, which AWS measures apart. Apply it after
    `shared_layers`, which rewrites what is wrapped here.
    """
    worker = emulator_module("core.lambda_runtime").Worker
    lambda_svc = emulator_module("services.lambda_svc")
    if hasattr(lambda_svc, "_syndi_emit"):
        raise UnexpectedEmulator("calls are measured already")
    worker._spawn = _timed(worker._spawn)
    lambda_svc._syndi_start_ms = _take_start_ms
    lambda_svc._syndi_emit = lambda_svc._emit_lambda_metrics

    took = "    duration_ms = int((time.time() - started) * 1000)\n"
    source = '        log_source=result.get("log_source") if isinstance(result, dict) else None,\n'
    _rewrite(
        "_execute_function_dispatch",
        (
            took,
            "    start_ms = _syndi_start_ms()\n"
            "    duration_ms = max(1, int((time.time() - started) * 1000) - start_ms)\n"
            '    _syndi_emit(config.get("FunctionName", "unknown"), float(duration_ms),\n'
            '                isinstance(result, dict) and bool(result.get("error")),\n'
            '                isinstance(result, dict) and bool(result.get("throttle")))\n',
        ),
        (source, source + "        start_ms=start_ms,\n"),
    )
    _rewrite(
        "_emit_lambda_logs",
        ("log_source: str | None = None)", "log_source: str | None = None, start_ms: int = 0)"),
        (
            '{_probe_peak_memory_mb(func)} MB")',
            '{_probe_peak_memory_mb(func)} MB"\n'
            '                    + (f"\\tInit Duration: {start_ms} ms" if start_ms else ""))',
        ),
    )
    _rewrite("_execute_function", ("        _emit_lambda_metrics(", "        _syndi_emit("))
    # Whoever called the function does not measure it again.
    install("_emit_lambda_metrics", lambda *_, **__: None, [lambda_svc])


def _rewrite(name: str, *changes: tuple[str, str]) -> None:
    lambda_svc = emulator_module("services.lambda_svc")
    install(name, rewrite(lambda_svc, name, list(changes)), [lambda_svc])


def _timed(spawn: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(spawn)
    def start(worker: Any) -> None:
        began = time.monotonic()
        spawn(worker)
        _start.ms = max(1, int((time.monotonic() - began) * 1000))

    return start


def _take_start_ms() -> int:
    """How long the start took for this call; 0 for a call that found the runtime running."""
    ms: int = getattr(_start, "ms", 0)
    _start.ms = 0
    return ms


def embedded_metrics() -> None:
    """A log line in the embedded metric format becomes metrics, as on AWS, and alarms look at them.

    Without this it stays a line, and no alarm on what a function counts can ring. An alarm that
    rang goes back to OK with the next metric only, on AWS by itself.
    """
    logs = emulator_module("services.cloudwatch_logs")
    cloudwatch = emulator_module("services.cloudwatch")
    for name in ("record_metric", "_evaluate_all_alarms"):
        if not hasattr(cloudwatch, name):
            raise UnexpectedEmulator(f"ministack.services.cloudwatch has no {name}")
    append: Callable[[Any, list[dict[str, Any]]], None] = logs._append_log_events

    def with_metrics(stream: Any, events: list[dict[str, Any]]) -> None:
        append(stream, events)
        found = [one for event in events for one in embedded(str(event.get("message", "")))]
        for metric in found:
            cloudwatch.record_metric(*metric)
        if found:
            cloudwatch._evaluate_all_alarms()

    install("_append_log_events", with_metrics, [logs])


def embedded(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """(namespace, name, value, unit, dimensions) of every metric in a log line
    (CloudWatch guide, specification of the embedded metric format)."""
    if not line.startswith("{") or '"_aws"' not in line:
        return
    try:
        told = json.loads(line)
        directives = told["_aws"]["CloudWatchMetrics"]
        for directive in directives:
            for names in directive["Dimensions"]:
                dimensions = {name: str(told[name]) for name in names}
                for metric in directive["Metrics"]:
                    found = told[metric["Name"]]
                    for value in found if isinstance(found, list) else [found]:
                        unit = metric.get("Unit", "None")
                        yield (
                            directive["Namespace"], metric["Name"], float(value), unit, dimensions
                        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return  # CloudWatch, too, leaves what does not fit a log line
