"""A tracker of its own for these tests, and the `mahavishnu` command beside it, as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from told import PATIENCE, wait_until

from features.deployment import temporary
from schemas.errors import SessionopsError
from tracker.client.http import ServerClient
from tracker.client.servers import session_buddy
from tracker.web.auth import generate_keyring

CHECKOUT = Path(__file__).resolve().parents[2]


class Site:
    """Folders, ports and keys of one deployment, in which commands are run from the checkout."""

    def __init__(self, root):
        made = temporary(root, CHECKOUT)
        home = root / "user"
        home.mkdir()
        (root / "work").mkdir()
        self.folder = root / "work"
        self.environ = {
            **{key: value for key, value in made.environ.items() if key != "MAHAVISHNU_TOKEN"},
            "HOME": str(home),
            "NO_COLOR": "1",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        self.home = home
        self._deployment = made
        self._deployment.environ = self.environ
        generate_keyring(self.places.keyring)

    @property
    def settings(self):
        return self._deployment.settings

    @property
    def places(self):
        return self._deployment.places

    def popen(self, *words, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words],
            cwd=self.folder,
            env={**self.environ, **options.pop("environ", {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words, typed="", **environ):
        """Run `mahavishnu` to its end; `typed` is its standard input, which is no terminal."""
        process = self.popen(*words, stdin=subprocess.PIPE, environ=environ)
        process.out, process.err = process.communicate(typed, timeout=PATIENCE * 2)
        return process

    def shell(self, code, **environ):
        return self.run("shell", "-c", code, **environ)

    @contextmanager
    def prompt(self, **environ):
        """The shell on a terminal, at its first prompt."""
        words = ["-m", "orchestrator.cli", "shell"]
        child = pexpect.spawn(
            sys.executable,
            words,
            cwd=str(self.folder),
            env={**self.environ, **environ},
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 120),
        )
        try:
            child.expect(r"In \[1\]:")
            yield child
        finally:
            child.close(force=True)

    def session_of(self, pid):
        """The session of a process with its events, once the tracker has its end."""
        session = wait_until(lambda: self._stored(pid), f"the session of process {pid}")
        return self.with_events(session)

    def with_events(self, session):
        with session_buddy(self.settings, "read") as tracker:
            path = f"/api/v1/sessions/{session['session_id']}/events"
            return session | {"events": tracker.get(path, limit=1000)["events"]}

    def sessions(self):
        with session_buddy(self.settings, "read") as tracker:
            return tracker.get("/api/v1/sessions", limit=1000)["sessions"]

    def _stored(self, pid):
        ended = [one for one in self.sessions() if one["pid"] == pid and one["end_time"]]
        return ended[0] if ended else None

    def spooled(self):
        """The events that wait on disk, in the order in which they happened."""
        files = self.places.spool.glob("*.jsonl")
        events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted(events, key=lambda event: event["timestamp"])

    @contextmanager
    def tracker(self):
        """The tracker's server, as a process."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker.cli", "mcp", "start", "--foreground"],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: self._answers(process), "the tracker")
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def _answers(self, process):
        assert process.poll() is None, "the tracker ended"
        try:
            return ServerClient(self.settings.tracker_url, timeout=1).health()
        except SessionopsError:
            return None


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A deployment whose tracker runs for the whole test session."""
    site = Site(tmp_path_factory.mktemp("site"))
    with site.tracker():
        yield site


@pytest.fixture
def lone_site(tmp_path):
    """A deployment without a tracker."""
    return Site(tmp_path)
