"""Search of one database: everything that the service layer needs of it, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.health import Probe
from schemas.search import IndexProgress
from tracker.search.finder import Finder, SearchRequest
from tracker.search.indexer import Indexer
from tracker.search.latency import SearchTimes
from tracker.search.meaning import Meaning
from tracker.search.probe import NAME
from tracker.store.search_reads import index_counts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from schemas.search import SearchAnswer
    from schemas.settings import Settings
    from tracker.store.database import Database
    from tracker.store.rows import EventRow
    from tracker.store.writer import Writer

_THRESHOLD = "session_buddy.semantic_search.similarity_threshold"


class Search:
    """Search, and the index behind it, which is kept up to date until this is closed.

    Args:
        database: the database.
        writer: writes into it.
        settings: name the model.
    """

    def __init__(self, database: Database, writer: Writer, settings: Settings) -> None:
        self.times = SearchTimes()
        self._database = database
        self._meaning = Meaning(database, settings)
        self._finder = Finder(database, self._meaning, settings.number(_THRESHOLD))
        self._indexer = Indexer(database, writer, self._meaning)
        self._indexer.start()

    def find(self, request: SearchRequest) -> SearchAnswer:
        """The hits of a search, best first.

        Raises:
            InvalidInput: the request cannot be answered.
            SemanticUnavailable: meaning is asked for, and there is no model that works.
        """
        request.check()
        search_type, note = self._finder.search_type(request.search_type)
        with self.times.measured(search_type):
            return self._finder.find(request, search_type, note)

    def offer(self, rows: Sequence[EventRow], new: Collection[str]) -> None:
        """Events that were just committed; in the writer's thread. See ``Indexer.offer``."""
        self._indexer.offer(rows, new)

    def disturbed(self) -> None:
        """Events were removed or changed; in the writer's thread. See ``Indexer.disturbed``."""
        self._indexer.disturbed()

    def reindex(self, *, from_scratch: bool) -> None:
        """Look for everything that the index lacks, or make it anew; it is done behind this."""
        if from_scratch:
            self._indexer.rebuild()
        else:
            self._indexer.wake()

    def progress(self) -> IndexProgress:
        """How far the index has come."""
        probe = self._meaning.probe()
        counts = index_counts(self._database, self._meaning.model)
        return IndexProgress(
            events=counts.events,
            indexed=counts.indexed,
            texts=counts.texts,
            embedded=counts.embedded,
            model=self._meaning.model if probe.ok else "",
            note="" if probe.ok else f"{NAME}: {probe.value}; {probe.hint}",
            problem=self._indexer.problem,
        )

    def probe(self) -> Probe:
        """Whether search by meaning works; a line of ``session-buddy health``."""
        if self._indexer.problem:
            hint = f"the search index does not advance: {self._indexer.problem}"
            return Probe(NAME, ok=False, value="failing", hint=hint)
        return self._meaning.probe()

    def close(self) -> None:
        """Stop. Doing it twice is allowed."""
        self._indexer.close()
