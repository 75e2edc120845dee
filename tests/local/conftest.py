"""Laptops for these tests: really started, on free ports, beside whatever else runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws import Aws

from local.environment import STACK_SECONDS_VARIABLE, WITHOUT_VARIABLE
from local.lifecycle import Laptop, down, up

pytest.register_assert_rewrite(
    "execution_checks", "metric_checks", "permission_checks", "stack_checks"
)
ROOT = Path(__file__).parents[2]
STACK_SECONDS = 0.25


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def new_laptop(state_dir: Path) -> Laptop:
    port, codebuild_port = free_ports(2)
    return Laptop(root=ROOT, state_dir=state_dir, port=port, codebuild_port=codebuild_port)


def _running(state_dir: Path, **environment: str) -> Iterator[Aws]:
    laptop = new_laptop(state_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STACK_SECONDS_VARIABLE, str(STACK_SECONDS))
        for name, value in environment.items():
            patch.setenv(name, value)
        up(laptop)
    try:
        yield Aws(laptop)
    finally:
        down(laptop)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A laptop as developers get it."""
    yield from _running(tmp_path_factory.mktemp("laptop"))


@pytest.fixture(scope="session")
def unpatched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The same without any patch, to show that a test can fail."""
    patches = (
        "lambda_errors,task_token_errors,non_empty_buckets,codebuild_projects,stacks_take_time"
    )
    patches += ",leading_keys,interrupted_stacks,web_pages_are_not_root"
    patches += ",schedule_groups,conditions_in_change_sets,user_pool_tags"
    patches += ",bucket_tags,adopted_buckets,shared_layers,role_paths,lambda_reads"
    patches += ",deleted_stacks_list_resources,nested_stacks_retain,tags_of_more_types"
    patches += ",tables_by_arn,change_sets_by_arn,policy_variables"
    patches += ",values_that_stay,nested_change_sets"
    patches += ",replacing_properties"
    patches += ",executions_keep_their_definition,lambda_metrics,embedded_metrics"
    patches += ",schedules_have_context"
    yield from _running(tmp_path_factory.mktemp("unpatched"), **{WITHOUT_VARIABLE: patches})


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A laptop of this test's own, not started."""
    laptop = new_laptop(tmp_path / "state")
    yield laptop
    down(laptop)
