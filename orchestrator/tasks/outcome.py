"""What a task answers. Holds data only and knows nothing of runs, hosts or runbooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.tasks import Task

_Body = TypeVar("_Body", bound="Callable[..., Any]")
Effect = Literal["nothing", "undone", "lasting", "unknown"]
"""What a task does to its host: changes nothing; changes it and records what takes that back;
changes it and records nothing; or does not say, being an ordinary Invoke task."""


@dataclass(frozen=True)
class Inverse:
    """A task call that puts something back.

    The journal keeps it, so it must be JSON and must never hold a secret: content that is to be put
    back is saved in ``scope(c).saved`` and named here by its path.

    Args:
        task: the task's full name, such as ``files.restore``.
        arguments: its arguments by name.
    """

    task: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As a step writes it: ``{"task": ..., "with": ...}``."""
        return {"task": self.task, "with": self.arguments}


@dataclass(frozen=True)
class Outcome:
    """The result of a task that did what its step says; a task that could not raises instead.

    Args:
        changed: whether anything on the host is different now (in check mode: would be).
        message: one short line for a person: ``unchanged``, ``wrote 14 lines``.
        diff: a unified diff or a few short lines; no secrets.
        outputs: JSON-able values, ``steps.<id>.outputs`` in expressions.
        undo: what puts it back, oldest first; replayed newest first.
    """

    changed: bool = False
    message: str = ""
    diff: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    undo: tuple[Inverse, ...] = ()


def promises_outcome(task: Task[Any]) -> bool:
    """Whether a task says that it answers an Outcome: it keeps still in check mode, and undoes."""
    annotation = task.body.__annotations__.get("return")
    return annotation is Outcome or str(annotation).rpartition(".")[2] == "Outcome"


def changes_nothing(body: _Body) -> _Body:
    """Say below ``@task`` that the task only looks; its steps need no ``undo:``."""
    body.effect = "nothing"  # type: ignore[attr-defined]
    return body


def records_no_undo(body: _Body) -> _Body:
    """Say below ``@task`` that what the task changes stays; its steps must say ``undo:``."""
    body.effect = "lasting"  # type: ignore[attr-defined]
    return body


def effect_of(task: Task[Any]) -> Effect:
    """What a task says of itself; one that answers an Outcome undoes unless it says otherwise."""
    said: Effect | None = getattr(task.body, "effect", None)
    return said or ("undone" if promises_outcome(task) else "unknown")


class PartlyDone(StepFailed):
    """A task failed after it had changed something; the outcome says what takes that back."""

    def __init__(self, message: str, outcome: Outcome, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.outcome = outcome
