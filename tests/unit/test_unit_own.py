"""Which tenant a control plane is, and which release of it runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane import __version__, own
from control_plane.errors import InvalidRequest
from control_plane.models import Env, Tenant


@pytest.mark.parametrize(
    ("stack", "env", "org"),
    [
        ("control-plane-dev-local", Env.DEV, "local"),
        ("control-plane-prod-my-org2", Env.PROD, "my-org2"),
    ],
)
def test_a_stack_of_a_control_plane_is_its_tenant(stack: str, env: Env, org: str) -> None:
    found = own.own_tenant(stack)
    assert found == Tenant(application="control-plane", env=env, org=org)
    assert found.stack_name == stack
    assert own.is_own(found)


@pytest.mark.parametrize(
    "stack",
    [
        "", "dev-local", "control-plane", "control-plane-", "control-plane-dev",
        "control-plane-dev-", "control-plane-nowhere-main", "control-plane-dev-My",
        "control-plane-dev-1", "my-control-plane-dev-local", "control-plane-dev-a--b",
        "control-planes-dev-local", f"control-plane-dev-{'a' * 41}",
    ],
)  # fmt: skip
def test_any_other_name_is_refused_by_name(stack: str) -> None:
    with pytest.raises(InvalidRequest, match=r"must be control-plane-\{env\}-\{org\}") as refused:
        own.own_tenant(stack)
    assert refused.value.details[0]["field"] == "stack"


def test_a_tenant_is_no_control_plane() -> None:
    assert not own.is_own(Tenant(application="notes", env=Env.DEV, org="local"))
    assert not own.is_own(Tenant(application=own.TRIAL_APPLICATION, env=Env.DEV, org="local"))


@pytest.fixture
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the build's stamp would be; the release is read again."""
    path = tmp_path / "build.json"
    monkeypatch.setattr(own, "_STAMP", path)
    own.running.cache_clear()
    yield path
    own.running.cache_clear()


def test_a_checkout_has_a_version_only(stamp: Path) -> None:
    assert own.running() == own.Release(version=__version__, source=None, build=None)


def test_a_build_says_which_one_it_is(stamp: Path) -> None:
    stamp.write_text(json.dumps({"fingerprint": "f" * 64, "source": "5" * 64}))
    assert own.running() == own.Release(version=__version__, source="5" * 64, build="f" * 64)


def test_the_stamp_lies_beside_the_package() -> None:
    assert Path(own.__file__).parent / "build.json" == own._STAMP
