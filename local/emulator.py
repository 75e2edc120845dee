"""Starts MiniStack with this project's patches: `.tools/ministack/bin/python -m local.emulator`.

Configured by its environment alone (`local.environment.emulator_environment`). Runs in the
emulator's own environment: standard library and `ministack` only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from local import saving
from local.environment import STACK_SECONDS_VARIABLE, WITHOUT_VARIABLE
from local.errors import LaptopError, SettingInvalid, UnexpectedEmulator
from local.rewriting import emulator_module

EXPECTED_VERSION = "1.5.33"
DEFAULT_STACK_SECONDS = 1.0


def main() -> int:
    """Patch and serve until SIGTERM; 1 when the emulator is not the expected one."""
    try:
        check_version(metadata.version("ministack"))
        apply_patches(
            stack_seconds(os.environ.get(STACK_SECONDS_VARIABLE)),
            without=frozenset(filter(None, os.environ.get(WITHOUT_VARIABLE, "").split(","))),
        )
    except (LaptopError, ImportError, AttributeError, KeyError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    saving.save_while_running(Path(os.environ["STATE_DIR"]).parent)
    sys.argv = sys.argv[:1]  # the emulator reads arguments of its own
    emulator_module("app").main()
    return 0


def check_version(installed: str) -> None:
    """Raises UnexpectedEmulator unless the version is the one the patches were written for."""
    if installed != EXPECTED_VERSION:
        raise UnexpectedEmulator(
            f"MiniStack {installed} is installed, the patches in local/ are for "
            f"{EXPECTED_VERSION}: run `make tools`, or check every patch against the new version."
        )


def stack_seconds(text: str | None) -> float:
    """How long a stack operation takes, from the environment; seconds. Raises SettingInvalid."""
    try:
        seconds = float(text) if text else DEFAULT_STACK_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 600:
        raise SettingInvalid(f"{STACK_SECONDS_VARIABLE}={text!r} is not a number from 0 to 600.")
    return seconds


def apply_patches(seconds: float, *, without: frozenset[str] = frozenset()) -> None:
    """Apply every patch but those named in `without`. Raises UnexpectedEmulator."""
    from local import (
        change_set_patches,
        execution_patches,
        iam_patches,
        layer_patches,
        leftover_patches,
        metric_patches,
        patches,
        stack_patches,
        web_pages,
    )

    available: dict[str, Callable[[], None]] = {
        "lambda_errors": patches.lambda_errors,
        "task_token_errors": execution_patches.task_token_errors,
        "executions_keep_their_definition": execution_patches.executions_keep_their_definition,
        "schedules_have_context": execution_patches.schedules_have_context,
        "shared_layers": layer_patches.shared_layers,
        "lambda_metrics": metric_patches.lambda_metrics,  # after the one before
        "embedded_metrics": metric_patches.embedded_metrics,
        "non_empty_buckets": patches.non_empty_buckets,
        "codebuild_projects": patches.codebuild_projects,
        "leading_keys": iam_patches.leading_keys,
        "schedule_groups": iam_patches.schedule_groups,
        "lambda_reads": iam_patches.lambda_reads,
        "role_paths": iam_patches.role_paths,
        "tables_by_arn": iam_patches.tables_by_arn,
        "change_sets_by_arn": iam_patches.change_sets_by_arn,
        "user_pool_tags": iam_patches.user_pool_tags,
        "policy_variables": iam_patches.policy_variables,
        "bucket_tags": patches.bucket_tags,
        "conditions_in_change_sets": stack_patches.conditions_in_change_sets,
        "adopted_buckets": stack_patches.adopted_buckets,
        "deleted_stacks_list_resources": leftover_patches.deleted_stacks_list_resources,
        "nested_stacks_retain": leftover_patches.nested_stacks_retain,
        "tags_of_more_types": leftover_patches.tags_of_more_types,
        "replacing_properties": change_set_patches.replacing_properties,
        "values_that_stay": change_set_patches.values_that_stay,
        "nested_change_sets": change_set_patches.nested_change_sets,
        "web_pages_are_not_root": web_pages.web_pages_are_not_root,
        "interrupted_stacks": stack_patches.interrupted_stacks,
        "stacks_take_time": lambda: stack_patches.stacks_take_time(seconds),
    }
    if unknown := without - available.keys():
        raise SettingInvalid(f"{WITHOUT_VARIABLE}: no such patch: {', '.join(sorted(unknown))}")
    for name, patch in available.items():
        if name not in without:
            patch()


if __name__ == "__main__":
    sys.exit(main())
