"""Traces of a real tracker, as a real OTLP receiver gets them."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deployments import PATIENCE, deployment, unused_port, wait_for
from otlp_receiver import attributes_of, over_grpc, over_http
from telemetry_servers import EVENTS, SESSIONS, made

from schemas.settings import Settings
from tracker.web.otlp import GRPC, HTTP, protocol_for
from tracker.web.tracing import EXTRA, wanted

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE_ID}-{PARENT}-01"}
TEMPLATE = f"{SESSIONS}/{{session_id}}"


def traced(port, **variables):
    """The environment of a server whose traces go to a port."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_TRACES_EXPORTER": "otlp",
        **variables,
    }


@pytest.mark.parametrize(("receiver", "protocol"), [(over_grpc, GRPC), (over_http, HTTP)])
class TestARequest:
    @pytest.fixture
    def received(self, tracker, receiver, protocol):
        port = unused_port()
        with receiver(port) as received:
            tracker.start(**traced(port, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
            yield received

    def test_is_a_span_with_what_was_done_for_it_inside(self, tracker, received):
        tracker.send(made("s1", "session_start"), made("s1"), headers=TRACEPARENT)
        tracker.ask("GET", f"{SESSIONS}?limit=5", scope="read", headers=TRACEPARENT)
        tracker.ask("GET", "/api/v1/search?q=words", scope="read", headers=TRACEPARENT)
        tracker.ask("GET", f"{SESSIONS}/nobody", scope="read", headers=TRACEPARENT)
        assert tracker.stop()[0] == 0  # what was not sent yet is sent at the end
        spans = received.spans()
        assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
        by_id = {span.span_id: span for span in spans}
        nested = {
            (by_id[span.parent_span_id].name if span.parent_span_id in by_id else None, span.name)
            for span in spans
        }
        assert nested == {
            (None, f"POST {EVENTS}"),
            (f"POST {EVENTS}", "ingest.wait"),
            (f"POST {EVENTS}", "ingest.commit"),
            (None, f"GET {SESSIONS}"),
            (f"GET {SESSIONS}", "sessions.list"),
            (None, "GET /api/v1/search"),
            ("GET /api/v1/search", "search"),
            (None, f"GET {TEMPLATE}"),
            (f"GET {TEMPLATE}", "sessions.get"),
        }
        [post] = received.spans(f"POST {EVENTS}")
        [wait], [commit] = received.spans("ingest.wait"), received.spans("ingest.commit")
        assert post.parent_span_id.hex() == PARENT
        assert (
            post.start_time_unix_nano
            <= wait.start_time_unix_nano
            <= wait.end_time_unix_nano
            == commit.start_time_unix_nano
            <= commit.end_time_unix_nano
        )
        assert attributes_of(commit) == {"ingest.events": 2}
        [failed] = received.spans("sessions.get")
        assert attributes_of(failed) == {"error.type": "NotFound"}
        [answered] = received.spans(f"GET {TEMPLATE}")
        assert attributes_of(answered) == {
            "http.request.method": "GET",
            "http.response.status_code": 404,
            "http.route": TEMPLATE,
            "url.scheme": "http",
            "client.address": "127.0.0.1",
        }
        assert received.services() == {"session-buddy"}

    def test_has_its_trace_in_the_log(self, tracker, received):
        headers = {**TRACEPARENT, "X-Request-Id": "mine"}
        tracker.ask("GET", SESSIONS, scope="read", headers=headers)
        [line] = tracker.lines(request_id="mine")
        assert line["trace_id"] == TRACE_ID
        other = tracker.ask("GET", SESSIONS, scope="read", headers={"traceparent": "00-rubbish"})
        [line] = tracker.lines(request_id=other.headers["x-request-id"])
        [span] = wait_for(
            lambda: [
                span
                for span in received.spans(f"GET {SESSIONS}")
                if span.trace_id.hex() == line["trace_id"]
            ]
        )
        assert span.parent_span_id == b""

    def test_says_nothing_of_what_was_asked_or_typed(self, tracker, received):
        data = {"text": "canary-typed"}
        tracker.send(made("s1", "session_start"), made("s1", data=data))
        for path in ("/api/v1/search?q=canary-asked", f"{SESSIONS}/canary-id", "/canary-path"):
            tracker.ask("GET", path, scope="read")
        sql = {"sql": "SELECT 'canary-sql'::INTEGER"}
        tracker.ask("POST", "/api/v1/database/query", sql, scope="operate")
        assert tracker.stop()[0] == 0
        assert len(received.spans()) > 6
        assert b"canary" not in received.raw()


def test_probes_leave_no_spans(tracker):
    port = unused_port()
    with over_http(port) as received:
        tracker.start(**traced(port))
        tracker.scrape()
        tracker.ask("GET", SESSIONS, scope="read")
        assert tracker.stop()[0] == 0
    assert {span.name for span in received.spans()} == {f"GET {SESSIONS}", "sessions.list"}


def test_the_name_of_the_server_may_be_given(tracker):
    port = unused_port()
    with over_http(port) as received:
        tracker.start(**traced(port, OTEL_SERVICE_NAME="mahavishnu"))
        tracker.ask("GET", SESSIONS, scope="read")
        assert tracker.stop()[0] == 0
    assert received.services() == {"mahavishnu"}


@pytest.mark.parametrize(
    ("endpoint", "asked", "spoken"),
    [
        ("http://localhost:4317", "", GRPC),
        ("http://localhost:4318", "", HTTP),
        ("https://collector.example", "", HTTP),
        ("http://[::1]:4317", "", GRPC),
        ("http://localhost:4317", HTTP, HTTP),
        ("http://localhost:4318", GRPC, GRPC),
    ],
)
def test_the_protocol_follows_the_port_unless_it_is_named(endpoint, asked, spoken):
    assert protocol_for(endpoint, asked) == spoken


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, False),
        ({"MAHAVISHNU_TRACING_ENABLED": "true"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "MAHAVISHNU_TRACING_ENABLED": "true"}, False),
    ],
)
def test_traces_are_sent_when_the_settings_ask_for_it(tracker, variables, on):
    assert wanted(Settings.load(tracker.places, variables)) is on


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:port"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ],
)
def test_what_cannot_be_used_is_said_and_the_server_runs_on(tracker, variables):
    tracker.start(**{**traced(4317), **variables})
    [line] = tracker.lines(event="no traces")
    assert line["level"] == "warning"
    assert next(iter(variables.values())).rpartition(":")[2] in line["reason"]
    tracker.send(made("s1", "session_start"))


