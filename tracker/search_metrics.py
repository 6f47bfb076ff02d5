"""What Prometheus scrapes of search: how long it takes, and how far its index has come."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

from tracker.search.latency import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from tracker.sessions import SessionService


def search_metrics(service: SessionService) -> Iterator[Metric]:
    """The metrics of search, as they are now."""
    durations = HistogramMetricFamily(
        "session_buddy_search_duration_seconds",
        "How long searches took that the server answered since it started",
        labels=["search_type"],
    )
    for search_type, taken in service.search_times().items():
        bounds = [*(f"{bound}" for bound in BOUNDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(taken.counts), strict=True))
        durations.add_metric([search_type], buckets, taken.seconds)
    yield durations
    progress = service.index_progress()
    waiting = GaugeMetricFamily(
        "session_buddy_search_index_waiting",
        "What the search index lacks: events to find by words, texts to find by meaning",
        labels=["of"],
    )
    waiting.add_metric(["events"], max(0, progress.events - progress.indexed))
    if progress.model:
        waiting.add_metric(["texts"], max(0, progress.texts - progress.embedded))
    yield waiting
