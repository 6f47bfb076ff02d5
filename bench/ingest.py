"""How fast events are stored so that they survive a crash, beside sqlite3 behind the same server.

    python bench/ingest.py [--events 1 100 1000] [--connections 1 32 128] [--seconds 4]

Both stores sit behind the same HTTP server, the same validation and the same writer thread with
group commit; only the SQL below differs. sqlite3 runs with WAL and synchronous=FULL, which is what
DuckDB does: the log is on disk before the answer leaves. Each connection sends its next request
when the last one was acknowledged. Sessions have eight events, as a short shell session has. The
sender runs on the same machine and takes its share of it; the last column is what the server alone
used of the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import uvloop
from queries import free_port

from schemas.places import Places
from schemas.settings import Settings
from tracker.client.http import ServerClient
from tracker.client.tokens import local_token
from tracker.web.auth import generate_keyring

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker.store.rows import EventRow

COMMAND = Path(sys.executable).with_name("session-buddy")
STORES = ("duckdb", "sqlite3")
EVENTS_A_SESSION = 8
WARM_UP = 1.0
"""Seconds that do not count."""

SQLITE_TABLES = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, component TEXT, session_type TEXT, start_time INTEGER,
    status TEXT, end_time INTEGER, duration_seconds REAL, exit_code INTEGER,
    command_count INTEGER, error_count INTEGER, event_count INTEGER, last_seen INTEGER,
    metadata TEXT, user TEXT, host TEXT, cwd TEXT, pid INTEGER, version TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_start ON sessions (start_time);
CREATE TABLE session_events (
    event_id TEXT PRIMARY KEY, session_id TEXT, event_type TEXT, timestamp INTEGER, data TEXT,
    received_at INTEGER, sequence INTEGER, duration_seconds REAL, exit_code INTEGER
) WITHOUT ROWID;
CREATE INDEX events_session ON session_events (session_id);
"""


class SqliteStore:
    """The counterpart: what the tracker's store does for ingest, in sqlite3."""

    def __init__(self, path: Path) -> None:
        self.writing = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.writing.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        self.writing.executescript(SQLITE_TABLES)

    unsettled = 0

    def reopen(self) -> None:
        """Never asked for."""

    def checkpoint_when_due(self) -> None:
        """sqlite3 does so by itself."""

    def settle(self, _: sqlite3.Connection) -> None:
        """Everything is in the transaction already."""

    def disturbed(self) -> None:
        """Nothing is remembered."""

    def store(self, connection: sqlite3.Connection, rows: Sequence[EventRow]) -> set[str]:
        """A group of events in one transaction, with what they make of their sessions."""
        return store_in_sqlite(connection, rows)


def store_in_sqlite(connection: sqlite3.Connection, rows: Sequence[EventRow]) -> set[str]:
    """A group of events in one transaction, with what they make of their sessions."""
    from tracker.store.rows import metadata_text
    from tracker.store.states import SessionState, advance, started

    by_session: dict[str, list[EventRow]] = {}
    for row in rows:
        by_session.setdefault(row.session_id, []).append(row)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR IGNORE INTO session_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(row.event_id, row.session_id, row.event_type, row.timestamp, row.data),
                *(row.received_at, row.sequence, row.duration_seconds, row.exit_code),
            )
            for row in rows
        ],
    )
    states = []
    keys = list(by_session)
    for begin in range(0, len(keys), 500):
        part = keys[begin : begin + 500]
        found = connection.execute(
            "SELECT session_id, component, session_type, start_time, status, end_time,"  # noqa: S608
            " duration_seconds, exit_code, command_count, error_count, event_count, last_seen"
            f" FROM sessions WHERE session_id IN ({', '.join('?' * len(part))})",
            part,
        )
        states += [SessionState(*values) for values in found]
    known = {state.session_id for state in states}
    made = []
    for row in rows:
        if row.facts is not None and row.session_id not in known:
            known.add(row.session_id)
            states.append(started(row))
            facts = row.facts
            made.append(
                (row.session_id, metadata_text(facts), facts.user, facts.host, facts.cwd, facts.pid)
            )
    for state in states:
        advance(state, by_session[state.session_id])
    connection.executemany(
        "INSERT OR IGNORE INTO sessions (session_id, metadata, user, host, cwd, pid)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        made,
    )
    connection.executemany(
        "UPDATE sessions SET component = ?, session_type = ?, start_time = ?, status = ?,"
        " end_time = ?, duration_seconds = ?, exit_code = ?, command_count = ?, error_count = ?,"
        " event_count = ?, last_seen = ? WHERE session_id = ?",
        [
            (
                *(state.component, state.session_type, state.start_time, state.status),
                *(state.end_time, state.duration_seconds, state.exit_code, state.command_count),
                *(state.error_count, state.event_count, state.last_seen, state.session_id),
            )
            for state in states
        ],
    )
    connection.execute("COMMIT")
    return {row.event_id for row in rows}


def serve_sqlite() -> None:
    """The tracker's server with the other store behind its ingest route."""
    from tracker import sessions
    from tracker.server import serve
    from tracker.store.writer import Writer

    class Service(sessions.SessionService):
        def __init__(self, database: Any, settings: Settings) -> None:
            super().__init__(database, settings)
            store = SqliteStore(settings.database.with_name("sqlite.db"))
            self._search.close()
            self._writer.close()
            self._writer = Writer(store, store)  # type: ignore[arg-type]

    sessions.SessionService.open = classmethod(  # type: ignore[method-assign,assignment]
        lambda _, settings: Service(
            sessions.Database.open(settings.database, role="bench", release="0"), settings
        )
    )
    import tracker.server

    tracker.server.SessionService = sessions.SessionService
    serve(Settings.load())


