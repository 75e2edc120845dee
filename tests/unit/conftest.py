"""Rules need no AWS: whatever the shell has set is taken away, so that no test can reach any."""

import os

import pytest
from hypothesis import HealthCheck, settings

from cli.context import current

# A busy machine is not a slow rule.
settings.register_profile(
    "rules", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rules")


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture(autouse=True)
def _no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's own --local and --json are put back: the next test has not been given them."""
    monkeypatch.setattr(current, "local", False)
    monkeypatch.setattr(current, "as_json", False)
