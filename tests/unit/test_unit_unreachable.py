"""AWS that cannot be used: one line that says what to do, whatever answers, and no traceback."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from control_plane import aws


def xml(code: str) -> bytes:
    """An error of CloudFormation's query protocol, as a whole HTTP answer."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return http(body.encode(), "403 Forbidden", "text/xml")


def http(body: bytes, status: str = "200 OK", kind: str = "text/html") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """A server on a port of this machine that gives every connection these bytes; with none, it
    resets the connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                if answer:
                    connection.sendall(answer)
                else:
                    reset = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """A command of which AWS is asked at a port of this machine."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SYNDI_LOCAL_DIR", str(tmp_path / "laptop"))

    def command(*words: str, port: int = 9) -> Result:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("SYNDI_LOCAL_PORT", str(port))
        aws.forget_clients()
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # which keeps credentials
        return CliRunner().invoke(app, [*words])

    yield command
    aws.forget_clients()


def one_line(result: Result) -> str:
    """The only line that a command printed; it ended because it said so, not by an exception."""
    assert isinstance(result.exception, SystemExit)
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>It works!</html>"),
        http(b""),
        http(b'{"Stacks": []}', kind="application/json"),
        http(b"<DescribeStacksResponse/>", kind="text/xml"),
        http(b"no", "500 Internal Server Error"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x00",
        b"",
    ],
)
def test_whatever_answers_instead_of_aws_is_said_in_a_line(run: Run, answer: bytes) -> None:
    with listening(answer) as port:
        assert "AWS" in one_line(run("tenants", port=port)) or b"500" in answer


@pytest.mark.parametrize(
    "code", ["InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch", "InvalidAccessKeyId"]
)
def test_credentials_that_aws_refuses_are_said_with_what_to_do(run: Run, code: str) -> None:
    with listening(xml(code)) as port:
        result = run("tenants", port=port)
    assert "aws sso login" in one_line(result)
    assert result.exit_code == 2


def test_nobody_at_the_address_is_a_line(run: Run) -> None:
    assert "AWS cannot be reached" in one_line(run("tenants"))


def test_no_region_and_no_credentials_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert "credentials" in one_line(run("tenants"))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "AWS_REGION" in one_line(run("tenants"))


@pytest.mark.parametrize("words", [("tenants",), ("deploy", "dev", "x"), ("show", "x")])
def test_another_program_on_the_laptop_s_port_is_not_asked(
    run: Run, words: tuple[str, ...]
) -> None:
    with listening(http(b"<html>It works!</html>")) as port:
        result = run("--local", *words, port=port)
    assert "syndi --local up" in one_line(result)
    assert result.exit_code == 2
