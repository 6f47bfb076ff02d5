"""The sample server in a deployment of its own, as a real process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from deployments import Deployment, deployment, unused_port

from tracker.web import lifecycle
from tracker.web.lifecycle import ServerSpec
from tracker.web.logs import log_file

SAMPLE = Path(__file__).with_name("web_sample.py")


@dataclass
class Sample(Deployment):
    """A deployment whose tracker is the sample server."""

    def spec(self, fault=""):
        return ServerSpec(
            name="session-buddy",
            title="Session-Buddy MCP server",
            argv=(sys.executable, str(SAMPLE), *([fault] if fault else [])),
            host="127.0.0.1",
            port=self.settings.count("session_buddy.port"),
            log=log_file("session-buddy", self.places),
        )


def sample(root, monkeypatch):
    made = deployment(root, monkeypatch)
    return Sample(made.settings, made.environ)


@pytest.fixture
def free_port():
    """A port that nobody listens on."""
    return unused_port()


@pytest.fixture
def deployed(tmp_path, monkeypatch):
    """A deployment without a server; whatever server it has at the end is stopped."""
    made = sample(tmp_path, monkeypatch)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A deployment whose sample server runs for all tests of a module."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = sample(tmp_path_factory.mktemp("running"), monkeypatch)
        lifecycle.start(made.spec(), made.settings)
        yield made
        lifecycle.stop(made.spec(), made.settings)
