"""Questions to a tracker that really runs, asked with the commands of the release in use."""

import subprocess

import pytest
from deployments import COMMAND, unused_port

from schemas.errors import StepFailed
from tracker.web.auth import generate_keyring


@pytest.fixture
def served(bench, tmp_path, monkeypatch):
    """The tracker of the bench's deployment, with this project as the release in use."""
    places = bench.places
    monkeypatch.setenv("MAHAVISHNU_HOME", str(places.home))
    monkeypatch.setenv("SESSION_BUDDY_HOME", str(places.tracker_home))
    places.tracker_config.parent.mkdir(parents=True, exist_ok=True)
    places.tracker_config.write_text(f"port: {unused_port()}\n")
    generate_keyring(places.keyring)
    # Before there is a release in use: the server is this checkout's.
    mcp("start")
    (places.releases / "this" / "bin").mkdir(parents=True)
    (places.releases / "this" / "bin" / "session-buddy").symlink_to(COMMAND)
    places.current.symlink_to(places.releases / "this")
    yield bench
    places.current.unlink()
    mcp("stop")


def mcp(action):
    done = subprocess.run([COMMAND, "mcp", action], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rows_and_refusals(served):
    outcome = served("database.query", sql="SELECT 1 AS one, 'a b' AS text")
    assert outcome.outputs == {"rows": [{"one": 1, "text": "a b"}], "count": 1, "more": False}
    more = served("database.query", sql="SELECT unnest(range(5)) AS n", limit=2)
    assert (more.message, more.outputs["count"]) == ("2 rows, and there are more", 2)
    assert served("database.query", sql="SELECT count(*) AS n FROM sessions").outputs["rows"] == [
        {"n": 0}
    ]
    with pytest.raises(StepFailed, match="the query was not answered: "):
        served("database.query", sql="DELETE FROM sessions")


def test_without_a_release_in_use_it_is_told(bench):
    with pytest.raises(StepFailed, match="no release is in use"):
        bench("database.query", sql="SELECT 1")
