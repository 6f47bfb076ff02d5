"""What the tests of the tracker start from: a service over a fresh database, or real servers."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
import uvicorn
from tracker_servers import DEADLINE, Server, free_port, until

from schemas.places import Places
from schemas.settings import Settings
from tracker.server import build
from tracker.sessions import SessionService
from tracker.web.auth import generate_keyring
from tracker.web.identity import Identity


@pytest.fixture(scope="session")
def keyring(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    generate_keyring(path)
    return path


@pytest.fixture
def places(tmp_path):
    return Places(home=tmp_path / "mahavishnu", tracker_home=tmp_path / "session-buddy")


@pytest.fixture
def settings(places):
    return Settings.load(places, {})


@pytest.fixture
def service(settings):
    service = SessionService.open(settings, wait=0)
    yield service
    service.close()


@pytest.fixture
def store(service):
    """Stores events and waits for the commit."""

    def store(*events):
        return service.ingest(events).result(DEADLINE)

    return store


@pytest.fixture(scope="session")
def new_server(keyring):
    """Makes servers, each with the keys of its deployment; what still runs at the end is killed."""
    made = []

    def new_server(places):
        places.etc.mkdir(parents=True, exist_ok=True)
        if not places.keyring.exists():
            places.keyring.write_bytes(keyring.read_bytes())
            places.keyring.chmod(0o600)
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
def serving(keyring):
    """Serves a service in this process, for tests that must reach behind the server."""
    running = []

    def serving(service):
        places = service.settings.places
        places.etc.mkdir(parents=True, exist_ok=True)
        places.keyring.write_bytes(keyring.read_bytes())
        places.keyring.chmod(0o600)
        server = Server(places, free_port())
        address = urlsplit(server.url)
        app = build(service, Identity.of_this_process("session-buddy", service.settings))
        config = uvicorn.Config(app, address.hostname, address.port, log_config=None)
        runner = uvicorn.Server(config)
        thread = threading.Thread(target=runner.run)
        thread.start()
        running.append((runner, thread))
        until(lambda: runner.started, "the server")
        return server

    yield serving
    for runner, thread in running:
        runner.should_exit = True
        thread.join(DEADLINE)


@pytest.fixture(scope="module")
def shared_server(new_server, tmp_path_factory):
    """One server for the tests of a file that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    server = new_server(Places(folder / "mahavishnu", folder / "session-buddy")).start()
    yield server
    server.stop()
