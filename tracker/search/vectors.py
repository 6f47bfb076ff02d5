"""The texts nearest to a query, by looking at every vector there is.

Bytes are compared a block at a time, which a core's own cache holds: 7 ms for 100,000 texts, where
DuckDB's cosine over FLOAT[384] takes 60 to 110, and a quarter of the memory of a float matrix,
which takes 6. Every text is looked at, so nothing is missed and there is no index to train.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from tracker.search.quantised import Codes, Floats, codes_of, similarities
from tracker.store.search_reads import newest_vector, vectors_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tracker.store.database import Database

CACHE_BYTES = 256_000_000
"""Memory for codes: 660,000 texts of the built-in model. Those beyond are read for each query."""

_BLOCK = 1024
_READ = 8 * _BLOCK
_TRIED = 20
"""Times as many texts as are wanted among which the permitted are looked for first."""


@dataclass(frozen=True, slots=True)
class _Block:
    last: int
    text_ids: NDArray[np.int64]
    scales: Floats
    codes: Codes

    def joined(self, other: _Block) -> _Block:
        return _Block(
            other.last,
            np.concatenate([self.text_ids, other.text_ids]),
            np.concatenate([self.scales, other.scales]),
            np.concatenate([self.codes, other.codes]),
        )


class Vectors:
    """The vectors of one model, kept in memory from the first query on. For several threads.

    Args:
        database: where they are stored.
        model: the model.
        cache_bytes: memory for them.
    """

    def __init__(self, database: Database, model: str, cache_bytes: int = CACHE_BYTES) -> None:
        self._database = database
        self._model = model
        self._cache_bytes = cache_bytes
        self._guard = threading.Lock()
        self._blocks: list[_Block] = []
        self._outdated = False

    def nearest(
        self, query: Floats, limit: int, permitted: NDArray[np.int64] | None = None
    ) -> dict[int, float]:
        """The texts nearest to a query, best first, each with its cosine.

        Args:
            query: a vector of unit length.
            limit: texts at the most.
            permitted: only these texts; None: all.
        """
        with self._guard:
            whole = self._fill(len(query))
            kept = [*self._blocks]
        blocks: Iterable[_Block] = kept
        if not whole:
            blocks = chain(kept, self._stored_after(kept, len(query)))
        compared = [
            (block.text_ids, similarities(block.scales, block.codes, query)) for block in blocks
        ]
        if not compared:
            return {}
        text_ids = np.concatenate([ids for ids, _ in compared])
        cosines = np.concatenate([found for _, found in compared])
        if permitted is not None:
            text_ids, cosines = _nearest_of(text_ids, cosines, limit, permitted)
        best = _best(cosines, limit)
        return dict(zip(text_ids[best].tolist(), cosines[best].tolist(), strict=True))

    def outdated(self) -> None:
        """Vectors were removed from the store: read them anew at the next query."""
        self._outdated = True

    def _fill(self, dimensions: int) -> bool:
        """Take in what was stored since the last query; whether there was room for all of it."""
        if self._outdated:
            self._outdated = False
            self._blocks.clear()
        room = self._cache_bytes // dimensions - sum(len(block.text_ids) for block in self._blocks)
        for block in self._stored_after(self._blocks, dimensions):
            room -= len(block.text_ids)
            if room < 0:
                return False
            if self._blocks and len(self._blocks[-1].text_ids) + len(block.text_ids) <= _BLOCK:
                self._blocks[-1] = self._blocks[-1].joined(block)
            else:
                self._blocks.append(block)
        return True

    def _stored_after(self, blocks: Sequence[_Block], dimensions: int) -> Iterator[_Block]:
        last, newest = blocks[-1].last if blocks else 0, newest_vector(self._database)
        while last < newest:
            until = min(last + _READ, newest)
            rows = vectors_between(self._database, self._model, last, until)
            codes = codes_of(rows.codes, dimensions)
            for begin in range(0, len(codes), _BLOCK):
                part = slice(begin, begin + _BLOCK)
                end = int(rows.positions[part][-1])
                yield _Block(end, rows.text_ids[part], rows.scales[part], codes[part])
            last = until


def _nearest_of(
    text_ids: NDArray[np.int64], cosines: Floats, limit: int, permitted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats]:
    """The permitted among the texts, or at least ``limit`` of the best of them."""
    best = _best(cosines, _TRIED * limit)
    some = best[np.isin(text_ids[best], permitted)]
    if len(some) < limit and len(best) < len(text_ids):
        some = np.flatnonzero(np.isin(text_ids, permitted))
    return text_ids[some], cosines[some]


def _best(cosines: Floats, limit: int) -> NDArray[np.int64]:
    """Where the greatest are, the greatest first."""
    if len(cosines) > limit:
        some = np.argpartition(cosines, -limit)[-limit:]
        return some[np.argsort(-cosines[some], kind="stable")]
    return np.argsort(-cosines, kind="stable")
