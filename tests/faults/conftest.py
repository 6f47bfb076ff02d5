"""Real trackers whose disk, clock and life a test may take away."""

from __future__ import annotations

import pytest

from schemas.places import Places
from schemas.settings import Settings
from tests.faults.full_disks import mounted, unmount
from tests.tracker.tracker_servers import Server, free_port
from tracker.web.auth import generate_keyring


@pytest.fixture
def places(tmp_path):
    return Places(home=tmp_path / "mahavishnu", tracker_home=tmp_path / "session-buddy")


@pytest.fixture
def settings(places):
    return Settings.load(places, {})


@pytest.fixture
def new_server():
    """Makes servers with the keys of their deployment; what still runs at the end is killed."""
    made = []

    def new_server(places):
        if not places.keyring.exists():
            generate_keyring(places.keyring)
        made.append(Server(places, free_port()))
        return made[-1]

    yield new_server
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
def server(new_server, places):
    return new_server(places).start()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB."""
    disk = mounted(tmp_path / "small", "48m")
    yield disk
    unmount(disk)
