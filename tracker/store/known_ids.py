"""Which sessions certainly have nothing stored, answered from memory (a Bloom filter).

A new session would have to be looked for in four tables, at 15 us a table, and there are new ones
in most groups of events. "Nothing" is certain; what was archived or deleted stays a "perhaps".
"""

from __future__ import annotations

import threading
from hashlib import md5
from typing import TYPE_CHECKING

import numpy as np

from tracker.store.archive_schema import ALL_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.store.database import Database

_BITS = 1 << 25
"""4 MB. Of a million ids one in 300 is a "perhaps" for nothing, of ten million one in five."""

_MASK = _BITS - 1
_SECOND = 32
"""The bit of an id's number from which its second place is taken."""

# Events may come before the start of their session, which then has no row.
_STORED = f"""
SELECT md5_number_upper(session_id) AS number FROM (
    SELECT session_id FROM {ALL_SESSIONS}
    UNION ALL SELECT session_id FROM deleted_sessions
    UNION ALL SELECT DISTINCT session_id FROM session_events ANTI JOIN sessions USING (session_id)
)
"""  # noqa: S608 -- our own names


class KnownIds:
    """The ids of sessions of which something may be stored; before ``load`` of every session."""

    def __init__(self) -> None:
        self._bits = np.zeros(_BITS // 8, dtype=np.uint8)
        self._seen = memoryview(self._bits.data)
        self._loaded = False
        self._adding = threading.Lock()

    def load(self, database: Database) -> None:
        """Take in what is stored. It may take a second; ``add`` goes on, and answers are right.

        Args:
            database: whose sessions.
        """
        with database.reading() as connection:
            numbers = connection.execute(_STORED).fetchnumpy()["number"]
        stored = np.zeros_like(self._bits)
        for places in (numbers & _MASK, numbers >> _SECOND & _MASK):
            np.bitwise_or.at(stored, places >> 3, (1 << (places & 7)).astype(np.uint8))
        with self._adding:
            self._bits |= stored
            self._loaded = True

    def add(self, session_ids: Iterable[str]) -> None:
        """Something is about to be stored of these."""
        with self._adding:
            for session_id in session_ids:
                for place in _places(session_id):
                    self._seen[place >> 3] |= 1 << (place & 7)

    def among(self, session_ids: Iterable[str]) -> list[str]:
        """Those of which something may be stored."""
        if not self._loaded:
            return list(session_ids)
        return [
            session_id
            for session_id in session_ids
            if all(self._seen[place >> 3] >> (place & 7) & 1 for place in _places(session_id))
        ]


def _places(session_id: str) -> tuple[int, int]:
    digest = md5(session_id.encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:8], "little")
    return number & _MASK, number >> _SECOND & _MASK
