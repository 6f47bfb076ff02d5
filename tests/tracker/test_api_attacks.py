"""What no client of good will sends, over a bare connection: refused with a reason, and no more.

Each test ends with a server that still answers and has logged no fault of its own.
"""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
from tracker_events import make_event, wire
from tracker_servers import DEADLINE

from schemas.session import ErrorBody
from schemas.settings import Settings
from tracker.web.auth import load_keys, mint
from tracker.web.logs import log_file
from tracker.web.protocol import LONGEST_HEAD

ALL = ("read", "ingest", "operate", "admin")
EVENTS = "/api/v1/events"
SESSIONS = "/api/v1/sessions"
ARCHIVE = "/api/v1/archive"
BACKUPS = "/api/v1/backups"
QUERY = "/api/v1/database/query"
CHECK = "/api/v1/database/check"
INDEX = "/api/v1/search/index"
ANALYTICS = "/api/v1/analytics/sessions"


@pytest.fixture(autouse=True)
def unharmed(shared_server):
    yield
    assert shared_server.healthy()
    assert "request failed" not in log_file("session-buddy", shared_server.places).read_text()


@pytest.fixture(scope="module")
def token(shared_server):
    keys = load_keys(Settings.load(shared_server.places, {}), "session-buddy")
    return mint(keys, "session-buddy", "tests", ALL, 3600)


@pytest.fixture
def send(shared_server):
    """Sends bytes as they are, and answers all that comes back until the server hangs up."""

    def send(content):
        address = urlsplit(shared_server.url)
        with socket.create_connection((address.hostname, address.port), DEADLINE) as connection:
            answer = b""
            try:
                connection.sendall(content)
                while piece := connection.recv(65_536):
                    answer += piece
            except ConnectionError:
                pass  # it hung up on what it does not want to read
        return answer

    return send


@pytest.fixture
def ask(send, token):
    """Status, headers and body of the answer to a request."""

    def ask(method, target, body=None, *, headers=(), content_type="application/json"):
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"Authorization: Bearer {token}", *headers]
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body is not None:
            lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return taken_apart(send(head + (body or b"")))

    return ask


