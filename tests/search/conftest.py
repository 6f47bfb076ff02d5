"""The real model, fetched once a machine; a hub of our own that serves it as the real one does."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from search_sessions import settings_in

from schemas.settings import Settings
from tracker.search.catalogue import MINILM
from tracker.search.models import fetch
from tracker.search.proof import prove
from tracker.sessions import SessionService


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The published model. What cannot be fetched is skipped, but not in CI."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    fetched = fetch(settings_in(cache / "sessionops-tests"))
    if fetched.path is None:
        line = f"needs the embedding model: {fetched.reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
    return fetched.path


@pytest.fixture
def settings(tmp_path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def installed(settings, model_folder) -> Settings:
    """Settings of a deployment that has the model; it must not be written to."""
    settings.places.models.mkdir(parents=True)
    (settings.places.models / MINILM.name).symlink_to(model_folder)
    return settings


@pytest.fixture
def own_copy(installed, model_folder):
    """A model whose tokenizer may be changed; the weights are the shared ones."""
    folder = installed.places.models / MINILM.name
    folder.unlink()
    for file in MINILM.files:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.name).symlink_to(model_folder / file.name)
    tokenizer = folder / "tokenizer.json"
    content = tokenizer.read_bytes()
    tokenizer.unlink()
    tokenizer.write_bytes(content)
    return folder


class Hub(ThreadingHTTPServer):
    """Serves a folder under the hub's addresses; can stop in the middle of the weights."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.folder = folder
        self.stall = False
        self.stalled = threading.Event()
        self.released = threading.Event()
        self.requested: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self):
        hub = self.server
        hub.requested.append(self.path)
        prefix = f"/{MINILM.hub_repository}/resolve/{MINILM.hub_revision}/"
        file = hub.folder / self.path.removeprefix(prefix)
        if not self.path.startswith(prefix) or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if hub.stall:
            self.wfile.write(content[: len(content) // 2])
            hub.stalled.set()
            hub.released.wait(60)
            return
        self.wfile.write(content)

    def log_message(self, *_arguments):
        """The test's output is not the place for an access log."""


@pytest.fixture
def hub(model_folder, monkeypatch):
    server = Hub(model_folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def service(settings):
    """The tracker's service in a deployment without a model."""
    service = SessionService.open(settings, wait=0)
    yield service
    service.close()


@pytest.fixture
def knowing(installed):
    """The tracker's service in a deployment that has the model."""
    prove(installed.places.models / MINILM.name, MINILM)
    service = SessionService.open(installed, wait=0)
    yield service
    service.close()
