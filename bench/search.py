"""How long ``session-buddy search`` takes as a whole process, with few and with many sessions.

    python bench/search.py [--sessions 1000 100000] [--runs 20] [--ingest]

For each number of sessions a database of its own is filled through the tracker's service, ten
events a session; a real server then answers real commands. Vectors are random ones (embedding
400,000 texts would take half an hour, and how long a comparison takes does not depend on what is
compared), the query is embedded by the real model. ``--ingest`` measures again while events arrive,
1,000 a second. Needs the model: ``session-buddy models fetch``.
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
from typing import TYPE_CHECKING

import psutil

from schemas.places import Places
from schemas.session import Event
from schemas.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.search import IndexProgress
    from tracker.sessions import SessionService

COMMAND = Path(sys.executable).with_name("session-buddy")
KINDS = {
    "text": ["database locked", "--search-type", "text"],
    "text, one user": ["database locked", "--search-type", "text", "--user", "ada"],
    "semantic": ["workflow orchestration", "--search-type", "semantic"],
    "semantic, failed": ["workflow orchestration", "--search-type", "semantic", "--failed"],
    "hybrid": ["workflow orchestration"],
}
VERBS = [
    "start",
    "stop",
    "restart",
    "deploy",
    "verify",
    "check",
    "backup",
    "rotate",
    "drain",
    "list",
]
THINGS = [
    "database",
    "locked",
    "error",
    "timeout",
    "connection",
    "refused",
    "pipeline",
    "schedule",
    "job",
    "cron",
    "nginx",
    "postgres",
    "redis",
    "session",
    "tracker",
    "spool",
    "journal",
    "release",
    "health",
    "metric",
    "alert",
    "disk",
    "memory",
    "process",
    "server",
    "client",
    "token",
    "certificate",
    "plan",
    "host",
    "inventory",
    "query",
    "latency",
    "failure",
    "network",
    "firewall",
    "queue",
    "worker",
    "cluster",
    "node",
    "container",
    "image",
    "volume",
    "snapshot",
    "index",
    "table",
    "replica",
    "shard",
    "config",
    "template",
    "secret",
]
USERS = ["ada", "bob", "eve", "kim", "lee"]
BATCH = 500
"""Sessions that are stored at once."""


def command_text(chosen: random.Random, common: list[str]) -> str:
    """Two in three commands are among 2,000 that everybody types; the others are their own."""
    if chosen.random() < 0.65:
        return common[min(int(chosen.paretovariate(0.6)), len(common)) - 1]
    return some_command(chosen)


def some_command(chosen: random.Random) -> str:
    words = [chosen.choice(VERBS), *chosen.choices(THINGS, k=chosen.randint(1, 6))]
    return f"{' '.join(words)} --id {chosen.randrange(1_000_000)}"


def events_of(number: int, chosen: random.Random, common: list[str]) -> Iterator[Event]:
    """A session of ten events; the newest session is the last one."""
    began = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=20 * number)
    session = f"00000000-0000-4000-8000-{number:012d}"
    facts = {
        "component": "mahavishnu",
        "user": chosen.choice(USERS),
        "host": f"web-{chosen.randrange(50)}",
        "cwd": f"/srv/{chosen.choice(THINGS)}",
    }
    kinds = ["session_start", *["command"] * 8, "session_end"]
    for place, kind in enumerate(kinds):
        told = {"text": command_text(chosen, common)} if kind == "command" else {}
        code = None if kind == "session_start" else int(chosen.random() < 0.05)
        yield Event(
            event_id=f"{number:x}-{place}",
            session_id=session,
            event_type=kind,
            timestamp=began + timedelta(seconds=place),
            sequence=place,
            exit_code=code,
            data=told,
            session=facts if kind == "session_start" else None,
        )


def fill(settings: Settings, sessions: int) -> dict[str, float]:
    """Store sessions, have them indexed, and give each text a random vector."""
    from tracker.sessions import SessionService

    chosen = random.Random(11)  # noqa: S311 -- reproducible, not secret
    common = [some_command(chosen) for _ in range(2000)]
    service = SessionService.open(settings)
    began = time.perf_counter()
    for first in range(0, sessions, BATCH):
        numbers = range(first, min(first + BATCH, sessions))
        service.ingest([e for n in numbers for e in events_of(n, chosen, common)]).result()
    stored = time.perf_counter()
    progress = wait_until_indexed(service)
    indexed = time.perf_counter()
    embed_at_random(service)
    service.close()
    return {
        "events": 10 * sessions,
        "texts": progress.texts,
        "store": stored - began,
        "index": indexed - stored,
        "file": settings.database.stat().st_size / 1e6,
    }


def wait_until_indexed(service: SessionService) -> IndexProgress:
    while (progress := service.index_progress()).indexed < progress.events:
        assert not progress.problem, progress.problem
        time.sleep(0.2)
    return progress


def embed_at_random(service: SessionService) -> None:
    import numpy as np

    from tracker.search.catalogue import MINILM
    from tracker.search.quantised import quantise
    from tracker.store.search_reads import unembedded_texts
    from tracker.store.search_tables import store_vectors

    numbers = np.random.default_rng(5)
    database, writer = service._database, service._writer  # noqa: SLF001 -- no other way in
    while missing := unembedded_texts(database, MINILM.name, 20_000):
        vectors = numbers.standard_normal((len(missing), MINILM.dimensions), dtype=np.float32)
        scales, codes = quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        ids, rows = [text_id for text_id, _ in missing], [code.tobytes() for code in codes]
        writer.call(
            lambda connection, ids=ids, scales=scales, rows=rows: store_vectors(
                connection, MINILM.name, ids, scales.tolist(), rows
            )
        ).result()


@contextmanager
def server(environ: dict[str, str]) -> Iterator[psutil.Process]:
    """A tracker of its own for as long as the block runs."""
    subprocess.run([COMMAND, "mcp", "start"], env=environ, check=True, stdout=subprocess.DEVNULL)
    try:
        settings = Settings.load(Places.of_this_user(environ), environ)
        from tracker.client.servers import session_buddy

        with session_buddy(settings) as client:
            yield psutil.Process(client.health().pid)
    finally:
        subprocess.run([COMMAND, "mcp", "stop"], env=environ, check=True, stdout=subprocess.DEVNULL)


def timed(arguments: list[str], environ: dict[str, str], runs: int) -> list[float]:
    """Milliseconds that the command takes, each time; the first time does not count."""
    taken = []
    for _ in range(runs + 1):
        at = time.perf_counter()
        subprocess.run(
            [COMMAND, "search", *arguments], env=environ, check=True, capture_output=True
        )
        taken.append((time.perf_counter() - at) * 1000)
    return taken[1:]


@contextmanager
def ingesting(environ: dict[str, str]) -> Iterator[list[float]]:
    """Ten requests a second of 100 events; the milliseconds until each was acknowledged."""
    from tracker.client.servers import session_buddy

    settings = Settings.load(Places.of_this_user(environ), environ)
    chosen, done, waits = random.Random(), threading.Event(), []  # noqa: S311 -- not secret
    common = [some_command(chosen) for _ in range(2000)]

    def send() -> None:
        with session_buddy(settings, "ingest") as client:
            number = 2_000_000
            while not done.wait(0.1):
                batch = [
                    e for n in range(number, number + 10) for e in events_of(n, chosen, common)
                ]
                number += 10
                body = {"events": [e.model_dump(mode="json", exclude_none=True) for e in batch]}
                at = time.perf_counter()
                client.post("/api/v1/events", body)
                waits.append((time.perf_counter() - at) * 1000)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield waits
    finally:
        done.set()
        sender.join()


def row(name: str, taken: list[float]) -> str:
    ordered = sorted(taken)
    last = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"  {name:<22}{statistics.median(ordered):>9.0f}{last:>9.0f}{ordered[-1]:>9.0f}"


def measure(folder: Path, model: Path, sessions: int, arguments: argparse.Namespace) -> None:
    places = Places(folder / "mahavishnu", folder / "session-buddy")
    environ = {
        **os.environ,
        "MAHAVISHNU_HOME": str(places.home),
        "SESSION_BUDDY_HOME": str(places.tracker_home),
        "SESSION_BUDDY_PORT": str(free_port()),
    }
    facts = fill(Settings.load(places, {}), sessions)
    from tracker.web.auth import generate_keyring

    generate_keyring(places.keyring)
    places.models.mkdir(parents=True)
    (places.models / model.name).symlink_to(model)
    print(
        f"\n{sessions:,} sessions, {facts['events']:,} events, {facts['texts']:,.0f} texts, "
        f"file {facts['file']:.0f} MB; stored in {facts['store']:.0f} s, "
        f"indexed {facts['index']:.0f} s later"
    )
    with server(environ) as process:
        print(f"  {'ms a command':<22}{'median':>9}{'p99':>9}{'most':>9}")
        idle = process.memory_info().rss / 1e6
        print(row("(list-sessions -n 100)", listed(environ, arguments.runs)))
        for name, words in KINDS.items():
            print(row(name, timed(words, environ, arguments.runs)), flush=True)
        print(f"  server: {idle:.0f} MB at first, {process.memory_info().rss / 1e6:.0f} MB after")
        if arguments.ingest:
            with ingesting(environ) as waits:
                for name in ("text", "semantic", "hybrid"):
                    taken = timed(KINDS[name], environ, arguments.runs)
                    print(row(f"{name}, ingesting", taken), flush=True)
            print(row("an ingest of 100", waits))


def listed(environ: dict[str, str], runs: int) -> list[float]:
    taken = []
    for _ in range(runs):
        at = time.perf_counter()
        argv = [COMMAND, "list-sessions", "--limit", "100"]
        subprocess.run(argv, env=environ, check=True, capture_output=True)
        taken.append((time.perf_counter() - at) * 1000)
    return taken


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--runs", type=int, default=20, help="commands of each kind (20)")
    parser.add_argument("--ingest", action="store_true", help="also while events arrive")
    parser.add_argument("--model", type=Path, help="the model's folder (the settings' one)")
    arguments = parser.parse_args()
    if arguments.model is None:
        from tracker.search.catalogue import chosen_model
        from tracker.search.models import model_folder

        settings = Settings.load()
        arguments.model = model_folder(settings, chosen_model(settings))
    if not arguments.model.is_dir():
        sys.exit(f"error: no model in {arguments.model}\n  session-buddy models fetch")
    for sessions in arguments.sessions:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), arguments.model.resolve(), sessions, arguments)


if __name__ == "__main__":
    main()
