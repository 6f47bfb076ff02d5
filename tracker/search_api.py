"""The routes of search: what a request asks, and how the service's answer looks in HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from schemas.errors import InvalidInput
from tracker.search.meaning import SemanticUnavailable
from tracker.store.search_hits import SearchFilter
from tracker.web.app import require
from tracker.web.errors import Refused, read_json
from tracker.web.parameters import json_answer, read_flag, read_moment, read_number, read_query

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tracker.sessions import SessionService

_KNOWN = frozenset(
    {
        *("q", "search_type", "limit", "context", "repeats"),
        *("since", "until", "type", "user", "host", "component", "exit", "failed", "archived"),
    }
)


class SearchApi:
    """The routes over one service. Plain methods block, so Starlette runs them in threads.

    Args:
        service: the sessions.
    """

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Paths and what answers them."""
        return [
            Route("/api/v1/search", self.search),
            Route("/api/v1/search/index", self.index),
            Route("/api/v1/search/index", self.reindex, methods=["POST"]),
        ]

    def search(self, request: Request) -> Response:
        """What was done, said or failed in sessions, best first."""
        require(request, "read")
        query = read_query(request, _KNOWN)
        wanted = SearchFilter(
            since=read_moment(query, "since"),
            until=read_moment(query, "until"),
            session_type=query.get("type", ""),
            user=query.get("user", ""),
            host=query.get("host", ""),
            component=query.get("component", ""),
            exit_code=read_number(query, "exit", 0) if "exit" in query else None,
            failed=read_flag(query, "failed"),
            archived=read_flag(query, "archived"),
        )
        try:
            answer = self._service.search(
                query.get("q", ""),
                search_type=query.get("search_type", ""),
                wanted=wanted,
                limit=read_number(query, "limit", 20),
                context=read_number(query, "context", 1),
                repeats=read_flag(query, "repeats"),
            )
        except SemanticUnavailable as error:
            raise Refused(503, error.message, hint=error.hint) from None
        return json_answer(answer)

    def index(self, request: Request) -> Response:
        """How far the search index has come."""
        require(request, "read")
        read_query(request, ())
        return json_answer(self._service.index_progress())

    async def reindex(self, request: Request) -> Response:
        """Bring what is missing into the index, or make it anew; answered before it is done."""
        require(request, "operate")
        wanted = await read_json(request) if await request.body() else {}
        if not isinstance(wanted, dict) or not wanted.keys() <= {"from_scratch"}:
            raise InvalidInput("the body is an object with 'from_scratch', or nothing")
        from_scratch = wanted.get("from_scratch", False)
        if not isinstance(from_scratch, bool):
            raise InvalidInput("'from_scratch' is true or false")
        progress = await run_in_threadpool(self._service.reindex, from_scratch=from_scratch)
        return json_answer(progress)
