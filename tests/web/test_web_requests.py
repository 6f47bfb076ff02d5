"""What a server answers, seen from outside: a real process, asked over real connections."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from schemas.errors import Busy, InvalidInput, NotAuthorised, NotFound, SessionopsError, Unreachable
from schemas.session import ErrorBody
from tracker.client.http import ServerClient
from tracker.client.tokens import local_token


def request(running, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(
        "127.0.0.1", running.settings.count("session_buddy.port"), timeout=10
    )
    connection.request(
        method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
    )
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def refusal(running, method, path, body=None, **headers):
    response, content = request(running, method, path, body, **headers)
    error = ErrorBody.model_validate_json(content)
    assert error.request_id == response.headers["X-Request-Id"]
    return response.status, error.error


def test_health_needs_no_token(running):
    response, content = request(running, "GET", "/health")
    health = json.loads(content)
    assert response.status == 200
    assert health["service"] == "session-buddy"
    assert health["release"] == "checkout"
    assert health["pid"] == running.process().pid


def test_without_a_token_the_answer_is_401_and_says_how_to_get_one(running):
    response, _ = request(running, "GET", "/who")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    with pytest.raises(NotAuthorised, match="401 Unauthorized") as caught:
        running.client().get("/who")
    assert "generate-token" in caught.value.hint


def test_a_token_says_who_asks_and_what_it_may_do(running):
    with running.client("read") as client:
        assert client.get("/who")["subject"]
        with pytest.raises(NotAuthorised, match="operate"):
            client.get("/operate")


def test_a_token_for_the_other_server_is_refused(running):
    token = local_token(running.settings, "mahavishnu", ["read"])
    assert refusal(running, "GET", "/who", Authorization=f"Bearer {token}")[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/health", 405), ("GET", "/full", 429)],
)
def test_every_refusal_has_the_one_shape(running, method, path, status):
    assert refusal(running, method, path)[0] == status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"text":"\xff"}', "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"[]", "an object with 'text'"),
    ],
)
def test_a_body_that_is_no_json_is_a_400(running, body, reason):
    status, error = refusal(running, "POST", "/echo", body)
    assert status == 400
    assert reason in error


def test_a_long_body_is_refused_whether_it_says_its_length_or_not(running):
    long = b"1" * 200_000
    assert refusal(running, "POST", "/echo", long)[0] == 413
    chunks = (long[start : start + 10_000] for start in range(0, len(long), 10_000))
    assert refusal(running, "POST", "/echo", chunks)[0] == 413


def test_an_error_inside_is_a_500_that_gives_nothing_away_and_stands_in_the_log(running):
    response, content = request(running, "GET", "/broken", X_Request_Id="find-me")
    assert response.status == 500
    assert b"innermost" not in content
    assert response.headers["X-Request-Id"] == "find-me"
    log = running.spec().log.read_text()
    assert any("find-me" in line and "innermost secret" in line for line in log.splitlines())


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a\tb", "é"])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(running, given):
    response, _ = request(running, "GET", "/health", X_Request_Id=given.encode("latin-1"))
    assert response.headers["X-Request-Id"] != given


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_in_a_browser_cannot_reach_the_server_under_another_name(running, headers, status):
    assert refusal(running, "GET", "/health", **headers)[0] == status


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:8678", "127.0.0.1"])
def test_loopback_has_several_names(running, host):
    assert request(running, "GET", "/health", Host=host)[0].status == 200


def test_the_log_never_has_a_token_in_it(running):
    with running.client("read") as client:
        client.get("/who")
    refusal(running, "GET", "/who", Authorization="Bearer eyJmb3JnZWQ.forged.forged")
    log = running.spec().log.read_text()
    assert "path=/who" in log
    assert "eyJ" not in log


def test_a_connection_that_the_server_has_closed_meanwhile_is_opened_again(running):
    with running.client("read") as client:
        client.get("/who")
        client._connection.sock.shutdown(socket.SHUT_RDWR)
        assert client.get("/who")["subject"]


def test_statuses_become_the_errors_of_the_project(running):
    client = running.client("read")
    with pytest.raises(NotFound):
        client.get("/nowhere")
    with pytest.raises(Busy, match="too much"):
        client.get("/full")
    with pytest.raises(InvalidInput):
        client.post("/echo", b"{")
    with pytest.raises(SessionopsError, match="failed") as caught:
        client.get("/broken")
    assert caught.value.exit_code == 1
    assert client.post("/echo", {"text": "ö"}) == {"text": "ö"}


def test_no_server_is_told_with_the_command_that_starts_it():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(Unreachable, match="does not answer") as caught:
        ServerClient(url).get("/health")
    assert "session-buddy mcp start" in caught.value.hint


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = ServerClient(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout=0.2)
        with pytest.raises(Unreachable, match="in time"):
            client.get("/health")


def test_another_program_on_the_port_is_not_taken_for_the_server(other_program):
    client = ServerClient(other_program)
    with pytest.raises(Unreachable, match="is not Session-Buddy"):
        client.health()
    with pytest.raises(SessionopsError, match="answered 501") as caught:
        client.post("/api/v1/events", {"events": []})
    assert not isinstance(caught.value, InvalidInput)


@pytest.fixture
def other_program():
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_log_line_begins_with_its_time_in_utc_and_its_level(running):
    first = running.spec().log.read_text().splitlines()[0]
    stamp, level = first.split()[:2]
    assert stamp.startswith("timestamp=20")
    assert stamp.endswith("Z")
    assert level == "level=info"
