"""A host to try tasks on: this machine, with a deployment's folders below a temporary one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator.engine.connect import local_context
from orchestrator.redact import SecretRegistry
from orchestrator.tasks.catalogue import task_named
from orchestrator.tasks.scope import Scope, attach, base_variables, local_facts, scope
from schemas.places import Places
from schemas.settings import Settings


class Bench:
    """Runs tasks by name in one scope.

    Spaces and other hazards are in every path, because a home folder may have them.
    """

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        self.places = Places(root / "ho me", root / "tra cker's")
        self.settings = Settings.load(self.places, environ)
        host = dataclasses.replace(local_facts(self.places), home=root)
        self.context = local_context()
        self.scope = Scope(
            check=False,
            host=host,
            places=self.places,
            settings=self.settings,
            variables=base_variables(host, self.settings, {}),
            saved=root / "sa ved",
            secrets=SecretRegistry(),
            run_id="test-run",
        )
        attach(self.context, self.scope)

    def __call__(self, name, /, **arguments):
        return task_named(name).body(self.context, **arguments)

    def checked(self, name, /, **arguments):
        """What the task says in check mode."""
        scope(self.context).check = True
        try:
            return self(name, **arguments)
        finally:
            scope(self.context).check = False

    def undo(self, outcome):
        """Replay what the outcome recorded, newest first, as a rollback does."""
        for inverse in reversed(outcome.undo):
            self(inverse.task, **inverse.arguments)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, {"HOME": str(tmp_path)})


@pytest.fixture
def bench_with(tmp_path):
    """A bench with settings of its own, by the names of their variables."""
    return lambda **environ: Bench(tmp_path, {"HOME": str(tmp_path), **environ})
