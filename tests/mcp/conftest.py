"""Real trackers, asked over MCP."""

from __future__ import annotations

import pytest
from deployments import deployment
from mcp_clients import Tracker


@pytest.fixture
def down(tmp_path, monkeypatch):
    """A deployment whose tracker does not run."""
    made = deployment(tmp_path, monkeypatch)
    made = Tracker(made.settings, made.environ)
    yield made
    made.kill()


@pytest.fixture
def up(down):
    """One whose tracker runs, and was never asked over MCP."""
    return down.start()


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """One tracker for the tests of a file that do not mind each other's sessions."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = deployment(tmp_path_factory.mktemp("mcp"), monkeypatch)
    made = Tracker(made.settings, made.environ).start()
    yield made
    made.kill()
