"""The routes of archive, deletion, export and database: the service's answers in HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from schemas.errors import InvalidInput, NotFound
from tracker.session_parameters import SESSION_PARAMETERS, events_of_sessions, session_filter
from tracker.store.export import FORMATS
from tracker.web.app import require
from tracker.web.errors import read_json
from tracker.web.parameters import json_answer, read_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from tracker.maintenance import Maintenance

_MEDIA = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
ROWS = 1_000
SECONDS = 10


class MaintenanceApi:
    """The routes. Plain methods block, so Starlette runs them in threads.

    Args:
        maintenance: the part of the service layer that they ask.
    """

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance

    def routes(self) -> list[Route]:
        """Paths and what answers them."""
        return [
            Route("/api/v1/archive", self.archive, methods=["POST"]),
            Route("/api/v1/prune", self.prune, methods=["POST"]),
            Route("/api/v1/sessions/{session_id}", self.delete, methods=["DELETE"]),
            Route("/api/v1/export/{what}", self.export),
            Route("/api/v1/database", self.inspect),
            Route("/api/v1/database/check", self.check, methods=["POST"]),
            Route("/api/v1/database/compact", self.compact, methods=["POST"]),
            Route("/api/v1/database/query", self.query, methods=["POST"]),
        ]

    async def archive(self, request: Request) -> Response:
        """Move old sessions into the archive, or count them."""
        require(request, "operate")
        body = await _body(request, {"days": int, "dry_run": bool}, {"days"})
        dry_run = body.get("dry_run", False)
        return json_answer(
            await run_in_threadpool(self._maintenance.archive, body["days"], dry_run=dry_run)
        )

    def delete(self, request: Request) -> Response:
        """Delete a session for good."""
        claims = require(request, "admin")
        read_query(request, ())
        session_id = request.path_params["session_id"]
        return json_answer(self._maintenance.delete_session(session_id, actor=claims.subject))

    async def prune(self, request: Request) -> Response:
        """Mask in some of what is stored what looks like a secret, or count it."""
        claims = require(request, "admin")
        body = await _body(request, {"apply": bool, "after": str}, {"apply"})
        answer = await run_in_threadpool(
            self._maintenance.prune,
            apply=body["apply"],
            after=body.get("after", ""),
            actor=claims.subject,
        )
        return json_answer(answer)

    def export(self, request: Request) -> Response:
        """Sessions, or the events of sessions, as a file, sent while it is read."""
        require(request, "read")
        query = read_query(request, SESSION_PARAMETERS | {"format"})
        form = next((form for form in FORMATS if form == query.get("format", "jsonl")), None)
        if form is None:
            raise InvalidInput(f"format is one of {', '.join(FORMATS)}")
        query.pop("format", None)
        what = request.path_params["what"]
        if what == "sessions":
            pieces = self._maintenance.export_sessions(session_filter(query), form)
        elif what == "events":
            pieces = self._maintenance.export_events(events_of_sessions(query), form)
        else:
            raise NotFound(f"there is no {what[:50]!r} to export", hint="sessions or events")
        return StreamingResponse(pieces, headers={"Content-Type": _MEDIA[form]})

    def inspect(self, request: Request) -> Response:
        """The database file and what is in it."""
        require(request, "read")
        read_query(request, ())
        return json_answer(self._maintenance.inspect())

    def check(self, request: Request) -> Response:
        """Whether the database is sound."""
        require(request, "operate")
        read_query(request, ())
        return json_answer(self._maintenance.check())

    def compact(self, request: Request) -> Response:
        """Write the database anew; answered when it is done."""
        require(request, "operate")
        read_query(request, ())
        return json_answer(self._maintenance.compact())

    async def query(self, request: Request) -> Response:
        """The result of SQL that only reads."""
        require(request, "operate")
        body = await _body(request, {"sql": str, "limit": int, "seconds": int}, {"sql"})
        answer = await run_in_threadpool(
            self._maintenance.query,
            body["sql"],
            rows=body.get("limit", ROWS),
            seconds=body.get("seconds", SECONDS),
        )
        return json_answer(answer)


async def _body(request: Request, known: Mapping[str, type], needed: set[str]) -> dict[str, Any]:
    """The body of a request: an object with these keys and types."""
    body = await read_json(request)
    if not isinstance(body, dict) or not needed <= body.keys() <= known.keys():
        names = ", ".join(repr(name) for name in known)
        raise InvalidInput(f"the body is an object with {names}")
    for name, value in body.items():
        if type(value) is not known[name]:
            raise InvalidInput(f"{name!r} is of type {known[name].__name__}")
    return body
