"""The operations of search: what a request asks, and how the service's answer looks in HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from schemas.search import IndexProgress, SearchAnswer, SearchType
from schemas.session import Message
from tracker.search.finder import LONGEST_QUERY, MOST_HITS, WIDEST_CONTEXT
from tracker.search.meaning import SemanticUnavailable
from tracker.store.search_hits import SearchFilter
from tracker.web.errors import Refused
from tracker.web.operations import Answer, Call, Operation, Sent
from tracker.web.parameters import DIGITS, Flag, Moment, Parameters, Word

if TYPE_CHECKING:
    from tracker.sessions import SessionService


class SearchParameters(Parameters):
    """What is looked for, how, and among which events."""

    q: Annotated[
        str,
        StringConstraints(max_length=LONGEST_QUERY, pattern=r"[^\s\x00-\x1f]"),
        Field(description="words, or a sentence", examples=["database locked"]),
    ]
    search_type: SearchType | None = Field(
        None, description="none: by meaning and words if there is a model, else by words"
    )
    limit: Annotated[int, Field(ge=1, le=MOST_HITS), DIGITS] = Field(
        20, description="hits at the most"
    )
    context: Annotated[int, Field(ge=0, le=WIDEST_CONTEXT), DIGITS] = Field(
        1, description="events before and after each hit"
    )
    repeats: Flag = Field(False, description="every event with a text that was found is a hit")
    since: Moment | None = Field(None, description="at this time or later")
    until: Moment | None = Field(None, description="before this time")
    type: Word | None = Field(None, description="type of session")
    user: Word | None = Field(None, description="login name")
    host: Word | None = Field(None, description="name of the host")
    component: Word | None = Field(None, description="such as mahavishnu")
    exit: Annotated[int, Field(ge=-(2**31), le=2**31 - 1), DIGITS] | None = Field(
        None, description="exit code"
    )
    failed: Flag = Field(False, description="only what failed")
    archived: Flag = Field(False, description="in the archive too")

    def filter(self) -> SearchFilter:
        """The events that are searched."""
        return SearchFilter(
            since=self.since,
            until=self.until,
            session_type=self.type or "",
            user=self.user or "",
            host=self.host or "",
            component=self.component or "",
            exit_code=self.exit,
            failed=self.failed,
            archived=self.archived,
        )


class ReindexRequest(Message):
    """How much of the index is made."""

    from_scratch: bool = Field(False, strict=True, description="make it anew")


class SearchApi:
    """The operations over one service. Plain methods block, so they run in threads.

    Args:
        service: the sessions.
    """

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What can be asked."""
        return [
            Operation(
                method="GET",
                path="/api/v1/search",
                handler=self.search,
                scopes=("read",),
                query=SearchParameters,
                answer=Answer("the hits, best first", SearchAnswer),
                refusals=(503,),
            ),
            Operation(
                method="GET",
                path="/api/v1/search/index",
                handler=self.index_progress,
                scopes=("read",),
                answer=Answer("how far it is", IndexProgress),
            ),
            Operation(
                method="POST",
                path="/api/v1/search/index",
                handler=self.reindex,
                scopes=("operate",),
                body=Sent(ReindexRequest, required=False, example={"from_scratch": False}),
                answer=Answer("how far it is", IndexProgress),
                refusals=(423, 507),
            ),
        ]

    def search(self, call: Call[SearchParameters, None]) -> SearchAnswer:
        """What was done, said or failed in sessions, best first."""
        asked = call.query
        try:
            return self._service.search(
                asked.q,
                search_type=asked.search_type or "",
                wanted=asked.filter(),
                limit=asked.limit,
                context=asked.context,
                repeats=asked.repeats,
            )
        except SemanticUnavailable as error:
            raise Refused(503, error.message, hint=error.hint) from None

    def index_progress(self, _: Call[Any, None]) -> IndexProgress:
        """How far the search index has come."""
        return self._service.index_progress()

    def reindex(self, call: Call[Any, ReindexRequest]) -> IndexProgress:
        """Bring what is missing into the index, or make it anew; answered before it is done."""
        return self._service.reindex(from_scratch=call.body.from_scratch)
