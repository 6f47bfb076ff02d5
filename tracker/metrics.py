"""What Prometheus scrapes (guide 5 and 10.4): computed from the store at each scrape.

The four metrics of the guide come from totals that are stored with the events themselves, so they
survive a restart, an archive and a deletion. Knows nothing of HTTP.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from tracker.search_metrics import search_metrics
from tracker.store.states import (
    ABANDONED,
    DURATION_BOUNDS,
    DURATION_BUCKET,
    DURATION_SUM,
    EVENTS_LOST,
    FAILED,
    OVERFLOW,
    SESSIONS,
)
from tracker.telemetry_metrics import batch_metrics, spool_metrics, traffic_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prometheus_client import Metric

    from tracker.sessions import SessionService
    from tracker.store.totals import Totals
    from tracker.web.identity import Identity
    from tracker.web.traffic import Distribution, Traffic


def registry_for(
    service: SessionService,
    identity: Identity,
    traffic: Traffic | None = None,
    batch_sizes: Distribution | None = None,
) -> CollectorRegistry:
    """The metrics of one tracker: of its sessions, of the server and of its process.

    Args:
        service: the sessions.
        identity: this server.
        traffic: the requests of this server; None: there are none.
        batch_sizes: events in each request of ingest; None: nobody notes them.
    """
    registry = CollectorRegistry()
    registry.register(_TrackerCollector(service, identity, traffic, batch_sizes))
    ProcessCollector(registry=registry)
    return registry


class _TrackerCollector(Collector):
    def __init__(
        self,
        service: SessionService,
        identity: Identity,
        traffic: Traffic | None,
        batch_sizes: Distribution | None,
    ) -> None:
        self._service = service
        self._identity = identity
        self._traffic = traffic
        self._batch_sizes = batch_sizes

    def describe(self) -> list[Metric]:
        return []  # nothing is computed until somebody scrapes

    def collect(self) -> Iterator[Metric]:
        totals = self._service.totals()
        yield from _session_metrics(totals)
        yield from _server_metrics(totals)
        yield from search_metrics(self._service)
        yield from spool_metrics(self._service.settings.places.spool)
        if self._traffic is not None:
            yield from traffic_metrics(self._traffic)
        if self._batch_sizes is not None:
            yield from batch_metrics(self._batch_sizes)
        yield _build_info(self._identity)


def _session_metrics(totals: Totals) -> Iterator[Metric]:
    stored = totals.stored
    created = CounterMetricFamily(
        "mahavishnu_sessions_total", "Total number of sessions", labels=["component"]
    )
    for (metric, component), value in stored.items():
        if metric == SESSIONS:
            created.add_metric([component], value)
    yield created
    yield GaugeMetricFamily(
        "mahavishnu_sessions_active",
        "Sessions that have started and neither ended nor gone silent",
        totals.by_status["active"],
    )
    yield CounterMetricFamily(
        "mahavishnu_sessions_failed_total",
        "Sessions that ended with a non-zero exit code or a crash",
        stored.get((FAILED, ""), 0),
    )
    yield CounterMetricFamily(
        "mahavishnu_sessions_abandoned_total",
        "Times that a session stopped sending checkpoints without an end",
        stored.get((ABANDONED, ""), 0),
    )
    yield _durations(stored)
    by_status = GaugeMetricFamily(
        "session_buddy_sessions",
        "Sessions in the store that are not archived, by status",
        labels=["status"],
    )
    for status, count in totals.by_status.items():
        by_status.add_metric([status], count)
    yield by_status


def _durations(stored: dict[tuple[str, str], float]) -> Metric:
    buckets, below = [], 0.0
    for bound in (*map(str, DURATION_BOUNDS), OVERFLOW):
        below += stored.get((DURATION_BUCKET, bound), 0)
        buckets.append((bound if bound == OVERFLOW else f"{float(bound)}", below))
    return HistogramMetricFamily(
        "mahavishnu_session_duration_seconds",
        "How long sessions lasted that have ended",
        buckets=buckets,
        sum_value=stored.get((DURATION_SUM, ""), 0),
    )


def _server_metrics(totals: Totals) -> Iterator[Metric]:
    ingest = totals.ingest
    events = CounterMetricFamily(
        "session_buddy_ingest_events_total",
        "Events received since the server started, by what became of them",
        labels=["outcome"],
    )
    for outcome, count in (
        ("accepted", ingest.accepted),
        ("duplicate", ingest.duplicates),
        ("failed", ingest.failed),
    ):
        events.add_metric([outcome], count)
    yield events
    yield CounterMetricFamily(
        "session_buddy_ingest_commits_total",
        "Transactions that stored events since the server started",
        ingest.commits,
    )
    yield CounterMetricFamily(
        "session_buddy_events_lost_total",
        "Events that senders had to drop, as they reported themselves",
        totals.stored.get((EVENTS_LOST, ""), 0),
    )
    yield GaugeMetricFamily(
        "session_buddy_ingest_waiting_bytes",
        "Memory taken by events that wait for the writer",
        totals.waiting_bytes,
    )
    yield GaugeMetricFamily(
        "session_buddy_database_size_bytes",
        "Size of the database file and its log",
        totals.database_bytes,
    )
    yield _moment(
        "session_buddy_last_successful_backup_timestamp_seconds",
        "When the newest backup was taken; no sample before the first",
        totals.last_backup,
    )
    yield _moment(
        "session_buddy_last_verified_backup_timestamp_seconds",
        "When the newest backup was proven whole: opened, read, unpacked; no sample before",
        totals.last_verified_backup,
    )


def _moment(name: str, help_text: str, moment: datetime | None) -> Metric:
    family = GaugeMetricFamily(name, help_text)
    if moment is not None:
        family.add_metric([], moment.timestamp())
    return family


def _build_info(identity: Identity) -> Metric:
    import duckdb

    labels = {
        "version": identity.version,
        "release": identity.release,
        "duckdb": duckdb.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    info = GaugeMetricFamily(
        "session_buddy_build_info", "Always 1; what runs is in the labels", labels=list(labels)
    )
    info.add_metric(list(labels.values()), 1)
    return info
