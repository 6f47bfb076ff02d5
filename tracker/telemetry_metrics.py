"""What Prometheus scrapes of a server's requests and of the spool beside it."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from tracker.client.spool_census import take_census

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client import Metric

    from tracker.web.traffic import Distribution, Traffic


def traffic_metrics(traffic: Traffic) -> Iterator[Metric]:
    """The metrics of requests, by the templates of their routes: never by what somebody asked."""
    requests = CounterMetricFamily(
        "session_buddy_http_requests_total",
        "Requests since the server started, by route, method and status",
        labels=["route", "method", "status"],
    )
    durations = HistogramMetricFamily(
        "session_buddy_http_request_duration_seconds",
        "How long requests took since the server started",
        labels=["route", "method"],
    )
    for (method, route), answers in sorted(traffic.answers().items()):
        for status, count in sorted(answers.statuses.items()):
            requests.add_metric([route, method, str(status)], count)
        durations.add_metric([route, method], buckets_of(answers.seconds), answers.seconds.total)
    yield requests
    yield durations
    refused = CounterMetricFamily(
        "session_buddy_http_refused_total",
        "Requests that were refused since the server started, by reason",
        labels=["reason"],
    )
    for reason, count in traffic.refused().items():
        refused.add_metric([reason], count)
    yield refused


def batch_metrics(sizes: Distribution) -> Iterator[Metric]:
    """How large the batches are that senders send."""
    yield HistogramMetricFamily(
        "session_buddy_ingest_batch_events",
        "Events in a request of ingest since the server started",
        buckets=buckets_of(sizes),
        sum_value=sizes.total,
    )


def spool_metrics(folder: Path) -> Iterator[Metric]:
    """What waits in the spool of this machine; no sample when it cannot be looked at."""
    files = GaugeMetricFamily(
        "session_buddy_spool_files", "Spool files on this machine with events that wait"
    )
    size = GaugeMetricFamily(
        "session_buddy_spool_size_bytes", "Size of the events that wait in the spool"
    )
    events = GaugeMetricFamily(
        "session_buddy_spool_events",
        "Events that wait in the spool: counted when few, else reckoned from their size",
    )
    oldest = GaugeMetricFamily(
        "session_buddy_spool_oldest_event_timestamp_seconds",
        "When the oldest event happened that waits in the spool; no sample when none waits",
    )
    rejected = GaugeMetricFamily(
        "session_buddy_spool_rejected_lines",
        "Lines of the spool that were set aside because no tracker will take them",
    )
    try:
        census = take_census(folder)
    except OSError:
        pass  # a family without a sample says that there is no answer
    else:
        files.add_metric([], census.files)
        size.add_metric([], census.size)
        events.add_metric([], census.events)
        if census.oldest is not None:
            oldest.add_metric([], census.oldest.timestamp())
        rejected.add_metric([], census.rejected)
    yield from (files, size, events, oldest, rejected)


def buckets_of(values: Distribution) -> list[tuple[str, float]]:
    """The cumulative buckets of a histogram."""
    bounds = [*(f"{float(bound)}" for bound in values.bounds), "+Inf"]
    return list(zip(bounds, accumulate(values.counts), strict=True))
