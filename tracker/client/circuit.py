"""A circuit breaker: after repeated failures it waits, then lets one attempt through to see.

Pure: it is told what time it is.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half-open"]


class Circuit:
    """Decides when the next attempt may be made.

    Args:
        threshold: failures in a row that open it.
        shortest: seconds that it stays open the first time; doubled each time after.
        longest: seconds that it stays open at the most.
    """

    def __init__(self, threshold: int = 3, shortest: float = 5.0, longest: float = 60.0) -> None:
        self._threshold = threshold
        self._shortest = shortest
        self._longest = longest
        self._failures = 0
        self._opened_at = 0.0

    def state(self, now: float) -> State:
        """Closed: go on. Half-open: one attempt. Open: wait."""
        if self._failures < self._threshold:
            return "closed"
        return "half-open" if now >= self.next_attempt else "open"

    @property
    def next_attempt(self) -> float:
        """When the next attempt may be made, on the clock that failures were told in."""
        if self._failures < self._threshold:
            return self._opened_at
        wait = self._shortest * 2.0 ** min(self._failures - self._threshold, 30)
        return self._opened_at + min(wait, self._longest)

    def succeeded(self) -> None:
        """An attempt succeeded."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """An attempt failed."""
        self._failures += 1
        self._opened_at = now
