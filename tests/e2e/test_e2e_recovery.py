"""A release of the control plane that does not work: the old execution puts the previous one back,
proves it, and says why; afterwards a tenant is deployed as ever."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import started
from releases import STACK, Edit, release, running, update, updates
from syndi_command import ROOT, Syndi, eventually

TEMPLATE, MACHINE = "template.yaml", "state_machine.asl.json"

NEVER_SIGNALLED = """  Never: { Type: AWS::CloudFormation::WaitConditionHandle }
  NeverSignalled:
    Type: AWS::CloudFormation::WaitCondition
    Properties: { Handle: !Ref Never, Timeout: "1", Count: 1 }

"""

CASES: dict[str, tuple[list[Edit], str, str]] = {
    "handler that does not import": (
        [
            (
                "workers/record.py",
                "from control_plane import aws",
                "import nothing_of_the_kind\nfrom control_plane import aws",
            )
        ],
        "AwaitTrial",
        "nothing_of_the_kind",
    ),
    # Also the way back works in that worker: in the version and the role that it started with.
    "worker that loses its permissions": (
        [
            (TEMPLATE, "            - Sid: OwnStack #", "            - Sid: OwnStack2 #"),
            (
                TEMPLATE,
                "                - cloudformation:CreateChangeSet\n"
                "                - cloudformation:DescribeChangeSet\n"
                "                - cloudformation:ExecuteChangeSet\n"
                "                - cloudformation:DeleteChangeSet\n"
                "                - cloudformation:ListChangeSets\n"
                "                - cloudformation:DeleteStack\n",
                "",
            ),
            (
                TEMPLATE,
                "                - cloudformation:CreateChangeSet\n"
                "                - cloudformation:DescribeChangeSet\n"
                "                - cloudformation:ExecuteChangeSet\n"
                "                - cloudformation:DeleteChangeSet\n"
                "                - cloudformation:ListChangeSets\n"
                "                - cloudformation:UpdateTerminationProtection\n",
                "                - cloudformation:UpdateTerminationProtection\n",
            ),
        ],
        "AwaitTrial",
        "missing permission cloudformation:CreateChangeSet",
    ),
    "definition that names a missing state": (
        [(MACHINE, '"StartAt": "PrepareDeployment"', '"StartAt": "PrepareNothing"')],
        "AwaitTrial",
        "PrepareNothing",
    ),
    "API that answers 500": (
        [
            (
                "control_plane/api/app.py",
                '    return {"status": "ok", **',
                '    return {"status": 1 / 0, **',
            )
        ],
        "RunTests",
        "/health: expected 200, got 500",
    ),
    "table access broken": (
        [
            (
                TEMPLATE,
                "                - dynamodb:GetItem\n"
                "                - dynamodb:PutItem\n"
                "                - dynamodb:UpdateItem\n"
                "                - dynamodb:DeleteItem\n"
                "                - dynamodb:Query\n"
                "              Resource: !GetAtt Table.Arn\n"
                "            - Sid: ConfigurationsBeforeTheBuild\n",
                "                - dynamodb:Query\n"
                "              Resource: !GetAtt Table.Arn\n"
                "            - Sid: ConfigurationsBeforeTheBuild\n",
            )
        ],
        "AwaitTrial",
        "its execution ended FAILED",
    ),
    "environment variable missing": (
        [(TEMPLATE, "          OWN_BUILD_PROJECT: !Ref OwnBuildProject\n", "")],
        "AwaitTrial",
        "OWN_BUILD_PROJECT",
    ),
    # The trial's own deployments never come to it; the next update would.
    "release worker that does not import": (
        [
            (
                "workers/release_pruning.py",
                "from control_plane import aws",
                "import nothing_of_the_kind\nfrom control_plane import aws",
            )
        ],
        "AwaitTrial",
        "the next update would fail in the new version's release worker: ",
    ),
    # Nothing of an update or a trial comes to it; the next rollout would.
    "rollout worker that does not import": (
        [
            (
                "workers/rollout_alarms.py",
                "from control_plane import naming",
                "import nothing_of_the_kind\nfrom control_plane import naming",
            )
        ],
        "AwaitTrial",
        "a step would fail in the new version's rollout worker: ",
    ),
    "stack that cannot be updated": (
        [
            (
                TEMPLATE,
                "  Table:\n    Type: AWS::DynamoDB::Table\n",
                f"{NEVER_SIGNALLED}  Table:\n    Type: AWS::DynamoDB::Table\n",
            )
        ],
        "AwaitStack",
        "NeverSignalled (AWS::CloudFormation::WaitCondition)",
    ),
}


@pytest.fixture(scope="module")
def syndi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syndi]:
    """A laptop of its own, with a tenant: what is broken here is nobody else's."""
    with started(tmp_path_factory.mktemp("recovering")) as command:
        almanac = ROOT / "tests" / "applications" / "almanac"
        command.ok("--local", "source", "push", str(almanac), "--env", "dev")
        command.deploy("dev", "lighthouse", "--application", "almanac")
        yield command


@pytest.mark.parametrize("case", CASES)
def test_a_release_that_does_not_work_is_put_back_and_a_tenant_deploys_as_ever(
    syndi: Syndi, tmp_path: Path, case: str
) -> None:
    edits, step, says = CASES[case]
    before = running(syndi)
    result = update(syndi, release(tmp_path, "9.9.9", *edits))
    assert result.exit_code == 1, result.stdout
    record: dict[str, Any] = result.json
    assert record["status"] == "ROLLED_BACK", record["reason"]
    assert record["failed_step"] == step
    assert says in record["reason"]
    assert "the previous good build was put back and works" in record["reason"]
    assert record["rollback_trial"]["ran_on"] == before, "what was put back was tried too"
    assert running(syndi) == before
    assert syndi.stack(STACK)["parameters"]["Build"] == before["build"][:12]
    deployed = syndi.deploy("dev", "lighthouse", "--application", "almanac")
    assert deployed["control_plane"] == before


def test_an_update_that_is_cancelled_while_it_is_tried_goes_back(
    syndi: Syndi, tmp_path: Path
) -> None:
    before = running(syndi)
    flying = update(syndi, release(tmp_path, "9.9.8"), "--no-wait").json

    def on_trial() -> bool:
        found = syndi.ok("--local", "show", flying["id"], "--json").json
        return bool(found["steps"].get("AwaitTrial", {}).get("attempts"))

    eventually(on_trial, 90, "the trial")
    ended = syndi.run("--local", "cancel", flying["id"], "--json").json
    assert ended["status"] == "ROLLED_BACK", ended
    assert ended["reason"].startswith("cancelled by")
    assert running(syndi) == before


def test_every_end_is_in_the_history_with_its_reason(syndi: Syndi) -> None:
    ends = [(u["status"], bool(u.get("reason"))) for u in updates(syndi)]
    assert ends == [("ROLLED_BACK", True)] * (len(CASES) + 1) + [("SUCCEEDED", False)]
