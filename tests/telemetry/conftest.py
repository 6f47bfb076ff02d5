"""What the tests of telemetry start from: a real tracker in a deployment of its own."""

from __future__ import annotations

import pytest
from deployments import deployment
from telemetry_servers import Tracker


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    """A deployment whose tracker is not started yet."""
    made = deployment(tmp_path, monkeypatch)
    tracker = Tracker(made.settings, made.environ)
    yield tracker
    tracker.end()
