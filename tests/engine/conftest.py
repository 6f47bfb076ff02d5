"""A folder of runbooks of one's own in a temporary place, and a deployment that is not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from engine_ops import Ops, free_port

HERE = Path(__file__).parent


@pytest.fixture
def ops(tmp_path, monkeypatch):
    folder, home, work = tmp_path / "ops", tmp_path / "mahavishnu", tmp_path / "work"
    (folder / "runbooks").mkdir(parents=True)
    shutil.copytree(HERE / "tasks", folder / "tasks")
    work.mkdir()
    for name in list(os.environ):
        if name.startswith(("MAHAVISHNU_", "SESSION_BUDDY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MAHAVISHNU_HOME", str(home))
    monkeypatch.setenv("SESSION_BUDDY_HOME", str(tmp_path / "session-buddy"))
    monkeypatch.setenv("SESSION_BUDDY_PORT", str(free_port()))
    return Ops(folder, home, work)