@contextmanager
def serving(store: str) -> Iterator[tuple[Settings, psutil.Process]]:
    """A server of its own over an empty database of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder, "mahavishnu"), Path(folder, "session-buddy"))
        environ = {
            **os.environ,
            "MAHAVISHNU_HOME": str(places.home),
            "SESSION_BUDDY_HOME": str(places.tracker_home),
            "SESSION_BUDDY_PORT": str(free_port()),
            "SESSION_BUDDY_SEMANTIC_SEARCH": "false",
        }
        generate_keyring(places.keyring)
        settings = Settings.load(places, environ)
        argv = {
            "duckdb": [COMMAND, "mcp", "start", "--foreground"],
            "sqlite3": [sys.executable, __file__, "--serve-sqlite"],
        }[store]
        process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL)
        try:
            wait_until_healthy(settings)
            yield settings, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def wait_until_healthy(settings: Settings) -> None:
    deadline = time.monotonic() + 30
    with ServerClient(settings.tracker_url) as client:
        while True:
            try:
                client.health()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


class Bodies:
    """Requests that nobody has sent yet, made cheaply: only ids are put into a made-up session."""

    def __init__(self, events: int, settings: Settings) -> None:
        now = datetime.now(UTC).isoformat()
        facts = {
            "component": "mahavishnu", "user": "ada", "host": "web-1", "cwd": "/srv/app",
            "pid": 4711, "version": "1.0", "metadata": {"env": {"SHELL": "/bin/bash"}},
        }  # fmt: skip
        self._pieces = []
        for place in range(EVENTS_A_SESSION):
            last = place == EVENTS_A_SESSION - 1
            kind = "session_start" if place == 0 else "session_end" if last else "command"
            event: dict[str, Any] = {
                "event_id": "#I#", "session_id": "#S#", "event_type": kind, "timestamp": now,
                "sequence": place,
            }  # fmt: skip
            if place == 0:
                event["session"] = facts
            else:
                event |= {"duration_seconds": 0.25, "exit_code": 0}
            if kind == "command":
                event["data"] = {"text": "ps(); top(); errors(10)", "outcome": "ok"}
            text = json.dumps(event, separators=(",", ":"))
            text = text.replace("#I#", "%020x").replace("#S#", "%016x")
            self._pieces.append(text.encode())
        self._events = events
        self._next = itertools.count(int(time.time() * 1e6) << 20)
        token = local_token(settings, "session-buddy", ["ingest"])
        self._head = (
            f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def next(self) -> bytes:
        """One request."""
        ids = [next(self._next) for _ in range(self._events)]
        body = b'{"events":[%s]}' % b",".join(
            self._pieces[number % EVENTS_A_SESSION] % (number, number // EVENTS_A_SESSION)
            for number in ids
        )
        return self._head + b"%d\r\n\r\n%s" % (len(body), body)


class Sender(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, bodies: Bodies, done: asyncio.Event) -> None:
        self.waits: list[tuple[float, float]] = []
        self.failed = ""
        self._bodies = bodies
        self._done = done
        self._answer = b""
        self._at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request when the answer is whole."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or not body.endswith(b"\n"):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.failed = self._answer.decode(errors="replace")
            self._transport.close()
            self._done.set()
            return
        self.waits.append((time.perf_counter(), time.perf_counter() - self._at))
        self._answer = b""
        if self._done.is_set():
            self._transport.close()
        else:
            self._send()

    def _send(self) -> None:
        request = self._bodies.next()
        self._at = time.perf_counter()
        self._transport.write(request)


async def send(settings: Settings, events: int, connections: int, seconds: float) -> list[float]:
    """Milliseconds of each request that was acknowledged in the time that counts."""
    bodies, done = Bodies(events, settings), asyncio.Event()
    port = settings.count("session_buddy.port")
    loop = asyncio.get_running_loop()
    senders = [
        (await loop.create_connection(lambda: Sender(bodies, done), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    begin = time.perf_counter() + WARM_UP
    await asyncio.sleep(WARM_UP + seconds)
    done.set()
    end = begin + seconds
    await asyncio.sleep(0.5)
    failed = next((sender.failed for sender in senders if sender.failed), "")
    if failed:
        raise RuntimeError(failed)
    return sorted(
        wait * 1000 for sender in senders for at, wait in sender.waits if begin <= at <= end
    )


def measure(store: str, events: int, connections: int, seconds: float) -> float:
    with serving(store) as (settings, process):
        before = sum(process.cpu_times()[:2])
        waits = uvloop.run(send(settings, events, connections, seconds))
        used = sum(process.cpu_times()[:2]) - before
        rate = len(waits) * events / seconds
        all_events = rate * (seconds + WARM_UP)
        print(
            f"| {store} | {events} | {connections} | {rate:,.0f} | {len(waits) / seconds:,.0f} |"
            f" {statistics.median(waits):.1f} | {waits[int(len(waits) * 0.99)]:.1f} |"
            f" {used / all_events * 1e6:.1f} | {process.memory_info().rss / 1e6:.0f} |",
            flush=True,
        )
        return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--serve-sqlite", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_sqlite:
        serve_sqlite()
        return
    print(
        "| store | events a request | connections | events/s | requests/s | median ms | p99 ms |"
        " server µs/event | MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for events, connections in itertools.product(arguments.events, arguments.connections):
        for store in arguments.stores:
            measure(store, events, connections, arguments.seconds)


if __name__ == "__main__":
    main()
