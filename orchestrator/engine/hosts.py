"""How the hosts of a run stand, and whether so many have failed that the run is over.

Knows names and numbers, not steps. Called from the threads of all hosts.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from schemas.run import HostOutcome


class Hosts:
    """The hosts that take part.

    Args:
        names: those that answered, in order.
        missing: those that did not.
        percentage: of all of them, how many may fail or be unreachable.
    """

    def __init__(self, names: Iterable[str], missing: Iterable[str], percentage: float) -> None:
        self._names = list(names)
        self._missing = list(missing)
        self._allowed = (len(self._names) + len(self._missing)) * percentage / 100
        self._begun: set[str] = set()
        self._finished: set[str] = set()
        self._failed: set[str] = set()
        self._lost: set[str] = set(self._missing)
        self._undone: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, name: str) -> None:
        """A host comes to its steps."""
        with self._lock:
            self._begun.add(name)

    def finish(self, name: str) -> None:
        """A host has done all its steps."""
        with self._lock:
            self._finished.add(name)

    def fail(self, name: str, *, unreachable: bool) -> bool:
        """A host failed or was lost. Whether those are too many by now."""
        with self._lock:
            (self._lost if unreachable else self._failed).add(name)
        return self.too_many

    def undone(self, name: str) -> None:
        """What a host changed was taken back."""
        with self._lock:
            self._undone.add(name)

    def goes_on(self, name: str) -> bool:
        """Whether a host still does steps."""
        return name not in self._failed | self._lost

    def is_lost(self, name: str) -> bool:
        """Whether a host became unreachable."""
        return name in self._lost

    @property
    def any_failed(self) -> bool:
        """Whether any host failed or is unreachable."""
        return bool(self._failed or self._lost)

    @property
    def too_many(self) -> bool:
        """Whether more have failed or are unreachable than may."""
        return len(self._failed | self._lost) > self._allowed

    @property
    def any_left(self) -> bool:
        """Whether a host is left that does steps."""
        return any(self.goes_on(name) for name in self._names)

    def outcomes(self, changed: Collection[str]) -> dict[str, HostOutcome]:
        """How each came out of the run.

        Args:
            changed: those on which a step changed something.
        """
        return {name: self._outcome(name, changed) for name in (*self._names, *self._missing)}

    def _outcome(self, name: str, changed: Collection[str]) -> HostOutcome:
        if name in self._lost:
            return "unreachable"
        if name in self._failed:
            return "failed"
        if name not in self._begun:
            return "skipped"
        if name not in self._finished or name in self._undone:
            return "cancelled"
        return "changed" if name in changed else "ok"
