"""A deployment of its own for the tests that break one, and wheels to break it with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from features.deployment import take_down, temporary
from tracker.client.servers import mahavishnu, session_buddy

CHECKOUT = Path(__file__).resolve().parents[2]
CARRIED = (
    "schemas",
    "tracker",
    "orchestrator",
    "runbooks",
    "templates",
    "alerts",
    "features",
    "compat",
)
FILES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "tasks.py",
    "inventory.yaml",
    "requirements.lock",
)


class Broken:
    """A deployment that a test may break; ``release`` is what runs when a test begins."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.places = deployment.places
        self.environ = deployment.environ

    def deploy(self, *arguments, timeout=300):
        return self.deployment.run("invoke deploy", *arguments, timeout=timeout)

    @property
    def current(self):
        """The release that ``current`` names."""
        return self.places.current.resolve().name

    def running(self):
        """The releases that both servers say they run."""
        settings = self.deployment.settings
        return {
            client.health().release for client in (session_buddy(settings), mahavishnu(settings))
        }

    def sessions(self):
        """Ids of every stored session."""
        listed = self.deployment.run("session-buddy list-sessions --limit 1000 --format json")
        assert listed.exit_code == 0, listed
        return {session["session_id"] for session in json.loads(listed.stdout)}

    def history(self):
        """Every run, newest first."""
        listed = self.deployment.run("invoke runbook.history --json")
        assert listed.exit_code == 0, listed
        return json.loads(listed.stdout)

    def start(self, *arguments):
        """A deploy that goes on while the test looks at it."""
        return subprocess.Popen(
            ["invoke", "deploy", *arguments],
            cwd=self.deployment.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    deployment = temporary(tmp_path_factory.mktemp("to break"), CHECKOUT)
    made = Broken(deployment)
    try:
        done = made.deploy(timeout=600)
        assert done.exit_code == 0, done
        yield made
    finally:
        take_down(deployment)


@pytest.fixture(scope="session")
def build_wheel(tmp_path_factory):
    """Builds a wheel from a copy of this checkout after ``change(copy)`` was made to it."""

    def build(name, change):
        copy = tmp_path_factory.mktemp(name)
        for folder in CARRIED:
            shutil.copytree(
                CHECKOUT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
            )
        for file in FILES:
            shutil.copy(CHECKOUT / file, copy / file)
        change(copy)
        out = copy / "dist"
        argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*argv, "--wheel-dir", out, copy], check=True, timeout=120)
        return next(out.glob("*.whl"))

    return build


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} does not contain {old!r}"
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def next_wheel(build_wheel):
    """A good release that is newer than the checkout."""
    return build_wheel(
        "next",
        lambda copy: replace_in(copy / "pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"'),
    )


@pytest.fixture(scope="session")
def ill_wheel(build_wheel):
    """A release whose tracker dies as soon as it is started."""

    def change(copy):
        replace_in(copy / "pyproject.toml", 'version = "0.1.0"', 'version = "0.1.2"')
        server = copy / "tracker" / "server.py"
        server.write_text(server.read_text() + '\nraise RuntimeError("this release is ill")\n')

    return build_wheel("ill", change)