def taken_apart(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def reason(answer):
    """The status of a refusal, which is in the one shape of all of them."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json"
    assert ErrorBody.model_validate_json(body).error
    return status


BODIES = {
    "not UTF-8": b'{"reason": "\xff"}',
    "UTF-16": '{"days": 1}'.encode("utf-16"),
    "with a byte order mark": b'\xef\xbb\xbf{"days": 1}',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 5_000,
    "half a character": b'{"days": 1, "reason": "\\ud800", "sql": "\\ud800", "x": "\\ud800"}',
    "NaN": b'{"days": NaN, "limit": NaN, "from_scratch": NaN}',
    "beyond 64 bits": b'{"days": 18446744073709551616, "sql": "SELECT 1", "limit": 1e30}',
    "beyond all": b'{"days": ' + b"9" * 5_000 + b"}",
    "more than the object": b"{} x",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "an unknown key": b'{"colour": "red"}',
    "wrong types": b'{"days": true, "sql": 1, "from_scratch": 1, "directory": 1, "reason": 1}',
    "texts for numbers": b'{"days": "1", "sql": "SELECT 1", "limit": "1", "from_scratch": "1"}',
}


@pytest.mark.parametrize("path", [ARCHIVE, BACKUPS, INDEX, QUERY, CHECK])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_wrong_is_refused(ask, path, body):
    assert reason(ask("POST", path, body)) == 400


@pytest.mark.parametrize(
    "directory",
    [
        *("x", "", "/\0", "/" + "a" * 300, "/" + "a/" * 1_500, "/" + "é" * 200),
        *("/proc/x", "/dev/null", "/dev/null/x"),
    ],
)
def test_a_backup_goes_nowhere_but_into_a_folder(ask, directory):
    assert reason(ask("POST", BACKUPS, {"directory": directory})) == 400


def test_nothing_in_the_body_and_null_mean_the_defaults(ask):
    assert ask("POST", INDEX)[0] == 200
    assert ask("POST", INDEX, b"null")[0] == 200
    assert ask("POST", CHECK, b"null")[0] == 200
    assert reason(ask("POST", ARCHIVE, b"null")) == 400


def test_a_whole_number_with_a_point_is_one(ask):
    status, _, body = ask("POST", ARCHIVE, b'{"days": 36500.0, "dry_run": true}')
    assert (status, json.loads(body)["sessions"]) == (200, 0)
    assert reason(ask("POST", ARCHIVE, b'{"days": 1.5}')) == 400


QUERIES = {
    "not UTF-8": f"{SESSIONS}?user=%ff",
    "given twice": f"{SESSIONS}?limit=1&limit=2",
    "unknown": f"{SESSIONS}?colour=red",
    "too many": f"{SESSIONS}?" + "&".join(f"a{number}=1" for number in range(101)),
    "an empty number": f"{SESSIONS}?limit=",
    "an empty time": f"{SESSIONS}?since=",
    "an empty word": f"{SESSIONS}?user=",
    "an empty status": f"{SESSIONS}?status=",
    "a flag without a value": f"{SESSIONS}?archived",
    "another yes": f"{SESSIONS}?archived=1",
    "an exponent": f"{SESSIONS}?limit=1e2",
    "an underscore": f"{SESSIONS}?offset=1_0",
    "other digits": f"{SESSIONS}?limit=%D9%A3",
    "five thousand digits": f"{SESSIONS}?offset=" + "9" * 5_000,
    "another separator": f"{SESSIONS}?limit=1;offset=2",
    "a time with a space": f"{SESSIONS}?since=%2024h",
    "a duration in other digits": f"{SESSIONS}?since=%D9%A3d",
    "a cursor with a line end": f"{SESSIONS}?cursor=1.a%0a",
    "a huge exit code": "/api/v1/search?q=a&exit=2147483648",
    "a query of NUL": "/api/v1/search?q=%00",
    "a zone that is a path": f"{ANALYTICS}?zone=../../etc/passwd",
    "a zone of NUL": f"{ANALYTICS}?zone=%00",
    "a range of nothing": f"{ANALYTICS}?range=0s",
    "an endless range": f"{ANALYTICS}?range=" + "9" * 400 + "w",
    "a parameter where none is": "/api/v1/database?x=1",
    "a parameter of a deletion": f"{SESSIONS}/s?force=true",
}


@pytest.mark.parametrize("target", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_that_is_wrong_is_refused(ask, target):
    method = "DELETE" if target.endswith("force=true") else "GET"
    assert reason(ask(method, target)) == 400


@pytest.mark.parametrize(
    "since",
    [
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B14:00", "2026-01-01T00:00%2B23:59"),
        *("0001-01-01", "9999-12-31", "99999999999w", "9" * 400 + "w"),
    ],
)
def test_a_time_at_or_beyond_the_ends_of_the_calendar_is_one(ask, since):
    assert ask("GET", f"{SESSIONS}?since={since}")[0] == 200
    assert ask("GET", f"/api/v1/export/events?until={since}")[0] == 200


@pytest.mark.parametrize("name", ["a%2Fb", "%00", "%ff", "..", "a" * 10_000, "%F0%9F%98%80"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_such_session(ask, method, name):
    assert reason(ask(method, f"{SESSIONS}/{name}")) == 404


def test_a_cursor_does_not_make_a_session(ask):
    assert reason(ask("GET", f"{SESSIONS}/nobody/events?after=1.1.e")) == 404


def test_a_path_with_one_slash_more_is_another_path(ask):
    assert reason(ask("GET", f"{SESSIONS}/")) == 404


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", {"get", "head"}),
        (EVENTS, {"get", "head", "post"}),
        (f"{SESSIONS}/s", {"delete", "get", "head"}),
        (BACKUPS, {"post"}),
    ],
)
def test_405_names_the_methods_that_the_path_takes(ask, method, path, allowed):
    answer = ask(method, path)
    assert reason(answer) == 405
    assert set(answer[1]["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", SESSIONS, EVENTS, "/api/v1/export/sessions", "/openapi.json"]
)
def test_head_is_get_without_the_body(ask, path):
    (status, headers, body), (got, of_get, _) = ask("HEAD", path), ask("GET", path)
    assert (status, body) == (got, b"")
    assert headers["content-type"] == of_get["content-type"]


EVENTS_REFUSED = {
    "seconds since 1970": {"timestamp": 1_700_000_000},
    "the same as a text": {"timestamp": "1700000000"},
    "a date": {"timestamp": "2026-11-23"},
    "a number as a text": {"sequence": "1"},
    "yes as a number": {"sequence": True},
    "beyond what doubles hold": {"sequence": 2**53 + 1},
    "half an exit code": {"exit_code": 1.5},
    "a duration as a text": {"duration_seconds": "1"},
    "one for yes": {"event_type": "session_start", "session": {"component": "m", "git_dirty": 1}},
    "an id with a line end": {"event_id": "a\n"},
    "year 9999": {"timestamp": "9999-12-31T23:59:59-23:59"},
    "year 1": {"timestamp": "0001-01-01T00:00:00+23:59"},
}


@pytest.mark.parametrize("changes", EVENTS_REFUSED.values(), ids=EVENTS_REFUSED.keys())
def test_an_event_that_is_wrong_is_refused(ask, changes):
    event = {**wire(make_event("wrong"))["events"][0], **changes}
    assert reason(ask("POST", EVENTS, {"events": [event]})) == 422


def test_an_id_twice_in_a_batch_is_stored_once(ask):
    event = make_event("twice")
    status, _, body = ask("POST", EVENTS, wire(event, event))
    assert (status, json.loads(body)) == (200, {"accepted": 1, "duplicates": 1})


def test_nul_in_texts_is_stored_found_exported_and_queried(ask):
    start = make_event(
        "nul", "session_start", session={"component": "m", "user": "a\0b", "metadata": {"k\0": 1}}
    )
    command = make_event("nul", at=1, data={"text": "whoami\0"})
    assert ask("POST", EVENTS, wire(start, command))[0] == 200
    _, _, found = ask("GET", f"{SESSIONS}?user=a%00b")
    assert [session["metadata"] for session in json.loads(found)["sessions"]] == [{"k\0": 1}]
    assert ask("GET", "/api/v1/export/sessions?format=csv&user=a%00b")[0] == 200
    assert ask("GET", "/api/v1/search?q=whoami")[0] == 200
    _, _, answer = ask("POST", QUERY, {"sql": "SELECT chr(0) AS x"})
    assert json.loads(answer)["rows"] == [["\0"]]
    # DuckDB takes it within SQL from 2.0 on.
    assert ask("POST", QUERY, {"sql": "SELECT '\0' AS x"})[0] in {200, 400}


@pytest.mark.parametrize("lines", ["two events on a line", "an event on two lines"])
def test_a_line_is_one_event(ask, lines):
    one, two = (json.dumps(event) for event in wire(make_event("l"), make_event("l"))["events"])
    body = f"{one},{two}" if lines.startswith("two") else one[:-1] + '\n"exit_code": 1}'
    answer = ask("POST", EVENTS, body.encode(), content_type="application/x-ndjson")
    assert reason(answer) == 422


def test_a_body_in_chunks_needs_no_length(send, token):
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = send(head.encode() + b'd\r\n{"events": []\r\n1\r\n}\r\n0\r\n\r\n')
    assert taken_apart(answer)[0] == 200
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert b" 413 " in send(head.encode() + 17 * piece + b"0\r\n\r\n").partition(b"\r\n")[0]


NOT_HTTP = {
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"a" * 190,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"BREW /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a path without a slash": b"GET health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
    "two lengths": b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    "a length without end": b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
    + b"9" * 30
    + b"\r\n\r\n",
}


@pytest.mark.parametrize("content", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_no_http_is_refused_in_the_same_shape(send, content):
    assert reason(taken_apart(send(content))) == 400


def test_a_head_without_end_is_refused(send):
    head = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for more in (b"X: " + b"a" * LONGEST_HEAD, b"X: a\r\n" * LONGEST_HEAD):
        # One byte too many: with more, the answer could be lost behind what nobody reads.
        assert reason(taken_apart(send((head + more)[: LONGEST_HEAD + 1]))) == 431


def test_a_head_of_a_usual_size_is_not(ask):
    headers = [f"X-{number}: {'a' * 500}" for number in range(100)]
    assert ask("GET", SESSIONS, headers=headers)[0] == 200


def test_no_host_is_no_name_of_this_server(send):
    assert reason(taken_apart(send(b"GET /health HTTP/1.0\r\n\r\n"))) == 421


def test_requests_that_are_sent_all_at_once_are_answered_one_by_one(send):
    one = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert send(one * 50 + last).count(b"HTTP/1.1 200") == 51


def test_a_request_that_breaks_off_stores_nothing(shared_server, send, token, ask):
    event = json.dumps(wire(make_event("broken-off"))).encode()
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    address = urlsplit(shared_server.url)
    with socket.create_connection((address.hostname, address.port), DEADLINE) as connection:
        connection.sendall(f"{head}Content-Length: {len(event) + 1}\r\n\r\n".encode() + event)
    assert reason(ask("GET", f"{SESSIONS}/broken-off/events")) == 404


def test_the_route_of_events_takes_no_parameters_either(ask):
    assert ask("POST", f"{EVENTS}?x=1", wire(make_event("q")))[0] == 400


@pytest.mark.parametrize("depth", [960, 967, 975, 985, 1200])
def test_data_that_is_nested_too_deep_to_be_written_is_no_fault_of_the_server(ask, depth):
    event = json.dumps(wire(make_event("deep", data={"x": 0}))).replace(
        '"x": 0', '"x": ' + "[" * depth + "]" * depth
    )
    assert ask("POST", EVENTS, event.encode())[0] in {200, 400, 422}
