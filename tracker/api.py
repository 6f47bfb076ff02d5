"""The routes of the tracker: what a request asks, and how the service's answer looks in HTTP.

Every answer comes from ``tracker.sessions``; what is decided here is only what HTTP needs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import Busy, InvalidInput
from schemas.health import Probe
from schemas.session import IngestAnswer
from tracker.access_metrics import RefusalCollector
from tracker.batches import read_events
from tracker.metrics import registry_for
from tracker.session_parameters import (
    EVENT_PARAMETERS,
    SESSION_PARAMETERS,
    event_filter,
    session_filter,
)
from tracker.store.probes import DATABASE, TRACKING
from tracker.web.app import from_loopback, require
from tracker.web.errors import Refused, read_json
from tracker.web.identity import Identity, health_answer
from tracker.web.parameters import json_answer, read_number, read_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from tracker.sessions import SessionService

NAME = "Session-Buddy MCP server"
ESSENTIAL = frozenset({NAME, DATABASE, TRACKING})
"""Without these the server is of no use, and ``/health`` answers 503."""

LARGE_BODY = 100_000
"""Bytes from which a body is read in a thread, so that other requests need not wait for it."""


class Api:
    """The routes over one service. Plain methods block, so Starlette runs them in threads.

    Args:
        service: the sessions.
        identity: this server.
    """

    def __init__(self, service: SessionService, identity: Identity) -> None:
        self._service = service
        self._identity = identity
        self._registry = registry_for(service, identity)

    def count_refusals(self, refused: Callable[[], Mapping[str, int]]) -> None:
        """Show in the metrics how many requests the guard has refused."""
        self._registry.register(RefusalCollector(refused))

    def routes(self) -> list[Route]:
        """Paths and what answers them."""
        return [
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/api/v1/events", self.ingest, methods=["POST"]),
            Route("/api/v1/events", self.newest_events),
            Route("/api/v1/sessions", self.sessions),
            Route("/api/v1/sessions/{session_id}", self.session),
            Route("/api/v1/sessions/{session_id}/events", self.events),
            Route("/api/v1/analytics/sessions", self.analytics),
            Route("/api/v1/backups", self.backup, methods=["POST"]),
        ]

    def health(self, _: Request) -> Response:
        """What this server finds when it looks at itself; needs no token."""
        found = self._service.probes()
        works = all(probe.ok is not False for probe in found if probe.name in ESSENTIAL)
        server = Probe(NAME, ok=works, value="healthy" if works else "unhealthy")
        return health_answer(self._identity.health([server, *found], ESSENTIAL))

    def metrics(self, request: Request) -> Response:
        """The metrics as text; from this machine no token is needed."""
        if not from_loopback(request):
            require(request, "metrics", "read")
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"Content-Type": content_type})

    async def ingest(self, request: Request) -> Response:
        """Store a batch of events; answered when they are on disk."""
        require(request, "ingest")
        body, content_type = await request.body(), request.headers.get("content-type", "")
        try:
            if len(body) < LARGE_BODY:
                events = read_events(body, content_type)
            else:
                events = await run_in_threadpool(read_events, body, content_type)
            if not events:
                return json_answer(IngestAnswer(accepted=0, duplicates=0))
            stored = self._service.ingest(events)
        except InvalidInput as error:
            raise Refused(422, error.message, hint=error.hint) from None
        except Busy as error:
            again = {"Retry-After": "1"}
            raise Refused(429, error.message, hint=error.hint, headers=again) from None
        return json_answer(await asyncio.wrap_future(stored))

    def sessions(self, request: Request) -> Response:
        """Sessions, newest first."""
        require(request, "read")
        query = read_query(request, SESSION_PARAMETERS | {"limit", "offset", "cursor"})
        page = self._service.list_sessions(
            session_filter(query),
            limit=read_number(query, "limit", 100),
            offset=read_number(query, "offset", 0),
            cursor=query.get("cursor", ""),
        )
        return json_answer({"sessions": page.sessions, "total": page.total, "next": page.next})

    def session(self, request: Request) -> Response:
        """One session."""
        require(request, "read")
        read_query(request, ())
        return json_answer(self._service.get_session(request.path_params["session_id"]))

    def events(self, request: Request) -> Response:
        """The events of a session in the order of their times."""
        require(request, "read")
        query = read_query(request, {"limit", "after"})
        page = self._service.list_events(
            request.path_params["session_id"],
            limit=read_number(query, "limit", 100),
            after=query.get("after", ""),
        )
        return json_answer({"events": page.events, "next": page.next})

    def newest_events(self, request: Request) -> Response:
        """Events of all sessions, newest first."""
        require(request, "read")
        query = read_query(request, EVENT_PARAMETERS | {"limit", "cursor"})
        page = self._service.newest_events(
            event_filter(query),
            limit=read_number(query, "limit", 100),
            cursor=query.get("cursor", ""),
        )
        return json_answer({"events": page.events, "next": page.next})

    def analytics(self, request: Request) -> Response:
        """Numbers over the sessions of a range that ends now."""
        require(request, "read")
        query = read_query(request, {"range", "zone"})
        found = self._service.analytics(query.get("range", "7d"), zone=query.get("zone", "UTC"))
        return json_answer(found)

    async def backup(self, request: Request) -> Response:
        """Make a backup; answered with its manifest when it is whole."""
        require(request, "operate")
        wanted = await read_json(request) if await request.body() else None
        wanted = {} if wanted is None else wanted
        if not isinstance(wanted, dict) or not wanted.keys() <= {"directory", "reason"}:
            raise InvalidInput("the body is an object with 'directory' and 'reason', or nothing")
        if not all(isinstance(value, str) for value in wanted.values()):
            raise InvalidInput("'directory' and 'reason' are texts")
        manifest = await run_in_threadpool(
            self._service.backup,
            wanted.get("directory") or None,
            reason=wanted.get("reason") or "requested",
        )
        return json_answer(manifest.as_dict())
