"""The parts of a build that need no AWS: buildspec, shell, archives."""

from __future__ import annotations

import io
import stat
import threading
import time
import zipfile
from pathlib import Path

import pytest

from local.codebuild.bundle import (
    BundleInvalid,
    artifact_files,
    pack_cache,
    unpack_cache,
    unpack_source,
)
from local.codebuild.records import Build, Store
from local.codebuild.shell import Session, Stopped, TimedOut
from local.codebuild.spec import Artifacts, BuildspecInvalid, parse
from local.processes import wait_until


class Shell:
    def __init__(self, directory: Path, seconds: float = 20.0) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()
        (directory / "src").mkdir()
        self.session = Session(
            cwd=directory / "src", scratch=directory / "session",
            environment={"PATH": "/usr/bin:/bin"}, output=self.lines.append, stop=self.stop,
            deadline=time.monotonic() + seconds,
        )  # fmt: skip


def test_commands_share_a_shell(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = shell.session.run
    assert run("mkdir sub; cd sub\nexport A='x y'\nplain=1") == 0
    assert run('echo "$A $plain ${PWD##*/}"; printf end >&2') == 0
    assert shell.lines == ["x y 1 sub", "end"]
    assert run("(exit 3)") == 3
    assert run("cat") == 0  # nothing to read, and nobody to wait for
    shell.session.close()


@pytest.mark.parametrize("command", ["exit 4", "set -e\n(exit 4)\necho no"])
def test_a_command_that_ends_the_shell_fails_and_the_next_one_goes_on(
    tmp_path: Path, command: str
) -> None:
    shell = Shell(tmp_path)
    shell.session.run("mkdir sub; cd sub; export A=1")
    assert shell.session.run(command) == 4
    assert shell.session.run('echo "$A ${PWD##*/}"') == 0
    assert shell.lines == ["1 sub"]
    shell.session.close()


def test_time_is_up_for_the_whole_process_group(tmp_path: Path) -> None:
    shell = Shell(tmp_path, seconds=0.5)
    began = time.monotonic()
    with pytest.raises(TimedOut):
        shell.session.run("(sleep 60; touch late) & echo $! > child; sleep 60")
    assert time.monotonic() - began < 5
    child = (tmp_path / "src" / "child").read_text().strip()
    assert wait_until(lambda: _gone(child), 3)


def test_a_stopped_build_does_not_go_on(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    threading.Timer(0.2, shell.stop.set).start()
    with pytest.raises(Stopped):
        shell.session.run("sleep 60")
    with pytest.raises(Stopped):
        shell.session.run("true")


def test_a_process_in_the_background_does_not_hold_a_build_up(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    began = time.monotonic()
    assert shell.session.run("sleep 60 & echo $! > child") == 0
    shell.session.close()
    assert time.monotonic() - began < 5
    assert wait_until(lambda: _gone((tmp_path / "src" / "child").read_text().strip()), 3)


def _gone(pid: str) -> bool:
    stat_file = Path(f"/proc/{pid}/stat")
    return not stat_file.exists() or stat_file.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_buildspec() -> None:
    spec = parse(
        "version: 0.2\nenv: {variables: {A: 1, B: yes}}\n"
        "phases: {build: {commands: [make], finally: ['true']}}\n"
        "artifacts: {files: '**/*', discard-paths: no}\ncache: {paths: [a/**/*]}"
    )
    assert spec.env.variables == {"A": "1", "B": "true"}
    assert spec.phases.build
    assert spec.phases.build.finally_ == ["true"]
    assert spec.artifacts
    assert spec.artifacts.files == ["**/*"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 0.1\nphases: {}", "version"),
        ("version: 0.2", "phases"),
        ("version: 0.2\nphases: {test: {commands: [x]}}", "phases.test"),
        ("version: 0.2\nphases: {}\nenv: {secrets-manager: {A: b}}", "env.secrets-manager"),
        ("a: [", "not YAML"),
        ("just text", "buildspec"),
    ],
)
def test_buildspec_that_cannot_be_run_is_refused(text: str, message: str) -> None:
    with pytest.raises(BuildspecInvalid, match=message):
        parse(text)


def _zip(path: Path, name: str, mode: int = 0o100644) -> Path:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fine", "1")
        archive.writestr(entry, "target")
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "c:/out", "..\\out"])
def test_a_source_that_leads_outside_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(BundleInvalid, match="outside"):
        unpack_source(_zip(tmp_path / "a.zip", name), tmp_path / "src")
    assert list((tmp_path / "src").iterdir()) == []


def test_a_source_with_a_link_is_refused_and_modes_are_kept(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="link"):
        unpack_source(_zip(tmp_path / "a.zip", "l", stat.S_IFLNK | 0o777), tmp_path / "src")
    unpack_source(_zip(tmp_path / "b.zip", "run", 0o100755), tmp_path / "src")
    assert (tmp_path / "src" / "run").stat().st_mode & 0o111
    (tmp_path / "c.zip").write_text("no zip")
    with pytest.raises(BundleInvalid, match="cannot be unpacked"):
        unpack_source(tmp_path / "c.zip", tmp_path / "src")


def test_artifacts(tmp_path: Path) -> None:
    source = tmp_path / "src"
    (source / "out/deep").mkdir(parents=True)
    (source / "out/deep/f").write_text("1")
    (source / "out/g").write_text("2")
    (tmp_path / "secret").write_text("3")

    def names(*files: str, base: str = "out") -> list[str]:
        artifacts = Artifacts(files=list(files), base_directory=base)
        return [name for _, name in artifact_files(artifacts, source)]

    assert names("**/*") == ["deep/f", "g"]
    assert names("deep") == ["deep/f"]
    assert names("g", base="./out") == ["g"]
    for files, base in (("nothing", "out"), ("secret", ".."), ("../secret", ".")):
        with pytest.raises(BundleInvalid):
            names(files, base=base)


def test_cache_round_trip(tmp_path: Path) -> None:
    (tmp_path / "one/.cache/a").mkdir(parents=True)
    (tmp_path / "one/.cache/a/f").write_text("1")
    (tmp_path / "two").mkdir()
    ignored = pack_cache([".cache/**/*", "/var/cache/**/*"], tmp_path / "one", tmp_path / "c")
    assert ignored == ["/var/cache/**/*"]
    unpack_cache(tmp_path / "c", tmp_path / "two")
    assert (tmp_path / "two/.cache/a/f").read_text() == "1"
    (tmp_path / "c").write_text("damaged")
    with pytest.raises(BundleInvalid):
        unpack_cache(tmp_path / "c", tmp_path / "two")


def test_a_build_that_ran_when_the_endpoint_died_has_failed(tmp_path: Path) -> None:
    build = Build(
        id="p:1", arn="arn:aws:codebuild:r:1:build/p:1", buildNumber=1, projectName="p",
        startTime=1.0, source={}, artifacts={}, cache={}, environment={}, serviceRole="r",
        timeoutInMinutes=5, logs={},
    )  # fmt: skip
    build.enter("BUILD")
    Store(tmp_path).save(build)
    found = Store(tmp_path).get(build.arn)
    assert found
    assert (found.buildStatus, found.currentPhase) == ("FAILED", "COMPLETED")
    assert found.phases[0].phaseStatus == "FAILED"
    assert found.as_aws()["buildComplete"] is True
