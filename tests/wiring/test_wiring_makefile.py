"""The Makefile's interface of the replaced one: what it passes on, and what it refuses."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with `echo` in the place of the command, so that nothing can be started."""
    environment = {k: v for k, v in os.environ.items() if k not in ("ENV", "ORG", "LOCAL")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments, "SYNDI=echo", "setup="],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_seeds_parameters_become_the_commands_options() -> None:
    answer = make(
        "rs-deploy", "ENV=stage", "ORG=myorg", "ENABLE_AUTH=true", "CREATE_BUCKETS=false",
        "ADMIN_USERNAME=admin@example.com",
    )  # fmt: skip
    assert answer.stdout.strip().endswith(
        "deploy stage myorg --enable-auth --no-create-buckets --admin-username admin@example.com"
    )
    assert (
        make("rs-deploy", "ENV=dev", "ORG=a", "LOCAL=1")
        .stdout.strip()
        .endswith("--local deploy dev a")
    )


def test_syncing_configurations_applies_them_and_reads_back_what_is_live() -> None:
    answer = make("sync-configs", "ENV=stage", "ORG=myorg", "LOCAL=1")
    assert answer.stdout.splitlines() == [
        "--local deploy stage myorg --mode deploy-only",
        "--local config show stage myorg",
    ]


@pytest.mark.parametrize(
    ("target", "mode"), [("rs-deploy-only", "deploy-only"), ("rs-deploy-function", "function")]
)
def test_the_other_modes_take_the_same_parameters(target: str, mode: str) -> None:
    answer = make(target, "ENV=stage", "ORG=myorg", "ENABLE_AUTH=true", "LOCAL=1")
    told = answer.stdout.strip()
    assert told.endswith(f"--local deploy stage myorg --enable-auth --mode {mode}")


@pytest.mark.parametrize(
    ("arguments", "missing"), [(["ORG=myorg"], "ENV is missing"), (["ENV=stage"], "ORG is missing")]
)
@pytest.mark.parametrize(
    "target",
    [
        "rs-deploy", "rs-deploy-only", "rs-deploy-function", "sync-configs", "test-jwt-aws",
        "check-rs",
    ],
)  # fmt: skip
def test_a_tenant_that_is_not_named_is_refused(
    target: str, arguments: list[str], missing: str
) -> None:
    answer = make(target, *arguments)
    assert answer.returncode == 2
    assert missing in answer.stderr
    assert answer.stdout == ""


def test_a_switch_that_is_neither_true_nor_false_is_refused() -> None:
    answer = make("rs-deploy", "ENV=stage", "ORG=myorg", "ENABLE_AUTH=maybe")
    assert answer.returncode == 2
    assert "ENABLE_AUTH=maybe: must be true or false" in answer.stderr


@pytest.mark.parametrize("name", ["ENV", "ORG", "ADMIN_USERNAME"])
@pytest.mark.parametrize(
    "value", ['x"; touch {0}; "', "x' ; touch {0} ; '", "`touch {0}`", "$(shell touch {0})"]
)
def test_a_value_is_never_a_command(tmp_path: Path, name: str, value: str) -> None:
    mark = tmp_path / "mark"
    given = {"ENV": "stage", "ORG": "myorg", name: value.format(mark)}
    answer = make("rs-deploy", *(f"{key}={text}" for key, text in given.items()))
    assert not mark.exists()
    assert value.format(mark) in answer.stdout
