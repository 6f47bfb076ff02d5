"""Answers a search: ranks, fuses, and brings the events behind what was found, with neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from schemas.errors import InvalidInput
from schemas.search import SEARCH_TYPES, SearchAnswer, SearchHit, SearchType
from schemas.session import Session, StoredEvent
from tracker.search.fusion import fused
from tracker.search.keyword import rank_by_words
from tracker.search.probe import NAME
from tracker.store import queries
from tracker.store.search_hits import (
    SearchFilter,
    events_behind,
    neighbours,
    permitted_texts,
    texts_by_id,
)
from tracker.store.search_reads import index_counts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracker.search.meaning import Meaning
    from tracker.store.database import Database
    from tracker.store.records import Record
    from tracker.store.search_hits import Found

MOST_HITS = 200
WIDEST_CONTEXT = 20
LONGEST_QUERY = 1_000
_CANDIDATES = 200
"""Texts that a ranking gives; what stands below in both cannot come up by fusing them."""

_SHOWN_TEXT = 500


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What somebody looks for.

    Args:
        query: words, or a sentence.
        search_type: how; empty: by meaning and words if there is a model, else by words.
        wanted: which events.
        limit: hits at the most.
        context: events before and after each hit that are shown.
        repeats: every event with a text that was found is a hit, not only the newest.
    """

    query: str
    search_type: str = ""
    wanted: SearchFilter = field(default_factory=SearchFilter)
    limit: int = 20
    context: int = 1
    repeats: bool = False

    def check(self) -> None:
        """Refuse what cannot be answered.

        Raises:
            InvalidInput: with what is wrong.
        """
        if not self.query.strip():
            raise InvalidInput("the query is empty")
        if len(self.query) > LONGEST_QUERY:
            raise InvalidInput(f"a query has {LONGEST_QUERY} characters at the most")
        if self.search_type not in ("", *SEARCH_TYPES):
            raise InvalidInput(
                f"{self.search_type!r} is not a type of search",
                hint=f"write one of {', '.join(SEARCH_TYPES)}",
            )
        if not 1 <= self.limit <= MOST_HITS:
            raise InvalidInput(f"limit is a number from 1 to {MOST_HITS}, not {self.limit}")
        if not 0 <= self.context <= WIDEST_CONTEXT:
            raise InvalidInput(
                f"context is a number from 0 to {WIDEST_CONTEXT}, not {self.context}"
            )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Texts that were found, best first, with their scores; and by which ranking."""

    scores: dict[int, float]
    by_words: dict[int, float]
    by_meaning: dict[int, float]

    def found_by(self, text_id: int) -> Literal["text", "semantic", "both"]:
        if text_id not in self.by_meaning:
            return "text"
        return "both" if text_id in self.by_words else "semantic"


class Finder:
    """Searches one database.

    Args:
        database: the database.
        meaning: the model.
        threshold: cosine that a hit by meaning needs; 0: they are only ranked.
    """

    def __init__(self, database: Database, meaning: Meaning, threshold: float = 0.0) -> None:
        self._database = database
        self._meaning = meaning
        self._threshold = threshold

    def search_type(self, asked: str) -> tuple[SearchType, str]:
        """How to search when this was asked for, and why not by meaning if it was not asked."""
        for known in SEARCH_TYPES:
            if asked == known:
                return known, ""
        probe = self._meaning.probe()
        if probe.ok:
            return "hybrid", ""
        return "text", f"{NAME}: {probe.value}; {probe.hint}"

    def find(self, request: SearchRequest, search_type: SearchType, note: str) -> SearchAnswer:
        """The hits, best first.

        Args:
            request: what is looked for; checked.
            search_type: how.
            note: for the answer.

        Raises:
            InvalidInput: words are searched for, and there is none in the query.
            SemanticUnavailable: meaning is searched for, and there is no model that works.
        """
        ranked = self._rank(request, search_type)
        newest = request.limit if request.repeats else 1
        behind = events_behind(self._database, ranked.scores, request.wanted, newest)
        counts = index_counts(self._database, self._meaning.model)
        return SearchAnswer(
            query=request.query,
            search_type=search_type,
            note=note,
            unindexed=max(0, counts.events - counts.indexed),
            unembedded=0 if search_type == "text" else max(0, counts.texts - counts.embedded),
            hits=self._hits(request, ranked, behind),
        )

    def _rank(self, request: SearchRequest, search_type: SearchType) -> _Ranked:
        permitted = permitted_texts(self._database, request.wanted)
        by_words: dict[int, float] = {}
        by_meaning: dict[int, float] = {}
        if search_type != "semantic":
            by_words = rank_by_words(self._database, request.query, _CANDIDATES, permitted)
        if search_type != "text":
            by_meaning = self._near(request.query, permitted)
        if search_type == "hybrid":
            return _Ranked(fused([by_words, by_meaning]), by_words, by_meaning)
        return _Ranked(by_words or by_meaning, by_words, by_meaning)

    def _near(self, query: str, permitted: NDArray[np.int64] | None) -> dict[int, float]:
        found = self._meaning.nearest(query, _CANDIDATES, permitted)
        if self._threshold <= 0:
            return found
        return {key: cosine for key, cosine in found.items() if cosine >= self._threshold}

    def _hits(
        self, request: SearchRequest, ranked: _Ranked, behind: dict[int, Found]
    ) -> list[SearchHit]:
        best = sorted(behind, key=lambda key: (-ranked.scores[key], -behind[key].newest))
        chosen = [(key, event_id) for key in best for event_id in behind[key].event_ids]
        chosen = chosen[: request.limit]
        texts = texts_by_id(self._database, {key for key, _ in chosen})
        scene = self._scene([event_id for _, event_id in chosen], request)
        return [
            SearchHit(
                score=round(ranked.scores[key], 6),
                found_by=ranked.found_by(key),
                similarity=_rounded(ranked.by_meaning.get(key)),
                text=_shown(texts[key]),
                occurrences=behind[key].occurrences,
                **scene[event_id],
            )
            for key, event_id in chosen
            if event_id in scene and key in texts
        ]

    def _scene(self, event_ids: list[str], request: SearchRequest) -> dict[str, dict[str, Any]]:
        """Each event with its session and what happened before and after it."""
        hits = queries.events_by_id(self._database, event_ids)
        session_ids = list({hit["session_id"] for hit in hits.values()})
        sessions = queries.sessions_by_id(self._database, session_ids)
        around = neighbours(
            self._database,
            hits,
            session_ids,
            request.context,
            archived=request.wanted.archived,
        )
        others = {one for sides in around.values() for side in sides for one in side} - hits.keys()
        events = hits | queries.events_by_id(self._database, list(others))
        return {
            event_id: {
                "session": _session(sessions.get(hit["session_id"])),
                "event": StoredEvent(**hit),
                "before": [StoredEvent(**events[one]) for one in around[event_id][0]],
                "after": [StoredEvent(**events[one]) for one in around[event_id][1]],
            }
            for event_id, hit in hits.items()
        }


def _session(record: Record | None) -> Session | None:
    return Session(**record) if record else None


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 4)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"
