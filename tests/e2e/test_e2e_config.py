"""A tenant's overrides: stored by versions, applied by a deployment, explained, edited, refused."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sources import APPLICATION
from syndi_command import ROOT, Result, Syndi

ORG = "tuned"
BUCKET = "rawscribe-lambda-stage-tuned-000000000000"


@pytest.fixture(scope="module")
def tuned(syndi: Syndi) -> dict[str, Any]:
    """`stage/tuned`, deployed for the first time."""
    return syndi.deploy("stage", ORG)


@pytest.fixture
def configure(syndi: Syndi, tuned: dict[str, Any]) -> Callable[..., Result]:
    """`syndi config VERB stage tuned …`, which must succeed."""

    def run(verb: str, *arguments: str) -> Result:
        return syndi.ok("--local", "config", verb, "stage", ORG, *arguments)

    return run


def live(syndi: Syndi) -> dict[str, Any]:
    """The document that the application reads."""
    answer = syndi.client("s3").get_object(Bucket=BUCKET, Key="config.json")
    return dict(json.loads(answer["Body"].read()))


def winners(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {winner["path"]: winner for winner in shown["explain"]}


def newest(configure: Callable[..., Result]) -> int:
    """The newest version of the overrides; 0 when none were ever stored."""
    versions = configure("history", "--json").json["versions"]
    return int(versions[0]["version"]) if versions else 0


def test_what_is_set_is_stored_applied_by_a_deployment_explained_and_unset(
    syndi: Syndi, configure: Callable[..., Result]
) -> None:
    before = live(syndi)
    assert before["limits"]["pageSize"] == 100
    stored = configure("set", "limits.pageSize=7", "frontend.title=Tuned", "--comment", "slow line")
    assert "stored as version 1; what is live has not changed" in stored.stdout
    assert f"syndi --local deploy stage {ORG} --mode deploy-only" in stored.stdout
    assert live(syndi) == before
    shown = configure("show", "--json").json
    assert (shown["waiting"], shown["as_deployed"], shown["content"]) == (True, True, before)

    applied = syndi.deploy("stage", ORG)
    assert applied["change_set"]["has_changes"] is False
    assert applied["config"]["overrides_version"] == 1
    assert (live(syndi)["limits"]["pageSize"], live(syndi)["frontend"]["title"]) == (7, "Tuned")
    shown = configure("show", "--explain", "--json").json
    assert (shown["waiting"], shown["as_deployed"]) == (False, True)
    assert shown["content"] == live(syndi)
    found = winners(shown)
    assert found["frontend.title"] == {
        "path": "frontend.title", "value": "Tuned", "layer": "stored overrides",
        "overrode": ["config/base.json", "config/stage.json"],
    }  # fmt: skip
    assert found["auth.cognito.userPoolId"]["layer"] == "stack outputs"
    assert found["limits.documentBytes"]["layer"] == "config/base.json"

    configure("unset", "limits.pageSize")
    again = syndi.deploy("stage", ORG)
    assert again["config"]["overrides_version"] == 2
    assert (live(syndi)["limits"]["pageSize"], live(syndi)["frontend"]["title"]) == (100, "Tuned")
    newer, older = configure("history", "--json").json["versions"]
    assert (older["changed"], older["comment"]) == (
        ["frontend.title", "limits.pageSize"],
        "slow line",
    )
    assert newer["changed"] == ["limits.pageSize"]
    assert older["changed_by"].endswith("user/syndi-operator")
    assert configure("history", "--version", "1").json == older["content"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["set", "auth.cognito.userPoolId=mine"], "auth.cognito.userPoolId"),
        (["set", "limits=5"], "limits"),
        (["set", "limits.pagesize=5"], "limits.pagesize"),
        (["set", "limits.pageSize=five"], "limits.pageSize"),
        (["set", "auth=null"], "auth.enabled"),
        (["unset", "limits.documentBytes"], None),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_changes(
    syndi: Syndi, configure: Callable[..., Result], arguments: list[str], field: str | None
) -> None:
    before, document = newest(configure), live(syndi)
    verb, *rest = arguments
    refused = syndi.run("--local", "config", verb, "stage", ORG, *rest, "--json")
    assert refused.exit_code == 2
    details = refused.json["error"]["details"]
    assert [item["field"] for item in details] == ([field] if field else [])
    assert (newest(configure), live(syndi)) == (before, document)


def test_a_live_configuration_that_somebody_edited_is_shown_as_different_and_put_back(
    syndi: Syndi, configure: Callable[..., Result]
) -> None:
    deployed = live(syndi)
    edited = {**deployed, "limits": {**deployed["limits"], "pageSize": 3}}
    syndi.client("s3").put_object(Bucket=BUCKET, Key="config.json", Body=json.dumps(edited))
    shown = configure("show", "--json").json
    assert (shown["as_deployed"], shown["differs"]) == (False, ["limits.pageSize"])
    assert shown["content"] == edited, "what is live, not what was recorded"
    told = configure("show").stderr
    assert "DIFFERS" in told
    assert "limits.pageSize" in told
    syndi.client("s3").delete_object(Bucket=BUCKET, Key="config.json")
    assert "MISSING" in configure("show").stderr
    syndi.deploy("stage", ORG)
    assert live(syndi) == deployed
    assert configure("show", "--json").json["as_deployed"] is True


# Editing ------------------------------------------------------------------------------------------


def edit(syndi: Syndi, directory: Path, script: str) -> Result:
    """`syndi config edit` with an editor that is a Python script; `path` is what it edits."""
    editor = directory / "editor"
    editor.write_text(f"#!{sys.executable}\nimport sys\npath = sys.argv[1]\n{script}\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    variables = {**syndi.variables, "EDITOR": str(editor), "TMPDIR": str(directory)}
    variables["VISUAL"] = ""
    return Syndi(variables, syndi.state).run("--local", "config", "edit", "stage", ORG)


def kept(directory: Path) -> list[str]:
    """The texts that were kept."""
    return [file.read_text() for file in directory.glob("syndi-*-overrides-*.json")]


def test_an_edit_is_stored_and_one_without_a_change_is_not(
    syndi: Syndi, configure: Callable[..., Result], tmp_path: Path
) -> None:
    before = newest(configure)
    assert edit(syndi, tmp_path, "").exit_code == 0
    assert newest(configure) == before
    done = edit(syndi, tmp_path, 'open(path, \'w\').write(\'{"frontend": {"title": "Ed"}}\')')
    assert done.exit_code == 0, done.stderr
    latest = configure("history", "--json").json["versions"][0]
    assert latest["content"] == {"frontend": {"title": "Ed"}}
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,}', "not JSON (line 1"),
        ('{"limits": 5}', "limits: is an object in the layers below"),
    ],
)
def test_a_wrong_edit_changes_nothing_and_its_text_is_kept(
    syndi: Syndi, configure: Callable[..., Result], tmp_path: Path, text: str, told: str
) -> None:
    before = newest(configure)
    refused = edit(syndi, tmp_path, f"open(path, 'w').write({text!r})")
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert "your text is kept in" in refused.stderr
    assert str(tmp_path) in refused.stderr
    assert kept(tmp_path) == [text]
    assert newest(configure) == before


def test_of_two_changes_of_the_same_version_one_is_told_and_neither_is_lost(
    syndi: Syndi, configure: Callable[..., Result], tmp_path: Path
) -> None:
    """The editor takes its time, and meanwhile somebody else sets a value."""
    before = newest(configure)
    set_there = ["config", "set", "stage", ORG, "frontend.banner=else"]
    somebody = [sys.executable, "-m", "cli", "--local", *set_there]
    refused = edit(
        syndi,
        tmp_path,
        f"import subprocess\nsubprocess.run({somebody!r}, check=True, cwd={str(ROOT)!r})\n"
        'open(path, \'w\').write(\'{"frontend": {"banner": "mine"}}\')',
    )
    assert refused.exit_code == 2
    assert f"somebody else changed it: version {before + 1}" in refused.stderr
    latest = configure("history", "--json").json["versions"][0]
    assert (latest["version"], latest["content"]["frontend"]["banner"]) == (before + 1, "else")
    assert kept(tmp_path) == ['{"frontend": {"banner": "mine"}}']


def test_a_tenant_without_configuration_has_none_to_show_or_set(
    syndi: Syndi, almanac: dict[str, Any]
) -> None:
    here = ["dev", "lighthouse", *APPLICATION]
    for arguments in (["show", *here], ["set", *here, "a=1"], ["history", *here]):
        refused = syndi.run("--local", "config", *arguments)
        assert refused.exit_code == 2
        assert "almanac has no configuration" in refused.stderr
