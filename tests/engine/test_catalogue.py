"""The tasks by name: this project's and those of a folder of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator.tasks
from orchestrator.tasks.catalogue import (
    COLLECTIONS,
    Catalogue,
    collection,
    parameters_of,
    task_named,
)
from orchestrator.tasks.outcome import Outcome
from schemas.errors import InvalidInput, NotFound


def test_every_module_with_tasks_is_a_collection():
    folder = Path(orchestrator.tasks.__path__[0])
    with_tasks = {file.stem for file in folder.glob("*.py") if "\n@task" in file.read_text()}
    assert with_tasks == set(COLLECTIONS)


@pytest.mark.parametrize("name", Catalogue().names())
def test_every_task_says_what_it_does_and_promises_an_outcome(name):
    task = task_named(name)
    assert task.__doc__, "invoke --list shows the first line"
    assert task.body.__annotations__["return"] in ("Outcome", Outcome), "or check mode skips it"
    assert all(one.annotation is not one.empty for one in parameters_of(task).values())


def test_the_namespace_holds_every_task():
    root = collection()
    assert {name.replace("-", "_") for name in root.task_names} == set(Catalogue().names())


def test_a_folder_of_ones_own_adds_collections(ops):
    own = Catalogue([ops.folder / "tasks"])
    assert "trial.put" in own.names()
    assert list(parameters_of(own.task_named("trial.put"))) == ["path", "text", "mode"]
    with pytest.raises(NotFound) as missing:
        own.task_named("trial.putt")
    assert missing.value.hint == "did you mean trial.put?"


def test_a_collection_of_this_project_cannot_be_replaced(ops):
    (ops.folder / "tasks" / "config.py").write_text("")
    with pytest.raises(InvalidInput, match="this project's own"):
        Catalogue([ops.folder / "tasks"])
