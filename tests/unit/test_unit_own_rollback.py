"""What `syndi self-update --rollback` says before it starts: where it goes."""

from typing import Any

import pytest
from test_unit_own_commands import OWN, Api, api, started, syndi

from cli.failure import Failed

__all__ = ["api"]


def deployed(day: int, build: str, mode: str = "full", status: str = "SUCCEEDED") -> Any:
    """One of the control plane's own deployments, as the API lists it."""
    return {
        **OWN, "id": f"202611{day}-120000-000aaaaa", "status": status, "mode": mode,
        "running": build * 64, "build": {"fingerprint": build * 64},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("listed", "told", "undoes"),
    [
        ([deployed(12, "b"), deployed(11, "a")], "deployment 20261111-120000-000aaaaa", False),
        (
            [deployed(13, "c", status="FAILED"), deployed(12, "b"), deployed(11, "a")],
            "deployment 20261111-120000-000aaaaa, build aaaaaaaaaaaa",
            False,
        ),
        (
            [deployed(13, "a", "rollback"), deployed(12, "b"), deployed(11, "a")],
            "deployment 20261112-120000-000aaaaa, build bbbbbbbbbbbb",
            True,
        ),
        ([deployed(11, "a")], "", False),
        ([], "", False),
    ],
)
def test_a_rollback_says_first_where_it_goes(
    api: Api, listed: list[Any], told: str, undoes: bool
) -> None:
    api.listed = listed
    output = syndi("self-update", "--rollback", "--no-wait").output
    assert told in output
    assert ("going back to" in output) == bool(told)
    assert ("this undoes it; for an earlier release say --to ID" in output) == undoes


def test_a_rollback_needs_no_history_to_start(api: Api) -> None:
    api.listed, call = [], api.call

    def without(method: str, path: str, *given: Any) -> Any:
        if (method, path) == ("GET", "/control-plane/deployments"):
            raise Failed("502")
        return call(method, path, *given)

    api.call = without  # type: ignore[method-assign]
    syndi("self-update", "--rollback", "--no-wait")
    assert started(api)[1] == "/control-plane/rollback"
