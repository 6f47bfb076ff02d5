"""How long questions take as whole processes, with few and with many sessions, idle and ingesting.

    python bench/queries.py [--sessions 1000 100000] [--runs 30] [--rate 2000]

For each number of sessions a database of its own is filled through the tracker's service, some five
events a session over ninety days; a real server then answers real commands. The last two columns
are the same question over a kept connection: what the server itself needs, and so the most that a
cache in it could save. While it ingests, events arrive at ``--rate`` a second, 100 a request.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from schemas.places import Places
from schemas.session import Event
from schemas.settings import Settings
from tracker.client.servers import session_buddy

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("session-buddy")
QUESTIONS: dict[str, tuple[list[str], str, dict[str, Any]]] = {
    "list-sessions": (["list-sessions", "--limit", "100"], "/api/v1/sessions", {"limit": 100}),
    "list-sessions, one user": (
        ["list-sessions", "--limit", "100", "--user", "ada"],
        "/api/v1/sessions",
        {"limit": 100, "user": "ada"},
    ),
    "list-events": (["list-events", "--limit", "100"], "/api/v1/events", {"limit": 100}),
    "analytics, 30 days": (
        ["analytics", "sessions", "--range", "30d"],
        "/api/v1/analytics/sessions",
        {"range": "30d"},
    ),
}
FLOOR = [sys.executable, "-c", "pass"]
USERS = ["ada", "bob", "eve", "kim", "lee"]
COMMANDS = ["ps()", "top()", "errors(10)", "sync()", "%repos", "deploy('web')"]
SPAN = timedelta(days=90)
BATCH = 1_000
"""Sessions that are stored at once."""


def events_of(number: int, began: datetime, chosen: random.Random) -> Iterator[Event]:
    """A session of three to seven events."""
    session = f"00000000-0000-4000-8000-{number:012d}"
    facts = {"component": "mahavishnu", "user": chosen.choice(USERS), "host": "web-1", "pid": 4711}
    last = chosen.randint(2, 6)
    for place in range(last + 1):
        kind = "session_start" if place == 0 else "session_end" if place == last else "command"
        yield Event(
            event_id=f"{number:x}-{place}",
            session_id=session,
            event_type=kind,
            timestamp=began + timedelta(seconds=place),
            sequence=place,
            exit_code=None if place == 0 else int(chosen.random() < 0.05),
            data={"text": chosen.choice(COMMANDS)} if kind == "command" else {},
            session=facts if place == 0 else None,
        )


def fill(settings: Settings, sessions: int) -> None:
    """Store sessions, and wait until the search index has them, so that nothing runs behind."""
    from tracker.sessions import SessionService

    chosen = random.Random(11)  # noqa: S311 -- reproducible, not secret
    first = datetime.now(UTC) - SPAN
    service = SessionService.open(settings)
    for begin in range(0, sessions, BATCH):
        numbers = range(begin, min(begin + BATCH, sessions))
        service.ingest(
            [e for n in numbers for e in events_of(n, first + n * SPAN / sessions, chosen)]
        ).result()
    while (progress := service.index_progress()).indexed < progress.events:
        assert not progress.problem, progress.problem
        time.sleep(0.2)
    service.close()


@contextmanager
def serving(environ: dict[str, str]) -> Iterator[psutil.Process]:
    """A tracker of its own for as long as the block runs."""
    subprocess.run([COMMAND, "mcp", "start"], env=environ, check=True, stdout=subprocess.DEVNULL)
    try:
        with session_buddy(Settings.load(Places.of_this_user(environ), environ)) as client:
            yield psutil.Process(client.health().pid)
    finally:
        subprocess.run([COMMAND, "mcp", "stop"], env=environ, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def ingesting(settings: Settings, rate: int) -> Iterator[list[float]]:
    """Requests of 100 events at a steady rate; the milliseconds until each was acknowledged."""
    chosen, done, waits = random.Random(13), threading.Event(), []  # noqa: S311 -- as above

    def send() -> None:
        number, due = 10**9, time.perf_counter()
        with session_buddy(settings, "ingest") as client:
            while not done.wait(max(0.0, due - time.perf_counter())):
                batch: list[Event] = []
                while len(batch) < 100:
                    batch += events_of(number, datetime.now(UTC), chosen)
                    number += 1
                body = {"events": [e.model_dump(mode="json", exclude_none=True) for e in batch]}
                at = time.perf_counter()
                client.post("/api/v1/events", body)
                waits.append((time.perf_counter() - at) * 1000)
                due += len(batch) / rate

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield waits
    finally:
        done.set()
        sender.join()


def process_times(argv: list[str | Path], environ: dict[str, str], runs: int) -> list[float]:
    """Milliseconds that a command takes, each time; the first time does not count."""
    taken = []
    for _ in range(runs + 1):
        at = time.perf_counter()
        subprocess.run(argv, env=environ, check=True, capture_output=True)
        taken.append((time.perf_counter() - at) * 1000)
    return sorted(taken[1:])


def answer_times(settings: Settings, path: str, query: dict[str, Any], runs: int) -> list[float]:
    """Milliseconds until the server has answered over a kept connection."""
    taken = []
    with session_buddy(settings, "read") as client:
        for _ in range(runs + 1):
            at = time.perf_counter()
            client.get(path, **query)
            taken.append((time.perf_counter() - at) * 1000)
    return sorted(taken[1:])


def p99(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]


def tell(name: str, *timings: list[float]) -> None:
    cells = "".join(f" {statistics.median(taken):.0f} | {p99(taken):.0f} |" for taken in timings)
    print(f"| {name} |{cells}", flush=True)


def ask_all(settings: Settings, environ: dict[str, str], state: str, runs: int) -> None:
    for name, (arguments, path, query) in QUESTIONS.items():
        whole = process_times([COMMAND, *arguments], environ, runs)
        tell(f"{name}{state}", whole, answer_times(settings, path, query, runs))


def measure(folder: Path, sessions: int, runs: int, rate: int) -> None:
    places = Places(folder / "mahavishnu", folder / "session-buddy")
    environ = {
        **os.environ,
        "MAHAVISHNU_HOME": str(places.home),
        "SESSION_BUDDY_HOME": str(places.tracker_home),
        "SESSION_BUDDY_PORT": str(free_port()),
        "SESSION_BUDDY_SEMANTIC_SEARCH": "false",
    }
    from tracker.web.auth import generate_keyring

    generate_keyring(places.keyring)
    settings = Settings.load(places, environ)
    fill(settings, sessions)
    print(f"\n{sessions:,} sessions, file {settings.database.stat().st_size / 1e6:.0f} MB\n")
    print("| ms | process, median | p99 | server, median | p99 |")
    print("|---|---|---|---|---|")
    with serving(environ) as process:
        tell("python -c pass (the floor)", process_times(FLOOR, environ, runs))
        ask_all(settings, environ, "", runs)
        with ingesting(settings, rate) as waits:
            ask_all(settings, environ, ", ingesting", runs)
        tell("(a request of 100 events)", sorted(waits))
        print(f"\nserver: {process.memory_info().rss / 1e6:.0f} MB resident")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--runs", type=int, default=30, help="commands of each kind (30)")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second (2000)")
    arguments = parser.parse_args()
    for sessions in arguments.sessions:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), sessions, arguments.runs, arguments.rate)


if __name__ == "__main__":
    main()
