"""``compat/``: what the published emitters start becomes the relay of the deployment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import COMMAND
from mcp_clients import PATIENCE

COMPAT = Path(__file__).resolve().parents[2] / "compat"
UV = COMMAND.with_name("uv")
HEALTH = {"name": "health_check", "arguments": {}}
ASK = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": HEALTH})


class Home:
    """A home with a deployment in its usual places, and the little that an emitter passes on."""

    def __init__(self, folder, tracker):
        self.environ = {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "SHELL": "/bin/sh",
            "TERM": "dumb",
        }
        self.deployed = folder / ".mahavishnu"
        (self.deployed / "etc").mkdir(parents=True)
        keyring = self.deployed / "etc" / "keyring.json"
        shutil.copy(tracker.places.keyring, keyring)
        environment = self.deployed / "etc" / "session-tracking.env"
        environment.write_text(f"SESSION_BUDDY_PORT={tracker.environ['SESSION_BUDDY_PORT']}\n")
        environment.chmod(0o600)

    def ask(self, argv, **how):
        return subprocess.run(
            argv,
            env=self.environ | how.pop("more", {}),
            input=ASK + "\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            **how,
        )


@pytest.fixture
def home(tmp_path, tracker):
    return Home(tmp_path, tracker)


def release(home, says=""):
    """A release whose command is this checkout's, or one that says something."""
    command = home.deployed / "current" / "bin" / "session-buddy"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho '{says}' \"$@\"\n" if says else COMMAND.read_text())
    command.chmod(0o755)


def test_the_emitters_command_line_reaches_the_tracker(home, tracker):
    said = home.ask(
        [UV, "--directory", COMPAT, "run", "--offline", "python", "-m", "session_buddy"]
    )
    assert (said.returncode, said.stderr) == (0, "")
    answer = json.loads(said.stdout)["result"]["structuredContent"]
    assert answer["pid"] == tracker.process().pid


def test_the_guides_entry_reaches_it_too(home, tracker):
    said = home.ask([sys.executable, "-m", "session_buddy.server"], cwd=COMPAT)
    assert (said.returncode, said.stderr) == (0, "")
    answer = json.loads(said.stdout)["result"]["structuredContent"]
    assert answer["pid"] == tracker.process().pid


def test_the_release_in_use_comes_first(home):
    release(home, says="the release")
    said = home.ask([sys.executable, "-m", "session_buddy"], cwd=COMPAT)
    assert said.stdout == "the release mcp stdio\n"


def test_a_release_whose_interpreter_is_gone_is_passed_over(home, tracker):
    release(home, says="never")
    command = home.deployed / "current" / "bin" / "session-buddy"
    command.write_text("#!/gone/python\n")
    said = home.ask([sys.executable, "-m", "session_buddy"], cwd=COMPAT)
    answer = json.loads(said.stdout)["result"]["structuredContent"]
    assert answer["pid"] == tracker.process().pid


def test_another_home_may_be_named(home, tmp_path):
    release(home, says="the release")
    moved = home.deployed.rename(tmp_path / "elsewhere")
    named = {"MAHAVISHNU_HOME": str(moved)}
    said = home.ask([sys.executable, "-m", "session_buddy"], cwd=COMPAT, more=named)
    assert said.stdout == "the release mcp stdio\n"


def test_in_a_release_it_is_that_release(home, tmp_path):
    shutil.copytree(COMPAT, tmp_path / "0.1.0" / "ops" / "compat")
    command = tmp_path / "0.1.0" / "bin" / "session-buddy"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho beside the release\n")
    command.chmod(0o755)
    folder = tmp_path / "0.1.0" / "ops" / "compat"
    said = home.ask([sys.executable, "-m", "session_buddy"], cwd=folder)
    assert said.stdout == "beside the release\n"


def test_without_any_command_it_says_how_to_get_one(home, tmp_path):
    alone = tmp_path / "alone" / "deep" / "compat"
    shutil.copytree(COMPAT, alone)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    python.write_text(f'#!/bin/sh\nexec "{base}" "$@"\n')
    python.chmod(0o755)
    said = home.ask([python, "-m", "session_buddy"], cwd=alone, more={"PATH": "/nowhere"})
    assert (said.returncode, said.stdout) == (6, "")
    assert "invoke deploy" in said.stderr


def test_uv_leaves_nothing_behind(home, tmp_path):
    folder = tmp_path / "compat"
    shutil.copytree(COMPAT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    home.ask([UV, "--directory", folder, "run", "--offline", "python", "-m", "session_buddy"])
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before


def test_it_needs_nothing_but_the_standard_library(home):
    line = "import sys, session_buddy.relay; print(*sorted(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-S", "-c", line],
        env=dict(os.environ, PYTHONPATH=str(COMPAT)),
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {"session_buddy", "session_buddy.relay", "__main__"}
    roots = {name.partition(".")[0] for name in said.stdout.split()} - ours
    assert roots <= sys.stdlib_module_names
