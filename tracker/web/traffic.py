"""What a server was asked and how it answered, counted since it started. Knows no metric's name.

A gate notes each request from the event loop; whoever reads takes a copy from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds in seconds: from one event on an idle server to a backup."""

NO_ROUTE = "none"
"""Stands for every path that no route answers, so that a scanner cannot make a label a path."""

REASONS: Mapping[int, str] = {
    400: "invalid",
    401: "no_token",
    403: "forbidden",
    413: "too_large",
    421: "foreign_host",
    422: "invalid",
    423: "busy",
    429: "too_many",
    507: "disk_full",
}
"""What a status says of why a request was refused; 404 and 405 are answers, not refusals."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Distribution:
    """How many values fell into each bucket (the last one has no bound), and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Note a value. Not for several threads."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Answers:
    """The answers of one route to one method: how many of each status, and how long they took."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: Distribution = field(default_factory=lambda: Distribution(BOUNDS))


class Traffic:
    """The requests of one server."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answers] = {}

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request.

        Args:
            method: as the client sent it.
            route: the template of the route, as ``/api/v1/sessions/{session_id}``; empty: none.
            status: of the answer.
            seconds: until the answer was sent.
        """
        key = (method, route)
        found = self._answers.get(key)
        if found is None:
            found = self._of(method, route)
        found.statuses[status] = found.statuses.get(status, 0) + 1
        found.seconds.add(seconds)

    def answers(self) -> dict[tuple[str, str], Answers]:
        """What was counted, by method and route."""
        # dict.copy() and list() of a list are single steps for other threads.
        return {
            key: Answers(
                each.statuses.copy(),
                Distribution(BOUNDS, list(each.seconds.counts), each.seconds.total),
            )
            for key, each in self._answers.copy().items()
        }

    def refused(self) -> dict[str, int]:
        """Requests that were refused, by reason; a reason that never was has 0."""
        counts = dict.fromkeys(REASONS.values(), 0)
        for each in self._answers.copy().values():
            for status, count in each.statuses.copy().items():
                if status in REASONS:
                    counts[REASONS[status]] += count
        return counts

    def _of(self, method: str, route: str) -> Answers:
        key = (method if method in _METHODS else "other", route or NO_ROUTE)
        return self._answers.setdefault(key, Answers())
