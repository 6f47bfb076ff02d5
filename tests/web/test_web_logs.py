"""Log lines: where they go, and that both shapes can be read by their tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.places import Places
from tracker.web.logs import log_file

SAY = """
import logging, structlog
from schemas.settings import Settings
from tracker.web.logs import configure_logging
path = configure_logging("session-buddy", Settings.load(), to_stderr=True)
with structlog.contextvars.bound_contextvars(request_id="r1"):
    structlog.get_logger().info("stored two", session_id="abc123", n=2)
structlog.get_logger().debug("not shown")
logging.getLogger("library").warning("from a library")
print(path)
"""


@pytest.fixture
def say(tmp_path):
    def run(**environ):
        homes = {"MAHAVISHNU_HOME": str(tmp_path / "m"), "SESSION_BUDDY_HOME": str(tmp_path / "b")}
        found = subprocess.run(
            [sys.executable, "-c", SAY],
            env={**os.environ, **homes, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = Path(found.stdout.strip()).read_text().splitlines()
        assert len(found.stderr.splitlines()) == len(lines)
        return lines

    return run


def test_logfmt_lines_are_found_by_the_guides_grep(say):
    first, second = say()
    assert "session_id=abc123" in first
    assert ' event="stored two" request_id=r1 ' in first
    assert "level=warning" in second
    assert 'event="from a library"' in second


def test_lines_as_json_by_setting(say):
    first, second = map(json.loads, say(SESSION_BUDDY_LOG_FORMAT="json"))
    assert (first["session_id"], first["request_id"], first["n"]) == ("abc123", "r1", 2)
    assert second["level"] == "warning"


def test_the_mahavishnu_server_logs_where_the_guide_looks_but_only_the_usual_one(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tracker.web.logs.SYSTEM_FOLDER", tmp_path / "var")
    usual = Places.of_this_user({"HOME": str(tmp_path)})
    second = Places.of_this_user({"HOME": str(tmp_path), "MAHAVISHNU_HOME": str(tmp_path / "m")})
    assert log_file("mahavishnu", usual) == usual.log / "mahavishnu.log"
    (tmp_path / "var").mkdir()
    assert log_file("mahavishnu", usual) == tmp_path / "var" / "mahavishnu.log"
    assert log_file("mahavishnu", second) == second.log / "mahavishnu.log"
    assert log_file("session-buddy", usual) == usual.tracker_log / "session-buddy.log"
