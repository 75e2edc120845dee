"""Requests to a tenant that is not trusted: whatever it sends, a test gets a fact or a silence."""

import socket
from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from control_plane.errors import TenantNotReady
from control_plane.manifest import TestsTable
from control_plane.services import live
from workers import live_tests

TABLE = TestsTable(endpoint="Url", health="/health", fingerprint="build")


class Tenant:
    """Sends raw bytes, whatever it is asked; `drips`: one byte every 50 ms, without an end."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.sends, self.drips = b"", False
        Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self.sends)
                while self.drips:
                    connection.settimeout(0.05)
                    try:
                        connection.recv(1)
                        return
                    except TimeoutError:
                        connection.sendall(b"x")
            except OSError:
                return


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    made = Tenant()
    yield made
    made.socket.close()


def response(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"\xff\xfe\xfa", b'{"a": ', b"[" * 200_000, b'{"a": ' * 100_000, b"1" * 5000],
)
def test_an_answer_that_is_not_json_is_an_answer_without_a_body(
    tenant: Tenant, body: bytes
) -> None:
    tenant.sends = response(body)
    answer = live.get(tenant.url)
    assert (answer.status, answer.body, answer.problem) == (200, None, "the answer is not JSON")
    with pytest.raises(TenantNotReady, match="/health: the answer is not JSON"):
        live_tests.health(answer, TABLE, "f" * 64)


def test_a_huge_answer_is_not_read_to_its_end(tenant: Tenant) -> None:
    tenant.sends = b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * (live.LARGEST + live._CHUNK)
    assert "larger than" in live.get(tenant.url).problem


def test_a_compressed_answer_is_not_unpacked(tenant: Tenant) -> None:
    tenant.sends = response(b"\x1f\x8b" + b"0" * 20, more="Content-Encoding: gzip\r\n")
    assert live.get(tenant.url).problem == "the answer is not JSON"


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_ends_in_time(tenant: Tenant, before: bytes) -> None:
    tenant.sends, tenant.drips = before, True
    with pytest.raises(TenantNotReady, match="did not answer in full within"):
        live.send("GET", tenant.url, None, 0.3)


def test_a_redirect_is_not_followed_and_says_where_it_leads(tenant: Tenant) -> None:
    tenant.sends = response(b"{}", "302 Found", "Location: http://other.example/\r\n")
    answer = live.get(tenant.url)
    assert answer.status == 302
    failed = live_tests.refusal("no-token", answer, (401,))
    assert failed["detail"] == "expected 401, got 302 to 'http://other.example/'"


@pytest.mark.parametrize("sends", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_a_broken_response_is_silence(tenant: Tenant, sends: bytes) -> None:
    tenant.sends = sends
    with pytest.raises(TenantNotReady, match="does not answer"):
        live.get(tenant.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://[x/",
        "ftp://a.example/",
        "http://" + "a" * 70 + ".invalid/",
        "http://a.invalid:99999/",
    ],
)
def test_an_address_that_is_none_is_silence(url: str) -> None:
    with pytest.raises(TenantNotReady, match="does not answer"):
        live.get(url)


def test_a_certificate_that_is_refused_says_so(tenant: Tenant) -> None:
    tenant.sends = b"no TLS here"
    with pytest.raises(TenantNotReady, match="does not answer: SSLError"):
        live.get(tenant.url.replace("http:", "https:"))


def bottomless() -> object:
    value: object = None
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "make", [lambda: "x" * 10**6, lambda: "\ud800\n", lambda: {"a": [1] * 10**5}, bottomless]
)
def test_what_a_tenant_reports_fits_into_a_record(make: Callable[[], object]) -> None:
    detail = live_tests.result("a", "FAILED", f"got {live_tests.quoted(make())}")["detail"]
    assert len(detail.encode()) < live_tests.DETAIL
    with pytest.raises(TenantNotReady) as failed:
        live_tests.health(live.Answer(200, {"build": make()}), TABLE, "f" * 64)
    assert len(str(failed.value).encode()) < live_tests.DETAIL
