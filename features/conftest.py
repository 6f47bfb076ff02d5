"""Steps that several features share: run a command, look at what it printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from pytest_bdd import parsers, then, when

from features.deployment import Deployment, Finished


@dataclass
class Scene:
    """What the steps of one scenario hand on to each other."""

    finished: Finished | None = None
    session_id: str = ""
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def last(self) -> Finished:
        """The command that ran last."""
        assert self.finished is not None, "no command was run yet"
        return self.finished


@pytest.fixture
def scene() -> Scene:
    """A fresh scene a scenario."""
    return Scene()


@when(parsers.parse('I run "{command}"'))
def run_command(deployment: Deployment, scene: Scene, command: str) -> None:
    scene.finished = deployment.run(command)


@then("it succeeds")
def succeeds(scene: Scene) -> None:
    assert scene.last.exit_code == 0, scene.last


@then(parsers.parse("it fails with exit code {code:d}"))
def fails(scene: Scene, code: int) -> None:
    assert scene.last.exit_code == code, scene.last


@then(parsers.re(r'the output has the line "(?P<line>.+)"$'))
def has_line(scene: Scene, line: str) -> None:
    assert line in [each.strip() for each in scene.last.stdout.splitlines()], scene.last


@then(parsers.re(r'the output has a line that begins with "(?P<beginning>.+)"$'))
def has_beginning(scene: Scene, beginning: str) -> None:
    lines = [each.strip() for each in scene.last.stdout.splitlines()]
    assert any(line.startswith(beginning) for line in lines), scene.last


@then(parsers.re(r"the output shows (?P<wanted>\"[^\"]+\"(?:(?:, | and )\"[^\"]+\")*)$"))
def shows(scene: Scene, wanted: str) -> None:
    for text in re.findall(r'"([^"]+)"', wanted):
        assert text in scene.last.stdout, scene.last
