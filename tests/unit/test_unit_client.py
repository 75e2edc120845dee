"""The client of the API: signed as AWS checks it, and every answer is a result or an error."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cli.connection import Api
from cli.context import current
from cli.failure import CommandError, Failed, Refused
from control_plane.errors import TenantNotReady
from control_plane.services.client import ApiError, Client, NoCredentials, push, push_to, signed_get

REGION = "eu-central-1"
SHA256 = "5" * 64
SECRET = Credentials("AKIDEXAMPLE", "its-secret", "its-session")


class Server(ThreadingHTTPServer):
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        status, content = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(SECRET.token))


def client(server: Server) -> Client:
    return Client(f"{server.url}/v1", REGION)


def check_signature(
    server: Server, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> None:
    """Sign what arrived as AWS would, with the same secret and time, and compare."""
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    lower = {name.lower(): value for name, value in headers.items()}
    sent = {name: lower[name] for name in signed if name not in ("host", "x-amz-date")}
    request = AWSRequest(method, server.url + path, data=body, headers=sent)
    request.context["timestamp"] = lower["x-amz-date"]
    auth = SigV4Auth(SECRET, "execute-api", REGION)
    canonical = auth.canonical_request(_dated(request, lower["x-amz-date"]))
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert f"/{REGION}/execute-api/aws4_request" in headers["Authorization"]
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
    assert lower["x-amz-security-token"] == SECRET.token


def _dated(request: AWSRequest, at: str) -> AWSRequest:
    request.headers["X-Amz-Date"] = at
    return request


# Signatures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "/tenants", None, None),
        ("GET", "/envs/stage/orgs/a%20b/deployments?limit=2&application=notes", None, None),
        ("POST", "/envs/stage/orgs/alpha/deployments", {"mode": "full", "ä": "ö"}, None),
        ("POST", "/control-plane/deployments", {}, {"Idempotency-Key": "k 1"}),
        ("DELETE", "/envs/stage/orgs/alpha", {"confirm": "x"}, None),
    ],
)
def test_a_request_carries_a_signature_that_holds(
    server: Server, method: str, path: str, body: dict[str, Any] | None, headers: Any
) -> None:
    server.answers = [(200, b'{"good": true}')]
    assert client(server).call(method, path, body, headers) == {"good": True}
    ((asked, sent_path, sent, content),) = server.asked
    assert (asked, sent_path) == (method, f"/v1{path}")
    assert (json.loads(content) if content else None) == body
    assert sent.get("Content-Type") == ("application/json" if body is not None else None)
    assert headers is None or sent["Idempotency-Key"] == "k 1"
    check_signature(server, asked, sent_path, sent, content)


def test_a_signature_of_another_body_would_not_hold(server: Server) -> None:
    server.answers = [(200, b"{}")]
    client(server).call("POST", "/x", {"a": 1})
    ((method, path, headers, _),) = server.asked
    with pytest.raises(AssertionError):
        check_signature(server, method, path, headers, b'{"a": 2}')


def test_without_credentials_nothing_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentials):
        client(server).call("GET", "/tenants")
    with pytest.raises(Refused, match="--local"):
        Api(server.url, REGION).call("GET", "/tenants")
    assert server.asked == []


# Answers ------------------------------------------------------------------------------------------

DETAILS = [{"field": "org", "reason": "is too long"}]
REFUSAL = {"error": {"code": "InvalidRequest", "message": "org: is too long", "details": DETAILS}}
ANSWERS: list[tuple[int, Any, str, list[Any], type[CommandError]]] = [
    (400, REFUSAL, "InvalidRequest", DETAILS, Refused),
    (404, {"error": {"code": "NotFound", "message": "x"}}, "NotFound", [], Refused),
    (409, {"error": {"code": "Conflict", "message": "x", "details": []}}, "Conflict", [], Refused),
    (500, {"error": {"code": "InternalError", "message": "x"}}, "InternalError", [], Failed),
    # API Gateway itself: its messages have no error
    (403, {"Message": "not authorized"}, "Forbidden", [], Refused),
    (403, {"message": "Missing Authentication Token"}, "Forbidden", [], Refused),
    (502, {"message": "Internal server error"}, "InternalError", [], Failed),
    (504, {}, "InternalError", [], Failed),
]


@pytest.mark.parametrize(("status", "body", "code", "details", "kind"), ANSWERS)
def test_an_error_says_its_status_code_message_and_fields(
    server: Server, status: int, body: Any, code: str, details: Any, kind: type[CommandError]
) -> None:
    server.answers = [(status, json.dumps(body).encode())] * 2
    with pytest.raises(ApiError) as failed:
        client(server).call("GET", "/x")
    assert (failed.value.status, failed.value.code) == (status, code)
    assert failed.value.details == details
    told = body["error"]["message"] if "error" in body else f"GET /x was refused with {status}"
    assert told in str(failed.value)
    with pytest.raises(kind) as ended:  # and in the command line's words
        Api(server.url, REGION).call("GET", "/x")
    assert (ended.value.code, ended.value.details) == (code, details)


@pytest.mark.parametrize("status", [200, 403, 502])
@pytest.mark.parametrize("content", [b"", b"<html>", b'"text"', b"[]", b"null"])
def test_an_answer_that_is_no_object_is_an_error_with_its_status(
    server: Server, status: int, content: bytes
) -> None:
    server.answers = [(status, content)]
    with pytest.raises(ApiError) as failed:
        client(server).call("GET", "/x")
    assert (failed.value.status, failed.value.code) == (status, "NoJson")


def test_silence_has_the_status_0_and_fails_a_command() -> None:
    nobody = Client("http://127.0.0.1:9", REGION)
    with pytest.raises(ApiError, match="does not answer") as failed:
        nobody.call("GET", "/x")
    assert (failed.value.status, failed.value.code) == (0, "NoAnswer")
    with pytest.raises(Failed, match="does not answer"):
        Api(nobody.url, REGION).call("GET", "/x")


# Health -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "content", "body"),
    [
        (200, b'{"build": "f"}', {"build": "f"}),
        (403, b'{"message": "Forbidden"}', {"message": "Forbidden"}),
        (502, b"Bad Gateway", None),
    ],
)
def test_every_answer_about_health_is_a_fact(
    server: Server, status: int, content: bytes, body: Any
) -> None:
    server.answers = [(status, content)]
    answer = signed_get(f"{server.url}/v1/health", REGION)
    assert (answer.status, answer.body) == (status, body)
    check_signature(server, *server.asked[0])


def test_only_silence_is_not_ready() -> None:
    with pytest.raises(TenantNotReady, match="does not answer"):
        signed_get("http://127.0.0.1:9/health", REGION)


def test_an_endpoint_of_api_gateway_is_reached_below_an_emulated_aws(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    server.answers = [(200, b"{}"), (200, b"{}")]
    url = f"https://abc123.execute-api.{REGION}.amazonaws.com/v1"
    signed_get(f"{url}/health", REGION)
    Client(url, REGION).call("GET", "/health")
    assert [asked[1] for asked in server.asked] == ["/_aws/execute-api/abc123/v1/health"] * 2
    check_signature(server, *server.asked[1])


# Sources ------------------------------------------------------------------------------------------


def _upload(server: Server) -> bytes:
    upload = {"url": f"{server.url}/bucket/{SHA256}", "headers": {"x-amz-checksum-sha256": "c"}}
    return json.dumps({"state": "UPLOAD", "upload": upload}).encode()


REGISTERED = b'{"state": "REGISTERED"}'


def test_a_source_is_registered_uploaded_where_it_is_not_there_and_registered(
    server: Server,
) -> None:
    server.answers = [(200, _upload(server)), (200, b""), (200, REGISTERED), (200, REGISTERED)]
    answer = push(client(server), b"zip", SHA256, "notes", ["dev", "prod"])
    assert answer == {"state": "REGISTERED", "environments": ["dev", "prod"]}
    first, upload, second, third = server.asked
    assert first[:2] == second[:2] == ("PUT", f"/v1/envs/dev/sources/{SHA256}")
    assert third[:2] == ("PUT", f"/v1/envs/prod/sources/{SHA256}")
    asked = {"application": "notes", "size": 3}
    assert json.loads(first[3]) == json.loads(second[3]) == json.loads(third[3]) == asked
    assert (upload[0], upload[1], upload[3]) == ("PUT", f"/bucket/{SHA256}", b"zip")
    assert upload[2]["x-amz-checksum-sha256"] == "c"
    assert "Authorization" not in upload[2], "the URL is signed already"


def test_a_source_that_is_there_is_not_uploaded_again(server: Server) -> None:
    server.answers = [(200, REGISTERED)]
    assert push(client(server), b"zip", SHA256, "notes", ["dev"])["state"] == "REGISTERED"
    assert len(server.asked) == 1


def test_a_source_that_one_environment_refuses_says_which_have_it(server: Server) -> None:
    refused = json.dumps({"message": "not authorized"}).encode()
    server.answers = [(200, REGISTERED), (403, refused)]
    with pytest.raises(ApiError, match=r"prod: .*not authorized; it is the source of dev now"):
        push(client(server), b"zip", SHA256, "notes", ["dev", "prod"])


def test_the_control_planes_own_source_names_its_environments_in_the_body(server: Server) -> None:
    server.answers = [(200, REGISTERED)]
    push_to(client(server), b"zip", "/control-plane/sources/1", "control-plane", ["prod"])
    asked = {"application": "control-plane", "environments": ["prod"], "size": 3}
    assert json.loads(server.asked[0][3]) == asked


def test_a_refused_upload_says_why(server: Server) -> None:
    server.answers = [(200, _upload(server)), (400, b"<Error>BadDigest</Error>")]
    with pytest.raises(ApiError, match="BadDigest") as failed:
        push(client(server), b"zip", SHA256, "notes", ["dev"])
    assert (failed.value.status, failed.value.code) == (400, "UploadRefused")


def test_a_command_to_type_is_of_the_aws_that_told_it(server: Server) -> None:
    hint = {"hint": "'syndi retry 1', or 'syndi install --role-arn'"}
    server.answers += [(200, json.dumps(hint).encode())] * 2
    assert Api(server.url, REGION).call("GET", "/x") == hint
    told = Api(server.url, REGION, local=True).call("GET", "/x")["hint"]
    assert told == "'syndi --local retry 1', or 'syndi --local up --role-arn'"
    refused = {"error": {"code": "Conflict", "message": "'syndi cancel 1' ends it"}}
    server.answers.append((409, json.dumps(refused).encode()))
    with pytest.raises(Refused, match="'syndi --local cancel 1' ends it"):
        Api(server.url, REGION, local=True).call("GET", "/x")


def test_what_the_command_line_says_itself_is_typed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "local", True)
    told = "'syndi install' it, or 'syndi --local down'"
    assert current.typed(told) == "'syndi --local up' it, or 'syndi --local down'"
    monkeypatch.setattr(current, "local", False)
    assert current.typed(told) == told
