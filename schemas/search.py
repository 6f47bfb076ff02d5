"""What a search of sessions answers (guide 4.3), and how far the search index has come."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.session import Message, Session, StoredEvent

SearchType = Literal["semantic", "text", "hybrid"]
SEARCH_TYPES: tuple[SearchType, ...] = ("semantic", "text", "hybrid")


class SearchHit(Message):
    """A text that was found, the newest event that has it, and what happened around that event."""

    score: float = Field(description="higher is better; comparable within one answer only")
    found_by: Literal["text", "semantic", "both"]
    similarity: float | None = Field(description="cosine to the query, where found by meaning")
    text: str = Field(description="the text that was found; a long one is cut")
    occurrences: int = Field(description="events with this text among those that were searched")
    session: Session | None = Field(description="none while the session's start has not arrived")
    event: StoredEvent
    before: list[StoredEvent]
    after: list[StoredEvent]


class SearchAnswer(Message):
    """The hits of one search, best first."""

    query: str
    search_type: SearchType = Field(description="how it was searched")
    note: str = Field(description="why not by meaning, when that was not asked for; else empty")
    unindexed: int = Field(description="events that the index does not have yet")
    unembedded: int = Field(description="texts that cannot be found by meaning yet")
    hits: list[SearchHit]


class IndexProgress(Message):
    """How far the search index has come."""

    events: int = Field(description="events that have, or may have, something to search")
    indexed: int = Field(description="of these, how many the index has")
    texts: int = Field(description="different texts in them")
    embedded: int = Field(description="of these, how many can be found by meaning")
    model: str = Field(description="the embedding model; empty: there is none that works")
    note: str = Field(description="why there is no model; else empty")
    problem: str = Field(description="why the index does not advance; else empty")
