"""Brings events into the search index behind ingest's back: first their words, then their meaning.

A thread that stands back while many events arrive. It is handed what the writer has just stored;
what it cannot hold, and what was stored while nobody ran, it finds again by asking which events
have no entry. So nothing is lost to a crash, and a crash costs no work but the last second's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog

from tracker.search.entries import event_entry, term_ids, text_entry, text_of
from tracker.search.quantised import quantise
from tracker.search.texts import UNSEARCHED
from tracker.store import search_reads
from tracker.store.search_tables import clear_index, store_entries, store_vectors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from duckdb import DuckDBPyConnection

    from tracker.search.meaning import Meaning
    from tracker.store.database import Database
    from tracker.store.rows import EventRow
    from tracker.store.writer import Writer

WAITING_BYTES = 8_000_000
"""Memory that events may take here; beyond it they are looked for in the database later."""

_GROUP = 1_000
"""Events that are indexed at once: a job of a few milliseconds for the writer."""

_SCAN = 20_000
"""Events without an entry that one question asks for."""

_EMBED = 64
"""Texts that are embedded at once, in about a fifth of a second."""

_GATHER = 0.2
"""Seconds in which events gather before they are indexed."""

_LOOK = 1.0
"""Seconds between two looks whether a model has come meanwhile."""

_RETRY = 30.0
"""Seconds after a failure."""

_BUSY = 5_000
"""Events a second that leave the processor to ingest."""

_log = structlog.get_logger("search")


class Indexer:
    """Keeps the search index of one database up to date until it is closed.

    Args:
        database: the database.
        writer: writes into it.
        meaning: the model.
        waiting_bytes: memory that events may take here.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        meaning: Meaning,
        *,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self.problem = ""
        self._database = database
        self._writer = writer
        self._meaning = meaning
        self._most_bytes = waiting_bytes
        self._changed = threading.Condition()
        self._waiting: deque[EventRow] = deque()
        self._waiting_bytes = 0
        self._doubtful: list[EventRow] = []
        self._behind = True
        self._all_embedded = False
        self._generation = 0
        self._offered = 0
        self._pace = (time.monotonic(), 0)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def offer(self, rows: Sequence[EventRow], new: Collection[str]) -> None:
        """Take events that have just been committed. In the writer's thread.

        Args:
            rows: the events of a group.
            new: the ids of those that were not stored before.
        """
        with self._changed:
            self._offered += len(rows)
            for row in rows:
                if row.event_id in new and row.event_type != UNSEARCHED:
                    self._waiting.append(row)
                    self._waiting_bytes += row.size
            if self._waiting_bytes > self._most_bytes:
                self._fall_behind()
            self._changed.notify()

    def disturbed(self) -> None:
        """Events were removed or changed in the database. In the writer's thread, after it."""
        with self._changed:
            self._generation += 1
            self._fall_behind()
            self._changed.notify()
        self._meaning.vectors.outdated()

    def rebuild(self) -> None:
        """Make the whole index anew."""

        def work(connection: DuckDBPyConnection) -> None:
            clear_index(connection)
            self.disturbed()

        self._writer.call(work, apart=True).result()

    def wake(self) -> None:
        """Look now for what is missing."""
        with self._changed:
            self._fall_behind()
            self._changed.notify()

    def close(self) -> None:
        """Stop; what is left is done after the next start. Doing it twice is allowed."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _fall_behind(self) -> None:
        """Look in the database for all that is missing."""
        self._drop_waiting()
        self._doubtful = []
        self._behind, self._all_embedded = True, False

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                busy = self._advance()
                self.problem = ""
            except Exception as error:  # noqa: BLE001 -- told by health; the thread must not end
                self._report(error)
                self._closed.wait(_RETRY)
                continue
            if not busy:
                self._wait()

    def _advance(self) -> bool:
        """Do a piece of work; whether there may be more."""
        if self._crowded():
            self._closed.wait(_GATHER)
            return True
        if self._behind:
            self._catch_up()
            return True
        indexed = self._index_waiting()
        # In turns: where events never stop coming, texts must get their vectors all the same.
        embedded = self._embed_some()
        if 0 < indexed < _GROUP and not embedded:
            self._closed.wait(_GATHER)
        return embedded or indexed > 0

    def _wait(self) -> None:
        """Until there is something to do."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._behind or self._closed.is_set(), timeout=_LOOK
            )
        self._closed.wait(_GATHER)

    def _crowded(self) -> bool:
        """Whether so many events arrive that they need the processor more than this does."""
        (then, before), now = self._pace, time.monotonic()
        if now - then < _GATHER:
            return False
        self._pace = now, self._offered
        return (self._offered - before) / (now - then) > _BUSY

    def _catch_up(self) -> None:
        """Index what the database has and the index has not."""
        with self._changed:
            self._behind = False
            self._drop_waiting()
        counts = search_reads.index_counts(self._database, "")
        missing = counts.events != counts.indexed
        # As of before they are read: of what is changed meanwhile, the old text must not come back.
        generation = self._generation
        while missing and (rows := search_reads.unindexed_events(self._database, _SCAN)):
            for begin in range(0, len(rows), _GROUP):
                while self._crowded() and not self._closed.is_set():
                    self._closed.wait(_GATHER)
                group = rows[begin : begin + _GROUP]
                if self._closed.is_set() or not self._index(group, generation):
                    return
        self._writer.call(self._settle, apart=True).result()

    def _settle(self, _: DuckDBPyConnection) -> None:
        """Tell what was offered before from what comes now. In the writer's thread.

        An event that was committed before this has been offered by now, and may have been found in
        the database too; one that comes later cannot have been.
        """
        with self._changed:
            if not self._behind:
                self._doubtful = [*self._waiting]
                self._drop_waiting()

    def _index_waiting(self) -> int:
        """Index some of what was handed over; how many events it was."""
        with self._changed:
            generation = self._generation
            doubtful, self._doubtful = self._doubtful, []
        if doubtful:
            rows = doubtful
            known = search_reads.known_events(self._database, [row.event_id for row in rows])
            rows = [row for row in rows if row.event_id not in known]
        else:
            with self._changed:
                generation = self._generation
                rows = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
                self._waiting_bytes -= sum(row.size for row in rows)
        if rows:
            self._index(rows, generation)
        return len(rows)

    def _index(self, rows: Sequence[EventRow], generation: int) -> bool:
        """Add events to the index; whether nothing was changed since they were read."""
        told = [text_of(row) for row in rows]
        events = [event_entry(row, text) for row, text in zip(rows, told, strict=True)]
        found = {
            event.text_id: text
            for event, text in zip(events, told, strict=True)
            if event.text_id is not None
        }
        known = search_reads.known_texts(self._database, found)
        texts = [text_entry(key, text) for key, text in found.items() if key not in known]
        terms = term_ids(texts)

        def work(connection: DuckDBPyConnection) -> bool:
            if self._generation != generation:
                return False
            store_entries(connection, events, texts, terms)
            return True

        stored = self._writer.call(work, apart=True).result()
        if texts:
            self._all_embedded = False
        return stored

    def _embed_some(self) -> bool:
        """Embed the newest texts that have no vector; whether there were any."""
        if self._all_embedded or not self._meaning.probe().ok:
            return False
        model = self._meaning.model
        missing = search_reads.unembedded_texts(self._database, model, _EMBED)
        self._all_embedded = not missing
        if not missing:
            return False
        embedder = self._meaning.embedder()
        scales, codes = quantise(embedder.embed([text for _, text in missing]))
        text_ids = [text_id for text_id, _ in missing]
        rows = [code.tobytes() for code in codes]
        self._writer.call(
            lambda connection: store_vectors(connection, model, text_ids, scales.tolist(), rows),
            apart=True,
        ).result()
        return True

    def _report(self, error: Exception) -> None:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason != self.problem:
            _log.error("search index does not advance", reason=reason, exc_info=error)
        self.problem = reason
        with self._changed:
            self._fall_behind()
