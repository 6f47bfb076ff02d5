"""How many requests were not let in, for Prometheus. Knows no token and nobody who showed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric


class RefusalCollector(Collector):
    """The counter of refused requests.

    Args:
        refused: how many since the start, for each reason; ``tracker.web.auth.Guard.refused``.
    """

    def __init__(self, refused: Callable[[], Mapping[str, int]]) -> None:
        self._refused = refused

    def collect(self) -> Iterator[Metric]:
        """The counter, with a sample for each reason from the start."""
        counter = CounterMetricFamily(
            "session_buddy_auth_failures_total",
            "Requests that were refused for their token since the server started",
            labels=["reason"],
        )
        for reason, value in self._refused().items():
            counter.add_metric([reason], value)
        yield counter
