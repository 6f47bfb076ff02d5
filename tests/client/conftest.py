"""A deployment with the real tracker, whose server tests may stop and start."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from deployments import Deployment, deployment

from tracker.client.facts import session_facts
from tracker.commands.server import server_spec
from tracker.web import lifecycle


@dataclass
class Tracked(Deployment):
    """A deployment of the real tracker."""

    def start(self):
        lifecycle.start(server_spec(self.settings), self.settings)

    def stop(self):
        lifecycle.stop(server_spec(self.settings), self.settings)

    def sessions(self):
        with self.client("read") as client:
            return client.get("/api/v1/sessions")["sessions"]

    def events(self, session_id):
        """All events of a session, page by page."""
        events, cursor = [], ""
        with self.client("read") as client:
            while cursor is not None:
                path = f"/api/v1/sessions/{session_id}/events"
                page = client.get(path, limit=1000, after=cursor or None)
                events += page["events"]
                cursor = page["next"]
        return events

    def texts(self, session_id):
        """The texts of a session's commands, in their order."""
        events = self.events(session_id)
        return [event["data"]["text"] for event in events if event["event_type"] == "command"]


def tracked(root, monkeypatch, **variables):
    made = deployment(root, monkeypatch, **variables)
    return Tracked(made.settings, made.environ)


@pytest.fixture
def facts():
    """Facts of a session that a test pretends to be."""
    return session_facts("mahavishnu", look_at_git=False)


@pytest.fixture
def down(tmp_path, monkeypatch):
    """A deployment whose tracker does not run until the test starts it."""
    made = tracked(tmp_path, monkeypatch)
    yield made
    made.kill()


@pytest.fixture(scope="session")
def up(tmp_path_factory):
    """A deployment whose tracker runs for all tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = tracked(
            tmp_path_factory.mktemp("up"), monkeypatch, ONEIRIC_EVENT_BUFFER_FLUSH_INTERVAL="0.05"
        )
        made.start()
    yield made
    made.stop()
