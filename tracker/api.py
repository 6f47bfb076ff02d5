"""The routes of the tracker: what a request asks, and how the service's answer looks in HTTP.

Every answer comes from ``tracker.sessions``; what is decided here is only what HTTP needs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import choose_encoder
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import Busy, InvalidInput
from schemas.health import Probe
from schemas.session import IngestAnswer
from tracker.batches import read_events
from tracker.metrics import registry_for
from tracker.search.probe import model_probe
from tracker.store.probes import DATABASE, TRACKING
from tracker.store.queries import SessionFilter
from tracker.web.app import from_loopback, require
from tracker.web.errors import Refused, read_json
from tracker.web.identity import Identity, health_answer

if TYPE_CHECKING:
    from collections.abc import Collection

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

    def routes(self) -> list[Route]:
        """Paths and what answers them."""
        return [
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/api/v1/events", self.ingest, methods=["POST"]),
            Route("/api/v1/sessions", self.sessions),
            Route("/api/v1/sessions/{session_id}", self.session),
            Route("/api/v1/sessions/{session_id}/events", self.events),
            Route("/api/v1/backups", self.backup, methods=["POST"]),
        ]

    def health(self, _: Request) -> Response:
        """What this server finds when it looks at itself; needs no token."""
        found = [*self._service.probes(), model_probe(self._service.settings)]
        works = all(probe.ok is not False for probe in found if probe.name in ESSENTIAL)
        server = Probe(NAME, ok=works, value="healthy" if works else "unhealthy")
        return health_answer(self._identity.health([server, *found], ESSENTIAL))

    def metrics(self, request: Request) -> Response:
        """The metrics as text; from this machine no token is needed."""
        if not from_loopback(request):
            require(request, "read")
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
                return _json(IngestAnswer(accepted=0, duplicates=0))
            stored = self._service.ingest(events)
        except InvalidInput as error:
            raise Refused(422, error.message, hint=error.hint) from None
        except Busy as error:
            again = {"Retry-After": "1"}
            raise Refused(429, error.message, hint=error.hint, headers=again) from None
        return _json(await asyncio.wrap_future(stored))

    def sessions(self, request: Request) -> Response:
        """Sessions, newest first."""
        require(request, "read")
        query = _query(request, {"type", "status", "component", "run_id", "limit", "offset"})
        wanted = SessionFilter(
            session_type=query.get("type", ""),
            status=query.get("status", ""),
            component=query.get("component", ""),
            run_id=query.get("run_id", ""),
        )
        page = self._service.list_sessions(
            wanted, limit=_number(query, "limit", 100), offset=_number(query, "offset", 0)
        )
        return _json({"sessions": page.sessions, "total": page.total})

    def session(self, request: Request) -> Response:
        """One session."""
        require(request, "read")
        _query(request, ())
        return _json(self._service.get_session(request.path_params["session_id"]))

    def events(self, request: Request) -> Response:
        """The events of a session in the order of their times."""
        require(request, "read")
        query = _query(request, {"limit", "after"})
        page = self._service.list_events(
            request.path_params["session_id"],
            limit=_number(query, "limit", 100),
            after=query.get("after", ""),
        )
        return _json({"events": page.events, "next": page.next})

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
        return _json(manifest.as_dict())


def _json(content: Any) -> Response:
    return Response(to_json(content) + b"\n", media_type="application/json")


def _query(request: Request, known: Collection[str]) -> dict[str, str]:
    """The query of a request; a misspelt filter must not quietly show everything."""
    unknown = sorted(request.query_params.keys() - set(known))
    if unknown:
        raise InvalidInput(
            f"unknown parameter {unknown[0]!r}", hint=f"known: {', '.join(sorted(known)) or 'none'}"
        )
    return dict(request.query_params)


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise InvalidInput(f"{name} is a whole number, not {text[:20]!r}")
    return int(text[:12])
