"""Where deployments need an approval, as the installation is told and as it stays."""

import pytest

from cli import laptop
from cli.failure import Refused
from cli.install import Target


def target(*environments: str) -> Target:
    return Target(
        stack="control-plane-dev-local",
        environment="dev",
        organization="local",
        runtime="python3.13",
        architecture="arm64",
        layer_platform="aarch64-manylinux2014",
        prefixes="notes",
        default_application="notes",
        variables={},
        approval_in=environments,
    )


@pytest.mark.parametrize(
    ("given", "installed", "expected"),
    [
        (None, {}, ()),
        (None, {"ApprovalEnvironments": ""}, ()),
        (None, {"ApprovalEnvironments": "prod,stage"}, ("prod", "stage")),
        ("stage,prod", {}, ("prod", "stage")),
        (" prod , prod", {"ApprovalEnvironments": "test"}, ("prod",)),
        ("none", {"ApprovalEnvironments": "prod"}, ()),
    ],
)
def test_environments_are_as_given_and_otherwise_stay(
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    installed: dict[str, str],
    expected: tuple[str, ...],
) -> None:
    monkeypatch.setattr(laptop, "_installed", lambda _: installed)
    assert laptop._approval_in(given, "stack") == expected


@pytest.mark.parametrize("given", ["moon", "prod,moon", "", "prod,", "none,prod", "PROD"])
def test_what_is_no_environment_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="dev, test, stage, prod"):
        laptop._approval_in(given, "stack")


def test_no_environment_is_said_so_that_the_previous_ones_do_not_stay() -> None:
    assert 'ApprovalEnvironments=""' in target().parameters()
    assert "ApprovalEnvironments=prod,stage" in target("prod", "stage").parameters()
