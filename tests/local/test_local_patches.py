"""Each patch of the emulator does what it promises, and its check fails without it."""

from __future__ import annotations

import execution_checks
import metric_checks
import permission_checks
import pytest
import stack_checks
from local_aws import Aws, Check

CHECKS = [
    *execution_checks.CHECKS,
    *stack_checks.CHECKS,
    *permission_checks.CHECKS,
    *metric_checks.CHECKS,
]


@pytest.mark.parametrize("check", CHECKS)
def test_patched_emulator(check: Check, aws: Aws) -> None:
    check(aws)


@pytest.mark.parametrize("check", CHECKS)
def test_check_fails_without_the_patch(check: Check, unpatched: Aws) -> None:
    with pytest.raises(AssertionError):
        check(unpatched)
