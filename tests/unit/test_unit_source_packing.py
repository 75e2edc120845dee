"""A source: the same files are the same bytes, and nothing that git does not track is in it."""

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from cli.failure import Refused
from cli.source import Source, pack

MANIFEST = """
schema = 1
name = "notes"
[build]
stamp = "build.json"
[stack]
function = "Function"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
"""
FILES = {
    "application.toml": MANIFEST,
    "template.yaml": "Resources: {}",
    "notes/app.py": "x = 1",
    "notes/zeta.py": "z = 1",
}


def written(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def git(directory: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(["git", *arguments], cwd=directory, check=True, env=environment)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """FILES, tracked by git."""
    directory = written(tmp_path / "tree", FILES)
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    return directory


def names(source: Source) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(source.content)).namelist()


def test_a_source_holds_the_tracked_files_in_order(tree: Path) -> None:
    source = pack(tree)
    assert names(source) == sorted(FILES)
    assert source.application == "notes"
    assert source.untracked == []


def test_the_same_files_are_the_same_bytes_whenever_and_in_whatever_order_they_came(
    tree: Path, tmp_path: Path
) -> None:
    other = written(tmp_path / "other", dict(reversed(FILES.items())))
    git(other, "init", "--quiet")
    for name in reversed(FILES):
        git(other, "add", name)
        os.utime(other / name, (1_000_000_000, 1_000_000_000))
    assert pack(other).content == pack(tree).content
    assert pack(other).sha256 == pack(tree).sha256


def test_outside_of_git_the_same_files_are_the_same_bytes_too(tree: Path, tmp_path: Path) -> None:
    plain = written(tmp_path / "plain", {**FILES, ".cache/x": "1", "__pycache__/y.pyc": "2"})
    assert pack(plain).sha256 == pack(tree).sha256


@pytest.mark.parametrize("name", ["template.yaml", "notes/app.py"])
def test_another_content_is_another_source(tree: Path, name: str) -> None:
    before = pack(tree).sha256
    (tree / name).write_text(f"{FILES[name]}\n")
    assert pack(tree).sha256 != before


def test_another_name_is_another_source(tree: Path) -> None:
    before = pack(tree).sha256
    git(tree, "mv", "notes/app.py", "notes/main.py")
    assert pack(tree).sha256 != before


def test_whether_a_file_can_be_executed_is_part_of_the_source(tree: Path) -> None:
    before = pack(tree)
    (tree / "notes/app.py").chmod(0o755)
    after = pack(tree)
    assert after.sha256 != before.sha256
    mode = zipfile.ZipFile(io.BytesIO(after.content)).getinfo("notes/app.py").external_attr >> 16
    assert mode == 0o100755


def test_other_permissions_are_not(tree: Path) -> None:
    before = pack(tree).sha256
    (tree / "notes/app.py").chmod(0o600)
    assert pack(tree).sha256 == before


def test_untracked_files_are_left_out_and_told(tree: Path) -> None:
    before = pack(tree).sha256
    written(tree, {".gitignore": "*.log\n", "secret.env": "PASSWORD=1", "debug.log": "…"})
    source = pack(tree)
    assert source.sha256 == before
    assert source.untracked == [".gitignore", "secret.env"]


def test_a_tracked_file_that_was_deleted_is_not_in_the_source(tree: Path) -> None:
    (tree / "notes/zeta.py").unlink()
    assert "notes/zeta.py" not in names(pack(tree))


def test_a_part_of_a_larger_work_tree_is_packed_alone(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", {"README.md": "…"})
    written(whole / "backend", FILES)
    git(whole, "init", "--quiet")
    git(whole, "add", "--all")
    assert names(pack(whole / "backend")) == sorted(FILES)


def test_a_directory_without_a_manifest_is_no_source(tree: Path) -> None:
    (tree / "application.toml").unlink()
    with pytest.raises(Refused, match=r"has no application\.toml"):
        pack(tree)


def test_a_wrong_manifest_is_refused_before_anything_is_uploaded(tree: Path) -> None:
    (tree / "application.toml").write_text(MANIFEST.replace("stamp", "stempel"))
    with pytest.raises(Refused) as refused:
        pack(tree)
    assert {item["field"] for item in refused.value.details} == {"build.stamp", "build.stempel"}
    assert refused.value.exit_code == 2
