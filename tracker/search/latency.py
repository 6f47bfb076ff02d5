"""How long searches took, in the buckets of a histogram. Knows no metric's name."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds in seconds, around the 0.2 that the guide (4.3) allows."""


@dataclass(slots=True)
class Durations:
    """How many searches fell into each bucket (the last one has no bound), and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


class SearchTimes:
    """How long searches took, by their type. For several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_type: dict[str, Durations] = defaultdict(Durations)

    @contextmanager
    def measured(self, search_type: str) -> Iterator[None]:
        """Measure what runs inside; one that fails is not counted."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        with self._guard:
            taken = self._by_type[search_type]
            taken.counts[bisect_left(BOUNDS, seconds)] += 1
            taken.seconds += seconds

    def by_type(self) -> dict[str, Durations]:
        """A copy of what was measured since the server started."""
        with self._guard:
            return {
                kind: Durations([*taken.counts], taken.seconds)
                for kind, taken in self._by_type.items()
            }
