"""Real trackers, each in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from schemas.errors import Unreachable
from schemas.settings import Settings
from tracker.client.http import ServerClient
from tracker.web.auth import load_keys, mint

DEADLINE = 30.0
"""Seconds after which a test gives up waiting; nothing here takes more than two."""


def until(condition, what):
    """Wait for something to become true."""
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {DEADLINE:g} s for {what}")
        time.sleep(0.01)
    return found


class Server:
    """A tracker in a process of its own."""

    def __init__(self, places, port):
        self.places = places
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {
            **os.environ,
            "MAHAVISHNU_HOME": str(places.home),
            "SESSION_BUDDY_HOME": str(places.tracker_home),
            "SESSION_BUDDY_PORT": str(port),
        }
        self.process = None

    def start(self, *, wait=True):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tracker.cli", "mcp", "start", "--foreground"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            until(self.healthy, "a healthy server")
        return self

    def healthy(self):
        if self.process.poll() is not None:
            pytest.fail(f"the server ended: {self.process.stderr.read()}")
        try:
            with self.client() as client:
                return client.health().status == "healthy"
        except Unreachable:
            return False

    def client(self, *scopes):
        if not scopes:
            return ServerClient(self.url)
        keys = load_keys(Settings.load(self.places, {}), "session-buddy")
        token = mint(keys, "session-buddy", "tests", scopes, 60)
        return ServerClient(self.url, lambda: token)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self):
        """Ask it to stop; its exit code, and what it printed."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
