"""From the start of the server to its first healthy answer, after kill -9 with a long log.

    python bench/recovery.py [--megabytes 0 16 200] [--runs 5]

The log is filled by the tracker's own service in a process that then kills itself. 16 MB is the
most that the server lets it grow to while there is room on the disk; 200 MB is for one without.
Every start reads the same log: it is put back before each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from schemas.errors import Unreachable
from schemas.places import Places
from tracker.client.http import ServerClient
from tracker.web.auth import generate_keyring

FILL = """
import os, signal, sys
from datetime import UTC, datetime
from schemas.places import Places
from schemas.session import Event
from schemas.settings import Settings
from tracker.sessions import SessionService
from tracker.store import database

database.LOG_BYTES = 1 << 40
service = SessionService.open(Settings.load(Places.of_this_user()))
number = 0
while service._database.log.stat().st_size < int(sys.argv[1]):
    events = []
    for part in range(1_000):
        number += 1
        session = f"session-{number // 10}"
        start = number % 10 == 0
        events.append(Event(
            event_id=f"event-{number}", session_id=session, timestamp=datetime.now(UTC),
            event_type="session_start" if start else "command",
            session={"component": "bench"} if start else None,
            data={} if start else {"text": f"systemctl restart service-{number}", "outcome": "ok"},
        ))
    service.ingest(events).result()
print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def filled(folder: Path, size: int) -> tuple[dict[str, str], str]:
    """A killed deployment with a log of at least this many bytes; its environment, its events."""
    places = Places(home=folder / "m", tracker_home=folder / "b")
    generate_keyring(places.keyring)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "MAHAVISHNU_HOME": str(places.home),
        "SESSION_BUDDY_HOME": str(places.tracker_home),
        "SESSION_BUDDY_PORT": str(port),
    }
    argv = [sys.executable, "-c", FILL, str(size)]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    return environ, done.stdout.strip() or done.stderr


def seconds_to_healthy(environ: dict[str, str]) -> float:
    """Start a server, ask until it answers, and kill it."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "tracker.cli", "mcp", "start", "--foreground"]
    with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    with ServerClient(
                        f"http://127.0.0.1:{environ['SESSION_BUDDY_PORT']}"
                    ) as client:
                        if all(probe.ok is not False for probe in client.health().probes[:3]):
                            return time.perf_counter() - began
                except Unreachable:
                    if process.poll() is not None:
                        raise
                time.sleep(0.005)
        finally:
            process.kill()


def main() -> int:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, nargs="+", default=[0, 16, 200])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("| log at the kill | events in it | best | median |\n|---|---|---|---|")
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as name:
            environ, events = filled(Path(name), megabytes * 1_000_000)
            home = Path(environ["SESSION_BUDDY_HOME"])
            kept = home.with_name("kept")
            shutil.copytree(home, kept)
            log = (home / "sessions.db.wal").stat().st_size / 1e6
            taken = []
            for _ in range(options.runs):
                shutil.rmtree(home)
                shutil.copytree(kept, home)
                taken.append(seconds_to_healthy(environ))
        best, middle = min(taken), statistics.median(taken)
        print(f"| {log:.1f} MB | {events} | {best:.2f} s | {middle:.2f} s |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
