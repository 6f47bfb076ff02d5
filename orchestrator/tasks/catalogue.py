"""The tasks by their full names, each module imported when one of its tasks is asked for.

Knows names and signatures, not what tasks do. A folder of the user's own with Python files of
Invoke tasks adds collections to it.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from invoke.collection import Collection
    from invoke.tasks import Task

COLLECTIONS: tuple[str, ...] = (
    "acceptance",
    "archive",
    "check",
    "commands",
    "config",
    "database",
    "files",
    "git",
    "http",
    "model",
    "notify",
    "packages",
    "port",
    "process",
    "program",
    "release",
    "schedule",
    "secret",
    "service",
    "systemd",
    "users",
)
"""One module ``orchestrator/tasks/<name>.py`` each; a dash in a collection is ``_`` in its file."""


class Catalogue:
    """The tasks of this project, and those in folders of the user's own.

    Args:
        folders: folders with Python files of Invoke tasks, one collection a file. They may not
            redefine a collection of this project.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._files = {
            file.stem: file
            for folder in folders
            for file in sorted(folder.glob("*.py"))
            if not file.stem.startswith("_")
        }
        self._tasks: dict[str, dict[str, Task[Any]]] = {}
        for name, file in self._files.items():
            if name in COLLECTIONS:
                raise InvalidInput(
                    f"the collection {name!r} is this project's own",
                    where=str(file),
                    hint="give the file another name",
                )

    def collections(self) -> list[str]:
        """The collections' names, sorted."""
        return sorted({*COLLECTIONS, *self._files})

    def tasks_of(self, collection: str) -> dict[str, Task[Any]]:
        """The tasks of one collection by their short names.

        Raises:
            NotFound: there is no such collection.
        """
        if collection not in self._tasks:
            if collection not in COLLECTIONS and collection not in self._files:
                raise NotFound(f"there is no collection of tasks {collection!r}")
            self._tasks[collection] = _tasks_in(self._module(collection))
        return self._tasks[collection]

    def task_named(self, name: str) -> Task[Any]:
        """The task with this full name, such as ``config.render``.

        Raises:
            NotFound: there is none; the hint names the nearest.
        """
        collection, _, short = name.partition(".")
        if collection in self.collections():
            task = self.tasks_of(collection).get(short)
            if task is not None:
                return task
        raise NotFound(f"there is no task {name!r}", hint=self._nearest(name))

    def names(self) -> list[str]:
        """Every task's full name, sorted. Imports every module."""
        return sorted(
            f"{collection}.{short}"
            for collection in self.collections()
            for short in self.tasks_of(collection)
        )

    def collection(self) -> Collection:
        """Everything as one Invoke namespace."""
        from invoke.collection import Collection

        root = Collection()
        for name in self.collections():
            below = Collection(name)
            for short, task in self.tasks_of(name).items():
                below.add_task(task, name=short)
            root.add_collection(below)
        return root

    def _module(self, collection: str) -> ModuleType:
        file = self._files.get(collection)
        if file is None:
            return importlib.import_module(f"orchestrator.tasks.{collection}")
        name = f"sessionops_tasks_{collection}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise InvalidInput("this is not a Python file", where=str(file))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.5)
        if near:
            return f"did you mean {near[0]}?"
        collection = name.partition(".")[0]
        if collection in self.collections():
            shorts = ", ".join(sorted(self.tasks_of(collection)))
            return f"{collection} has {shorts}"
        return f"the collections are {', '.join(self.collections())}"


def parameters_of(task: Task[Any]) -> dict[str, inspect.Parameter]:
    """A task's own parameters by name, without the Context."""
    return dict(list(inspect.signature(task.body).parameters.items())[1:])


_own = Catalogue()


def task_named(name: str) -> Task[Any]:
    """The task of this project with this full name.

    Raises:
        NotFound: there is none; the hint names the nearest.
    """
    return _own.task_named(name)


def names() -> list[str]:
    """The full names of this project's tasks, sorted."""
    return _own.names()


def collection() -> Collection:
    """This project's tasks as one Invoke namespace."""
    return _own.collection()


def _tasks_in(module: ModuleType) -> dict[str, Task[Any]]:
    from invoke.tasks import Task

    return {
        value.name.replace("-", "_"): value
        for value in vars(module).values()
        if isinstance(value, Task) and value.body.__module__ == module.__name__
    }
