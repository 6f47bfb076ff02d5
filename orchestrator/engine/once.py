"""Steps that are done once for all hosts of a run: one host does them, the others wait and see.

Knows hosts and results by name, not steps.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestrator.tasks.halt import LOOK, raise_if_halted

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.engine.results import StepResult


class Once:
    """The results of such steps, kept for the whole run: a later batch sees them too."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[str, StepResult]] = {}
        self._doing: set[str] = set()
        self._gone: set[str] = set()
        self._changed = threading.Condition()

    def result(
        self,
        step: str,
        host: str,
        leader: str,
        do: Callable[[], StepResult],
        look: Callable[[], None],
    ) -> tuple[str, StepResult]:
        """Who did the step, and its result; done by this call when it is this host's turn.

        Args:
            step: its full id.
            host: who asks.
            leader: the host that is planned to do it; another does it only when that one is gone.
            do: does it.
            look: called while waiting; raises when the wait is to end.
        """
        with self._changed:
            while step not in self._results:
                turn = host == leader or leader in self._gone
                if turn and step not in self._doing:
                    break
                raise_if_halted()
                look()
                self._changed.wait(LOOK)
            else:
                return self._results[step]
            self._doing.add(step)
        try:
            done = (host, do())
        except BaseException:
            with self._changed:
                self._doing.discard(step)
                self._changed.notify_all()
            raise
        with self._changed:
            self._results[step] = done
            self._changed.notify_all()
        return done

    def leave(self, host: str) -> None:
        """This host does no more steps; nobody waits for it any longer."""
        with self._changed:
            self._gone.add(host)
            self._changed.notify_all()
