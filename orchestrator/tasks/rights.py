"""Whether a task may do what only root may: told before it is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from invoke.context import Context


def acts_as_root(c: Context) -> bool:
    """Whether the commands of this step run as root."""
    here = scope(c)
    return here.host.is_root or here.sudo


def need_root(c: Context, what: str) -> None:
    """See that the commands of this step run as root.

    Args:
        c: the task's Context or Connection.
        what: what needs it, such as ``installing packages``.

    Raises:
        StepFailed: they run as another user.
    """
    if not acts_as_root(c):
        raise StepFailed(
            f"{what} needs root, and {scope(c).host.user} is not",
            where=scope(c).host.name,
            hint="write sudo: true on the step",
        )
