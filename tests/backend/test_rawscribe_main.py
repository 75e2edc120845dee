"""The Lambda handler itself: nothing at import, everything on the first event."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rawscribe import build, main

BACKEND = Path(__file__).parents[2] / "backend"

IMPORT = """
import logging, os, boto3
def refuse(*_args, **_kwargs):
    raise AssertionError("a client at import")
boto3.client = boto3.resource = boto3.Session = refuse
class Unread(dict):
    def __getitem__(self, key): raise AssertionError(f"read {key} at import")
    def get(self, key, default=None):
        assert not key.startswith(("CONFIG", "COGNITO", "AUTH", "ENV", "ORG")), key
        return default
import fastapi, mangum
os.environ = Unread()
import rawscribe.main
assert not logging.getLogger("rawscribe").handlers
"""


def test_import_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=BACKEND, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_handler_answers_from_its_environment(
    tenant: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in tenant.environ.items():
        monkeypatch.setenv(name, value)
    main._adapter.cache_clear()
    event = {
        "resource": "/health",
        "path": "/health",
        "httpMethod": "GET",
        "headers": {},
        "requestContext": {"requestId": "r-1"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = main.handler(event, None)  # type: ignore[arg-type]
    main._adapter.cache_clear()
    assert answer["statusCode"] == 200
    body = json.loads(answer["body"])
    assert (body["status"], body["environment"], body["organization"]) == ("ok", "stage", "alpha")
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["message"] == "request"
    assert (line["status"], line["request_id"]) == (200, "r-1")
    assert "COGNITO_USER_POOL_ID" in os.environ


def test_the_fingerprint_is_the_stamps(tmp_path: Path) -> None:
    stamp = tmp_path / "build.json"
    assert build.fingerprint(stamp) == "unstamped"
    stamp.write_text('{"fingerprint": "abc", "source": "def"}')
    assert build.fingerprint(stamp) == "abc"
    assert build.STAMP == BACKEND / "rawscribe" / "build.json"
