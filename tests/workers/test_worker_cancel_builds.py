"""The build of a deployment that was cancelled, or whose execution was stopped or killed."""

from typing import Any

import pytest
import scripted_aws as scripted
import worker_builders as build
from codebuild_answers import CodeBuild, another, start, wait
from worker_builders import ALPHA, TABLE

from control_plane import aws
from control_plane.errors import BuildFailed, Cancelled, ServiceBusy
from control_plane.models import Deployment
from control_plane.store.builds import Builds
from control_plane.store.history import History
from workers import build as build_worker


@pytest.fixture
def made(source: str) -> Deployment:
    return build.opened(build.deployment(source=source))


def cancel(made: Deployment) -> None:
    assert History(TABLE).ask_for_end(made.tenant, made.id, "me")


def test_its_own_build_is_stopped_and_made_again_by_the_next(
    made: Deployment, stoppable: CodeBuild
) -> None:
    started = start(made)
    cancel(made)
    with pytest.raises(Cancelled, match="its build syndi-build:1 was stopped"):
        wait(made, started)
    assert stoppable.script.of("StopBuild") == [{"id": "syndi-build:1"}]
    with pytest.raises(Cancelled):  # the step runs twice
        wait(made, started)
    assert len(stoppable.script.of("StopBuild")) == 1
    assert start(another(made.source, ALPHA))["reused"] is False
    assert len(stoppable.started) == 2


def test_a_build_that_is_through_is_not_thrown_away(made: Deployment, stoppable: CodeBuild) -> None:
    started = start(made)
    stoppable.ends()
    cancel(made)
    with pytest.raises(Cancelled):
        wait(made, started)
    assert stoppable.script.of("StopBuild") == []
    assert start(another(made.source, ALPHA))["reused"] is True


def test_a_build_that_it_only_joined_goes_on(made: Deployment, stoppable: CodeBuild) -> None:
    other = another(made.source)
    started = start(other)
    joined = start(made)
    cancel(made)
    with pytest.raises(Cancelled, match="no build was stopped"):
        wait(made, joined)
    assert stoppable.script.of("StopBuild") == []
    assert wait(other, started)["done"] is False


@pytest.mark.parametrize("recorded", [True, False])
def test_whoever_joined_a_build_that_was_stopped_makes_it_anew(
    made: Deployment, stoppable: CodeBuild, recorded: bool
) -> None:
    started = start(made)
    other = another(made.source)
    joined = start(other)
    if recorded:
        cancel(made)
        with pytest.raises(Cancelled):
            wait(made, started)
    stoppable.ends(1, "STOPPED")  # and before that is in the table
    answer = wait(other, joined)
    assert (answer["done"], answer["reused"]) == (False, False)
    assert len(stoppable.started) == 2
    stoppable.ends(2)
    assert wait(other, answer)["build_id"] == "syndi-build:2"


def test_a_build_of_its_own_that_somebody_stopped_in_codebuild_is_a_failure(
    made: Deployment, stoppable: CodeBuild
) -> None:
    started = start(made)
    stoppable.ends(1, "STOPPED")
    with pytest.raises(BuildFailed, match="syndi-build:1 was stopped"):
        wait(made, started)
    assert start(another(made.source, ALPHA))["reused"] is False


# The build of an execution that was stopped or killed ---------------------------------------------


def ended(made: Deployment) -> dict[str, Any]:
    detail = {"executionArn": made.execution_arn, "status": "ABORTED"}
    return build_worker.handler({"source": "aws.states", "detail": detail}, None)


def test_the_build_of_a_stopped_execution_is_stopped_once(
    made: Deployment, stoppable: CodeBuild
) -> None:
    start(made)
    assert ended(made) == {"stopped": "syndi-build:1"}
    assert ended(made) == {"stopped": ""}
    assert len(stoppable.script.of("StopBuild")) == 1


def test_an_execution_that_built_nothing_or_joined_another_stops_nothing(
    made: Deployment, stoppable: CodeBuild
) -> None:
    assert ended(made) == {"stopped": ""}
    other = another(made.source)
    start(other)
    start(made)
    assert ended(made) == {"stopped": ""}
    assert stoppable.script.of("StopBuild") == []


def test_a_build_that_is_just_being_started_is_looked_at_again(
    made: Deployment, stoppable: CodeBuild
) -> None:
    stoppable.script.on(aws.codebuild(), "StartBuild", scripted.failure("ThrottlingException"))
    with pytest.raises(ServiceBusy):
        start(made)
    with pytest.raises(ServiceBusy, match="just being started"):
        ended(made)
    print_ = Builds(TABLE).of_execution(made.execution_arn)
    assert print_ is not None
    Builds(TABLE).started(
        print_, {"stack_name": ALPHA.stack_name}, made.execution_arn, "syndi-build:9"
    )
    stoppable.builds["syndi-build:9"] = {"id": "syndi-build:9", "buildStatus": "IN_PROGRESS"}
    assert ended(made) == {"stopped": "syndi-build:9"}
