"""Deployments in temporary roots, on ports of their own, for tests of what is outside a server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from schemas.places import Places
from schemas.settings import Settings
from tracker.client.http import ServerClient
from tracker.client.tokens import local_token
from tracker.web.auth import generate_keyring
from tracker.web.pidfile import pid_file, read_process
from tracker.web.processes import is_alive

PATIENCE = 20.0
COMMAND = Path(sys.executable).with_name("session-buddy")


@dataclass
class Deployment:
    """The settings of one deployment that is nobody else's, and the environment that names it."""

    settings: Settings
    environ: dict[str, str]

    @property
    def places(self):
        return self.settings.places

    def client(self, *scopes):
        def token():
            return local_token(self.settings, "session-buddy", scopes)

        return ServerClient(self.settings.tracker_url, token if scopes else None)

    def process(self):
        """The process of the server, or None."""
        return read_process(pid_file("session-buddy", self.places))

    def kill(self):
        """End the server as a crash does."""
        if process := self.process():
            process.send_signal(signal.SIGKILL)
            wait_for(lambda: not is_alive(process))


def deployment(root, monkeypatch, **variables):
    """A new deployment below a folder, with keys; the environment of this process names it too."""
    wanted = {
        "MAHAVISHNU_HOME": str(root / "m"),
        "SESSION_BUDDY_HOME": str(root / "b"),
        "SESSION_BUDDY_PORT": str(unused_port()),
        **variables,
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(Places.of_this_user(wanted), wanted)
    generate_keyring(settings.places.keyring)
    return Deployment(settings, {**os.environ, **wanted})


def unused_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition):
    """Wait until a condition holds; its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
