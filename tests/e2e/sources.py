"""The applications that the tests deploy, and copies of them to change."""

import shutil
from pathlib import Path

from syndi_command import ROOT, Syndi

ALMANAC = ROOT / "tests" / "applications" / "almanac"
BACKEND = ROOT / "backend"
APPLICATION = ("--application", "almanac")


def copied(original: Path, directory: Path) -> Path:
    """A copy of an application below a directory, without what a build may have left there."""
    copy = directory / original.name
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("__pycache__", ".aws-sam*"))
    return copy


def replace(path: Path, old: str, new: str) -> None:
    """Change the one place of a file that has `old`."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new))


def add_resources(almanac: Path, text: str) -> None:
    """More resources in an almanac's template, as YAML."""
    replace(almanac / "stack.yaml", "Outputs:\n", f"{text}\nOutputs:\n")


def never_completes(almanac: Path) -> None:
    """A stack that fails after a second: nobody signals what it waits for."""
    add_resources(
        almanac,
        "  Never: {Type: AWS::CloudFormation::WaitConditionHandle}\n"
        "  NeverSignalled:\n    Type: AWS::CloudFormation::WaitCondition\n"
        "    Properties: {Handle: !Ref Never, Timeout: '1', Count: 1}\n",
    )


def updates_slowly(copy: Path) -> None:
    """A stack that waits for a signal, and has one more resource to make after it."""
    add_resources(
        copy,
        "  Signalled:\n    Type: AWS::CloudFormation::WaitCondition\n"
        "    CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT5M}}\n"
        "  Afterwards:\n    Type: AWS::CloudFormation::WaitConditionHandle\n"
        "    DependsOn: Signalled\n",
    )


def push(syndi: Syndi, path: Path, env: str) -> str:
    """Make a directory the source of an environment; gives its SHA-256."""
    pushed = syndi.ok("--local", "source", "push", str(path), "--env", env, "--json").json
    return str(pushed["sha256"])


def push_beside(syndi: Syndi, path: Path, env: str, current: Path = ALMANAC) -> str:
    """Push a directory for an environment that goes on deploying `current`; gives its SHA-256."""
    pushed = push(syndi, path, env)
    push(syndi, current, env)
    return pushed


def unbuilt(syndi: Syndi, env: str, note: str) -> str:
    """Push the almanac with a note in its package: a source that no other test has built."""
    copy = copied(ALMANAC, Path(str(syndi.state)) / note)
    (copy / "almanac" / "note.txt").write_text(f"{note}\n")
    return push(syndi, copy, env)
