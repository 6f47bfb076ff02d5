"""What the lines of a tracker's log say, and what nobody can make them say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from telemetry_servers import EVENTS, SESSIONS, fields_of, made

from orchestrator.shell.trace import tracer
from schemas.settings import Settings
from tracker.web.logfmt import printable
from tracker.web.logs import log_file

DEBUG = {"SESSION_BUDDY_LOG_LEVEL": "DEBUG"}
TRACE = {"MAHAVISHNU_TRACE_SESSIONS": "true"}


class TestEveryLine:
    def test_has_the_request_and_the_session_that_it_is_about(self, tracker):
        tracker.start(**DEBUG)
        tracker.send(made("s1", "session_start"), made("s1"), headers={"X-Request-Id": "one"})
        tracker.send(made("s2", "session_start"), made("s1"), headers={"X-Request-Id": "both"})
        for number, (method, path, scope) in enumerate(
            [
                ("GET", f"{SESSIONS}/s1", "read"),
                ("GET", f"{SESSIONS}/s1/events", "read"),
                ("GET", f"{SESSIONS}/s1", ""),
                ("DELETE", f"{SESSIONS}/s1", "admin"),
                ("GET", f"{SESSIONS}/s1", "read"),
            ]
        ):
            tracker.ask(method, path, scope=scope, headers={"X-Request-Id": f"r{number}"})
        told = [
            (line["event"], line["request_id"], line.get("session_id"), line.get("status"))
            for line in tracker.lines()
            if line.get("request_id") in {"one", "both", *(f"r{number}" for number in range(5))}
        ]
        assert told == [
            ("request", "one", "s1", "200"),
            ("request", "both", None, "200"),
            ("request", "r0", "s1", "200"),
            ("request", "r1", "s1", "200"),
            ("not authorised", "r2", "s1", None),
            ("request", "r2", "s1", "401"),
            ("session deleted", "r3", "s1", None),  # said by a thread of its own
            ("request", "r3", "s1", "200"),
            ("request", "r4", "s1", "404"),
        ]

    def test_that_the_writer_s_thread_logs_names_the_request_that_it_works_for(self, logged):
        [line] = logged("""
            from concurrent.futures import Future, wait
            from tracker.store.rows import EventRow
            from tracker.store.writer import Writer

            class Database:
                writing = None
                def checkpoint_when_due(self): pass

            class Broken:
                unsettled = 0
                def store(self, connection, rows):
                    raise OSError("the disk said no")

            writer = Writer(Database(), Broken())
            with structlog.contextvars.bound_contextvars(request_id="r9", session_id="s9"):
                asked = Future()
                writer.enqueue([EventRow("e", "s9", "command", 0, 0)], asked)
            wait([asked])
            writer.close()
        """)
        assert (line["event"], line["request_id"]) == ("events not stored", "r9")
        assert line["session_id"] == "s9"

    def test_is_at_least_of_the_level_that_is_set(self, tracker):
        tracker.start(SESSION_BUDDY_LOG_LEVEL="WARNING")
        tracker.send(made("s1", "session_start"))
        tracker.ask("GET", SESSIONS, scope="read")
        tracker.ask("GET", SESSIONS)
        assert {(line["level"], line["status"]) for line in tracker.lines(event="request")} == {
            ("warning", "401")
        }

    def test_of_routine_is_shown_for_debugging(self, tracker):
        tracker.start(**DEBUG)
        request_id = tracker.send(made("s1", "session_start"))
        [line] = tracker.lines(request_id=request_id)
        assert (line["level"], line["path"]) == ("debug", EVENTS)


ODD = {
    "line feed": "a\nlevel=info event=forged",
    "carriage return": "a\rlevel=info event=forged",
    "both": 'a"\r\ntimestamp=1 level=info event=forged',
    "quote": 'a" status=200 event=forged b="',
    "backslash and quote": 'a\\" status=200 event=forged b="',
    "escape": "a\x1b[2K\x1b[1Aevent=forged",
    "line separator": "a\u2028event=forged",
    "next line": "a\x85event=forged",
    "right to left": "a\u202eevent=forged",
    "nul": "a\x00event=forged",
    "equals": "a=b event=forged",
}


class TestNobodyForgesALine:
    @pytest.mark.parametrize("shape", ["logfmt", "json"])
    def test_by_what_is_in_a_request(self, tracker, shape):
        tracker.start(**DEBUG, **TRACE, SESSION_BUDDY_LOG_FORMAT=shape)
        for odd in ODD.values():
            tracker.ask("GET", f"{SESSIONS}/{quote(odd, safe='')}", scope="read")
            tracker.ask("GET", f"/{quote(odd, safe='')}")
            facts = {"component": "mahavishnu", "session_type": odd, "user": odd, "cwd": odd}
            for event in (made(odd), made("s1", "session_start", session=facts)):
                tracker.ask("POST", EVENTS, {"events": [event]}, scope="ingest")
            agent = odd.encode("ascii", "ignore").decode().translate({10: None, 13: None, 0: None})
            headers = {"User-Agent": agent, "X-Request-Id": agent, "Origin": agent}
            tracker.ask("GET", "/health", headers=headers)
        content = log_file("session-buddy", tracker.places).read_bytes().decode()
        assert all(character.isprintable() or character == "\n" for character in content)
        read = fields_of if shape == "logfmt" else json.loads
        lines = [read(line) for line in content.splitlines()]
        assert not [line for line in lines if line["event"] == "forged"]
        assert {line["status"] for line in lines if "status" in line} <= (
            {"200", "403", "404", "422"} if shape == "logfmt" else {200, 403, 404, 422}
        )
        assert len(content.splitlines()) == content.count("\n")

    @pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
    def test_by_a_name_that_the_shell_traces(self, tracker, odd):
        settings = Settings.load(tracker.places, TRACE)
        tracer(settings, odd)("command", outcome=odd, problem="")
        [line] = log_file("mahavishnu", tracker.places).read_text().splitlines()
        assert fields_of(line)["event"] == "command"

    def test_and_what_is_harmless_stays_as_it_is(self):
        assert printable("Größe 1 µs → 日本 😀 a\nb") == "Größe 1 µs → 日本 😀 a\nb"

    def test_by_half_a_character(self, logged):
        [line] = logged('log.info("odd", name="a\\ud800b")')
        assert line["name"] == "a\\ud800b"


def test_an_error_is_one_line_and_its_secrets_are_masked(logged):
    lines = logged("""
        try:
            raise RuntimeError("no\\nconnection to postgres://ops:hunter2@db/x\\x1b[2J")
        except RuntimeError:
            log.exception("request failed", path="/x")
            import logging
            logging.getLogger("library").exception("theirs failed")
    """)
    assert [line["event"] for line in lines] == ["request failed", "theirs failed"]
    for line in lines:
        assert "RuntimeError: no" in line["exception"]
        assert "hunter2" not in line["exception"]


def test_no_line_holds_a_secret_or_what_somebody_typed(tracker):
    typed, secret = "kubectl-drain-canary", "ghp_" + "a1B2" * 10
    tracker.start(**DEBUG, **TRACE)
    data = {"text": f"{typed} --token {secret}", "error": f"{typed} {secret}"}
    tracker.send(made("s1", "session_start"), made("s1", data=data), made("s1", "error", data=data))
    for path, body in [
        (EVENTS, {"events": [{**made("s1", data=data), "sequence": f"{typed} {secret}"}]}),
        (EVENTS, {"events": [made("s1", data=data, timestamp=f"{typed} {secret}")]}),
        ("/api/v1/database/query", {"sql": f"SELECT '{typed} {secret}'::INTEGER"}),
        ("/api/v1/database/query", {"sql": f"{typed} {secret}"}),
        ("/api/v1/archive", {"days": f"{typed} {secret}"}),
    ]:
        for scope in ("ingest", "operate"):
            tracker.ask("POST", path, body, scope=scope)
    for path in (f"/api/v1/search?q={typed}+{secret}", f"{EVENTS}?cursor={typed}{secret}"):
        tracker.ask("GET", path, scope="read", headers={"Authorization-Extra": secret})
    tracker.ask("GET", SESSIONS, headers={"Authorization": f"Bearer {secret}"})
    tracker.ask("GET", f"/{secret}")
    assert tracker.stop()[0] == 0
    content = log_file("session-buddy", tracker.places).read_text()
    assert content.count("event=request") > 10
    assert typed not in content
    assert secret not in content


class TestTheLifeOfASession:
    def test_is_traced_from_its_start_to_its_end(self, tracker):
        tracker.start(**TRACE, SESSION_BUDDY_LOG_LEVEL="ERROR")
        request_id = tracker.send(made("s1", "session_start"))
        tracker.send(made("s1"), made("s1"))
        tracker.send(made("s1"))
        tracker.send(made("s1", "session_end", exit_code=2, duration_seconds=1.5))
        tracker.send(made("s1", "session_end", exit_code=0))
        tracker.ask("DELETE", f"{SESSIONS}/s1", scope="admin")
        lines = tracker.lines(level="TRACE")
        assert [line["event"] for line in lines] == [
            "session_start",
            "session_first_event",
            "session_end",
            "session_deleted",
        ]
        assert {line["session_id"] for line in lines} == {"s1"}
        start, first, end, _ = lines
        assert (start["component"], start["request_id"]) == ("mahavishnu", request_id)
        assert first["type"] == "command"
        assert (end["status"], end["exit_code"], end["seconds"]) == ("failed", "2", "1.5")

    def test_goes_on_after_silence_and_after_the_archive(self, logged):
        lines = logged(
            f"""
            import sys
            sys.path += {[str(folder) for folder in Path(__file__).parents[:2]]!r}
            from datetime import datetime, timedelta, UTC
            from telemetry_servers import made
            from schemas.session import Event
            from tracker.sessions import SessionService

            service = SessionService.open(settings, wait=0)
            def store(*events):
                service.ingest([Event(**event) for event in events]).result()
            then = (datetime.now(UTC) - timedelta(days=50)).isoformat()
            store(made("s1", "session_start", timestamp=then), made("s1", timestamp=then))
            service.mark_abandoned(datetime.now(UTC) + timedelta(days=1))
            store(made("s1", timestamp=then))
            store(made("s1", "session_end", timestamp=then, exit_code=0))
            service.maintenance.archive(30)
            store(made("s1"))
            service.close()
            """,
            **TRACE,
            SESSION_BUDDY_LOG_LEVEL="ERROR",
        )
        assert [line["event"] for line in lines] == [
            "session_start",
            "session_first_event",
            "session_abandoned",
            "session_revived",
            "session_end",
            "session_archived",
            "session_brought_back",
        ]

    def test_is_not_traced_unless_somebody_asks_for_it(self, tracker):
        tracker.start(**DEBUG)
        tracker.send(made("s1", "session_start"), made("s1", "session_end"))
        assert tracker.lines(level="TRACE") == []

    def test_has_the_shape_of_the_shell_s_own_lines(self, tracker):
        settings = Settings.load(tracker.places, TRACE)
        tracer(settings, "s1")("session_start", problem="")
        [shell] = log_file("mahavishnu", tracker.places).read_text().splitlines()
        tracker.start(**TRACE)
        tracker.send(made("s1", "session_start"))
        [server] = tracker.lines(level="TRACE")
        common = ["timestamp", "level", "event", "session_id", "pid"]
        assert [name for name in fields_of(shell) if name in common] == common
        assert [name for name in server if name in common] == common
        for line in (fields_of(shell), server):
            moment = datetime.fromisoformat(line["timestamp"])
            assert datetime.now(UTC) - moment < timedelta(minutes=10)


def test_rotation_under_load_loses_no_line(logged_files):
    logged_files(
        """
        import threading

        def say(thread):
            for number in range(1_000):
                log.info("line", thread=thread, number=number)

        threads = [threading.Thread(target=say, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        before="from tracker.web import logs; logs.LONGEST_FILE, logs.KEPT_FILES = 20_000, 1_000",
    )
    files = sorted(logged_files.folder.iterdir())
    said = [fields_of(line) for file in files for line in file.read_text().splitlines()]
    assert len(files) > 20
    assert max(file.stat().st_size for file in files) <= 20_000
    assert sorted((int(line["thread"]), int(line["number"])) for line in said) == [
        (thread, number) for thread in range(8) for number in range(1_000)
    ]


class _LoggedFiles:
    """Runs a script that logs as a tracker does."""

    def __init__(self, tracker):
        self._tracker = tracker
        self.folder = tracker.places.tracker_log

    def __call__(self, script, before="", **variables):
        head = (
            f"import structlog\n{before}\n"
            "from schemas.settings import Settings\n"
            "from tracker.web.logs import configure_logging\n"
            "settings = Settings.load()\n"
            "configure_logging('session-buddy', settings)\n"
            "log = structlog.get_logger('test')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", head + textwrap.dedent(script)],
            env={**os.environ, **self._tracker.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def logged_files(tracker):
    return _LoggedFiles(tracker)


@pytest.fixture
def logged(tracker, logged_files):
    """The fields of the lines that a script logs."""

    def logged(script, **variables):
        logged_files(script, **variables)
        return tracker.lines()

    return logged
