"""The ``session-buddy`` command as people run it, in a deployment with a real tracker."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest
from deployments import COMMAND, Deployment, deployment

from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts


@dataclass
class Commanded(Deployment):
    """A deployment, and the command in it."""

    def run(self, *arguments, **environ):
        """Run ``session-buddy`` to its end."""
        return subprocess.run(
            [str(COMMAND), *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def output(self, *arguments, **environ):
        """What a command that succeeds prints."""
        result = self.run(*arguments, **environ)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def record(self, *texts, session_type="admin_shell", exit_code=0):
        """Record a whole session; its id."""
        facts = session_facts("mahavishnu", session_type, version="1.0")
        emitter = Emitter(facts, self.settings, delivery="manual")
        emitter.start()
        for text in texts:
            emitter.emit("command", {"text": text, "outcome": "ok"}, exit_code=0)
        emitter.end(exit_code)
        return emitter.session_id


def commanded(root, monkeypatch):
    made = deployment(root, monkeypatch)
    return Commanded(made.settings, made.environ)


@pytest.fixture
def down(tmp_path, monkeypatch):
    """A deployment whose tracker does not run."""
    made = commanded(tmp_path, monkeypatch)
    yield made
    made.kill()


@pytest.fixture(scope="session")
def up(tmp_path_factory):
    """A deployment whose tracker runs for all tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = commanded(tmp_path_factory.mktemp("commanded"), monkeypatch)
    made.output("mcp", "start")
    yield made
    made.output("mcp", "stop")
