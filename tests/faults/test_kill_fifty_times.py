"""kill -9 under load, fifty times: what was acknowledged is there, once, and the counters fit.

At moments that nobody chose: while events are stored, while the log is taken into the file, while
the server starts and reads its log, while it archives, compacts, prunes and backs up.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import SessionopsError
from tests.tracker.tracker_events import make_event, wire
from tests.tracker.tracker_servers import DEADLINE, until

SEED = 20261125
UNDER_LOAD, AT_START, AT_WORK = 28, 12, 10
EVENTS = "/api/v1/events"
LONG_AGO = datetime.now(UTC) - timedelta(days=40)
SECRET = "hunter2Xyz"
WORK = {
    "archive": ("/api/v1/archive", {"days": 30}),
    "compact": ("/api/v1/database/compact", None),
    "prune": ("/api/v1/prune", {"apply": True, "after": "events:"}),
    "prune's end": ("/api/v1/prune", {"apply": True, "after": "file"}),
    "backup": ("/api/v1/backups", None),
}
PAGE = 50_000


class Shell(threading.Thread):
    """Sends batch after batch; what was not acknowledged it sends again, as an emitter does."""

    def __init__(self, server, name, length):
        super().__init__()
        self.server = server
        self.name = name
        self.length = length
        self.random = random.Random(f"{SEED} {name}")  # noqa: S311 -- no secret
        self.sent, self.acknowledged = 0, {}
        self.waiting = []
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                with self.server.client("ingest") as client:
                    self.send(client)
            except SessionopsError:
                self.stopped.wait(0.02)

    def send(self, client):
        while not self.stopped.is_set():
            self.waiting = self.waiting or self.batch()
            client.post(EVENTS, wire(*self.waiting))
            self.acknowledged |= {event.event_id: event for event in self.waiting}
            self.waiting = []
            self.stopped.wait(self.random.random() * 0.03)

    def batch(self):
        """Part of a long session, or the whole of an old one, which can be archived."""
        if self.sent and self.random.random() < 0.2:
            session, old = f"{self.name}-old-{self.sent}", True
            kinds = ["session_start", "command", "error", "session_end"]
        else:
            session, old = self.name, False
            kinds = ["command"] * self.random.randint(1, 30)
            kinds = kinds if self.sent else ["session_start", *kinds]
        return [self.event(session, kind, old=old) for kind in kinds]

    def event(self, session, kind, *, old):
        self.sent += 1
        text = f"deploy --token {SECRET} " if self.sent % 7 == 0 else "ls "
        more = {"exit_code": self.sent % 2} if kind in {"command", "session_end"} else {}
        event = make_event(
            session,
            kind,
            event_id=f"{self.name}.{self.sent}",
            sequence=self.sent,
            data={"text": text + "x" * self.length},
            **more,
        )
        if old:
            event.timestamp = LONG_AGO
        return event


def rows(client, sql):
    answer = client.post("/api/v1/database/query", {"sql": sql, "limit": 100_000, "seconds": 60})
    assert not answer["truncated"]
    return answer["rows"]


def stored_ids(client):
    """The ids of all events, those in the archive too, as often as they are stored."""
    found = []
    for table in ("session_events", "archived_events"):
        (count,) = rows(client, f"SELECT count(*) FROM {table}")[0]  # noqa: S608
        for begin in range(0, count, PAGE):
            sql = f"SELECT event_id FROM {table} ORDER BY event_id LIMIT {PAGE} OFFSET {begin}"  # noqa: S608
            found += [event_id for (event_id,) in rows(client, sql)]
    return found


def ask(server, path, body):
    """Ask for work that the server will not live to finish."""
    try:
        with server.client("operate", "admin") as client:
            client.post(path, body)
    except SessionopsError:
        pass  # it was killed


def kills(chance):
    """Fifty ways to go, in an order that nobody chose."""
    work = [name for _, name in zip(range(AT_WORK), list(WORK) * AT_WORK, strict=False)]
    ways = ["load"] * UNDER_LOAD + ["start"] * AT_START + work
    chance.shuffle(ways)
    return ways


def kill_once(server, way, shells, chance):
    if way == "start":
        server.start(wait=False)
        time.sleep(chance.uniform(0.2, 1.2))
        server.kill()
        return
    server.start()
    before = [len(shell.acknowledged) for shell in shells]
    until(
        lambda: all(len(s.acknowledged) > b for s, b in zip(shells, before, strict=True)),
        "every shell to be heard again",
    )
    asked = None
    if way != "load":
        asked = threading.Thread(target=ask, args=(server, *WORK[way]))
        asked.start()
    time.sleep(chance.uniform(0, 0.3))
    server.kill()
    if asked is not None:
        asked.join(DEADLINE)


@pytest.fixture
def killed(new_server, places):
    """A server that was killed fifty times and runs again, and the shells that went on sending."""
    server, chance = new_server(places), random.Random(SEED)  # noqa: S311 -- no secret
    shells = [Shell(server, f"shell-{number}", 50) for number in range(2)]
    shells.append(Shell(server, "loud-shell", 4_000))  # so that the log grows long
    for shell in shells:
        shell.start()
    try:
        for way in kills(chance):
            kill_once(server, way, shells, chance)
        server.start()
        before = [len(shell.acknowledged) for shell in shells]
        until(
            lambda: all(len(s.acknowledged) > b for s, b in zip(shells, before, strict=True)),
            "every shell to be heard again",
        )
    finally:
        for shell in shells:
            shell.stopped.set()
        for shell in shells:
            shell.join(DEADLINE)
    return server, shells


def test_what_was_acknowledged_is_there_once_and_all_that_counts_it_agrees(killed):
    server, shells = killed
    with server.client("ingest", "read", "operate", "admin") as client:
        for shell in shells:
            # Of the last batch only the answer may be lost.
            client.post(EVENTS, wire(*shell.waiting))
            shell.acknowledged |= {event.event_id: event for event in shell.waiting}
        events = [event for shell in shells for event in shell.acknowledged.values()]
        client.post(*WORK["archive"])
        assert rows(client, "SELECT count(*) > 0 FROM archived_sessions") == [[True]]
        ids = stored_ids(client)
        assert len(ids) == len(set(ids))
        assert set(ids) == {event.event_id for event in events}

        check = client.post("/api/v1/database/check")
        assert check["ok"], check
        sums = "count(*), sum(event_count), sum(command_count), sum(error_count)"
        both = "(FROM sessions UNION ALL BY NAME FROM archived_sessions)"
        commands = [event for event in events if event.event_type == "command"]
        failed = [event for event in commands if event.exit_code]
        errors = [event for event in events if event.event_type == "error"]
        sessions = {event.session_id for event in events}
        (counted,) = rows(client, f"SELECT {sums} FROM {both}")  # noqa: S608
        assert counted == [len(sessions), len(events), len(commands), len(failed) + len(errors)]

        ends = [event for event in events if event.event_type == "session_end"]
        totals = dict(rows(client, "SELECT metric, sum(value) FROM metric_totals GROUP BY metric"))
        assert totals["sessions"] == len(sessions)
        assert totals["sessions_failed"] == sum(1 for event in ends if event.exit_code)
        until(
            lambda: (p := client.get("/api/v1/search/index"))["indexed"] == p["events"],
            "the search index",
        )

        after = ""
        while after is not None:
            after = client.post("/api/v1/prune", {"apply": True, "after": after})["next"]
    code, _, complaints = server.stop()
    assert (code, complaints) == (0, "")
    for path in server.places.tracker_home.glob("sessions.db*"):
        assert SECRET.encode() not in path.read_bytes()