def test_without_the_extra_it_is_named_and_the_server_runs_on(tracker, tmp_path):
    hidden = tmp_path / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        'raise ModuleNotFoundError("No module named \'opentelemetry\'", name="opentelemetry")\n'
    )
    tracker.start(**traced(4317, PYTHONPATH=str(hidden.parent)))
    [line] = tracker.lines(event="no traces")
    assert line["reason"] == "opentelemetry is not installed"
    assert line["hint"] == (
        f"the extra [otel]: uv pip install --python {sys.executable} {' '.join(EXTRA)}"
    )
    tracker.send(made("s1", "session_start"))
    assert tracker.stop() == (0, "")


def test_the_line_that_installs_the_extra_names_what_is_in_it():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"]["otel"]
    assert tuple(requirement.partition(">=")[0] for requirement in extra) == EXTRA


def test_when_nobody_asks_for_traces_nothing_of_it_is_imported(tracker):
    script = """
import sys
from schemas.settings import Settings
from tracker import server
from tracker.sessions import SessionService
from tracker.web import tracing
from tracker.web.identity import Identity
settings = Settings.load()
tracing.start("session-buddy", settings)
service = SessionService.open(settings)
server.build(service, Identity.of_this_process("session-buddy", settings))
service.list_sessions()
service.close()
tracing.stop()
print([name for name in sys.modules if name.partition(".")[0] in {"opentelemetry", "grpc"}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **tracker.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
class TestAReceiverThatIsNotThere:
    def test_harms_nobody_and_is_told_once(self, tracker, protocol):
        port = unused_port()
        tracker.start(**traced(port, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
        for _ in range(30):
            tracker.send(made("s1", "session_start"))
        wait_for(lambda: tracker.lines(event="traces do not arrive"))
        tracker.send(made("s1"))
        assert tracker.stop() == (0, "")
        assert len(tracker.lines(event="traces do not arrive")) == 1
        assert {line["level"] for line in tracker.lines()} <= {"info", "warning"}

    def test_that_comes_back_is_told(self, tracker, protocol):
        port = unused_port()
        receiver = over_grpc if protocol == GRPC else over_http
        tracker.start(**traced(port, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
        tracker.ask("GET", SESSIONS, scope="read")
        wait_for(lambda: tracker.lines(event="traces do not arrive"))
        with receiver(port) as received:

            def arrived():
                tracker.ask("GET", SESSIONS, scope="read")
                return tracker.lines(event="traces arrive again")

            wait_for(arrived)
            assert received.spans(f"GET {SESSIONS}")

    def test_but_never_answers_does_not_hold_up_the_end(self, tracker, protocol):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            tracker.start(**traced(port, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
            tracker.send(made("s1", "session_start"))
            assert tracker.stop() == (0, "")
        assert tracker.lines(event="the last traces are lost")


def test_the_mahavishnu_server_sends_its_own(tmp_path, monkeypatch):
    receiver_port, port = unused_port(), unused_port()
    made = deployment(tmp_path, monkeypatch, MAHAVISHNU_PORT=str(port))
    with over_http(receiver_port) as received:
        server = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "mcp", "start", "--foreground"],
            env={**made.environ, **traced(receiver_port)},
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answered(port, "/health"))
            assert answered(port, "/api/v1/repos").status == 401
            server.terminate()
            assert server.wait(PATIENCE) == 0
        finally:
            server.kill()
            server.wait()
    assert received.services() == {"mahavishnu"}
    assert {span.name for span in received.spans()} == {"GET /api/v1/repos"}


def answered(port, path):
    """The answer of a server, or None: nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse()
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()
