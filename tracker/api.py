"""The tracker's operations: what a request asks, and how the service's answer looks in HTTP.

Every answer comes from ``tracker.sessions``; what is decided here is only what HTTP needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from prometheus_client.exposition import choose_encoder
from pydantic import Field, StringConstraints
from starlette.responses import Response

from schemas.analytics import SessionAnalytics
from schemas.backup import Manifest
from schemas.health import Health, Probe
from schemas.session import (
    EventList,
    Message,
    Session,
    SessionList,
)
from tracker.access_metrics import RefusalCollector
from tracker.metrics import registry_for
from tracker.session_parameters import (
    EventPageParameters,
    EventsOfSessionParameters,
    OneSession,
    SessionPageParameters,
)
from tracker.store.probes import DATABASE, TRACKING
from tracker.web.identity import Identity, health_answer
from tracker.web.operations import Answer, Call, Operation, Sent
from tracker.web.parameters import Parameters, Span, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracker.sessions import SessionService
    from tracker.web.traffic import Distribution, Traffic

NAME = "Session-Buddy MCP server"
ESSENTIAL = frozenset({NAME, DATABASE, TRACKING})
"""Without these the server is of no use, and ``/health`` answers 503."""

_OPENMETRICS = "application/openmetrics-text"


class AnalyticsParameters(Parameters):
    """Which range of time."""

    range: Annotated[Span, Field(description="how long it is; it ends now")] = "7d"
    zone: Annotated[
        Word, Field(description="time zone of days and hours", examples=["Europe/Berlin"])
    ] = "UTC"


class BackupRequest(Message):
    """Where a backup goes, and why it is made."""

    directory: Annotated[str, StringConstraints(pattern=r"^/[^\x00]*$", max_length=4000)] | None = (
        Field(None, description="an absolute path; none: the tracker's own backup folder")
    )
    reason: Annotated[str, StringConstraints(max_length=500)] = Field(
        "requested", description="for its manifest"
    )


class Api:
    """The operations over one service. Plain methods block, so they run in threads.

    Args:
        service: the sessions.
        identity: this server.
        traffic: counts its requests.
        batch_sizes: events in requests of ingest.
    """

    def __init__(
        self,
        service: SessionService,
        identity: Identity,
        traffic: Traffic | None = None,
        batch_sizes: Distribution | None = None,
    ) -> None:
        self._service = service
        self._identity = identity
        self._registry = registry_for(service, identity, traffic, batch_sizes)

    def count_refusals(self, refused: Callable[[], Mapping[str, int]]) -> None:
        """Show in the metrics how many requests the guard has refused."""
        self._registry.register(RefusalCollector(refused))

    def operations(self) -> list[Operation]:
        """What can be asked."""
        return [
            Operation(
                method="GET",
                path="/health",
                handler=self.health,
                scopes=(),
                query=None,
                answer=Answer("it works", Health),
                others={503: Answer("it does not work: an essential probe failed", Health)},
            ),
            Operation(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                scopes=("metrics", "read"),
                open_on_loopback=True,
                query=None,
                answer=Answer("the metrics", media=("text/plain", _OPENMETRICS)),
            ),
            Operation(
                method="GET",
                path="/api/v1/events",
                handler=self.newest_events,
                scopes=("read",),
                query=EventPageParameters,
                answer=Answer("a page of them", EventList),
            ),
            Operation(
                method="GET",
                path="/api/v1/sessions",
                handler=self.list_sessions,
                scopes=("read",),
                query=SessionPageParameters,
                answer=Answer("a page of them", SessionList),
            ),
            Operation(
                method="GET",
                path="/api/v1/sessions/{session_id}",
                handler=self.get_session,
                scopes=("read",),
                parts=OneSession,
                answer=Answer("the session", Session),
            ),
            Operation(
                method="GET",
                path="/api/v1/sessions/{session_id}/events",
                handler=self.list_events,
                scopes=("read",),
                parts=OneSession,
                query=EventsOfSessionParameters,
                answer=Answer("a page of them", EventList),
            ),
            Operation(
                method="GET",
                path="/api/v1/analytics/sessions",
                handler=self.analytics,
                scopes=("read",),
                query=AnalyticsParameters,
                answer=Answer("the numbers", SessionAnalytics),
            ),
            Operation(
                method="POST",
                path="/api/v1/backups",
                handler=self.back_up,
                scopes=("operate",),
                body=Sent(BackupRequest, required=False, example={"reason": "before the upgrade"}),
                answer=Answer("its manifest", Manifest),
                refusals=(423, 507),
            ),
        ]

    def found(self) -> Health:
        """What this server finds when it looks at itself."""
        found = self._service.probes()
        works = all(probe.ok is not False for probe in found if probe.name in ESSENTIAL)
        server = Probe(NAME, ok=works, value="healthy" if works else "unhealthy")
        return self._identity.health([server, *found], ESSENTIAL)

    def health(self, _: Call[None, None]) -> Response:
        """Whether this server works, and which release and configuration it runs."""
        return health_answer(self.found())

    def metrics(self, call: Call[None, None]) -> Response:
        """The metrics as Prometheus reads them."""
        encode, content_type = choose_encoder(call.request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"Content-Type": content_type})

    def list_sessions(self, call: Call[SessionPageParameters, None]) -> SessionList:
        """Sessions, newest first."""
        asked = call.query
        page = self._service.list_sessions(
            asked.filter(), limit=asked.limit, offset=asked.offset, cursor=asked.cursor
        )
        return SessionList(sessions=page.sessions, total=page.total, next=page.next)

    def get_session(self, call: Call[Any, None]) -> Session:
        """One session."""
        return self._service.get_session(call.path("session_id"))

    def list_events(self, call: Call[EventsOfSessionParameters, None]) -> EventList:
        """The events of a session in the order of their times."""
        page = self._service.list_events(
            call.path("session_id"), limit=call.query.limit, after=call.query.after
        )
        return EventList(events=page.events, next=page.next)

    def newest_events(self, call: Call[EventPageParameters, None]) -> EventList:
        """Events of all sessions, newest first."""
        asked = call.query
        page = self._service.newest_events(asked.filter(), limit=asked.limit, cursor=asked.cursor)
        return EventList(events=page.events, next=page.next)

    def analytics(self, call: Call[AnalyticsParameters, None]) -> SessionAnalytics:
        """Numbers over the sessions of a range that ends now."""
        return self._service.analytics(call.query.range, zone=call.query.zone)

    def back_up(self, call: Call[Any, BackupRequest]) -> Manifest:
        """Make a backup; answered with its manifest when it is whole."""
        wanted = call.body
        return self._service.backup(wanted.directory, reason=wanted.reason)
