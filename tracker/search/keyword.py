"""Ranks texts by the words of a query: BM25 over the postings, reckoned in SQL. Needs no model.

A word of the query is also found as the beginning of a longer one (``lock`` in ``locked``) and
counts half there. A text that has the query's words side by side stands above one that has them
apart. Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
(2009), with the logarithm's argument kept above 1 as in Lucene, so that a word in most texts still
counts a little.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput
from tracker.search.texts import words_of
from tracker.store.given import given_ids
from tracker.store.search_hits import texts_by_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracker.store.database import Database

MOST_TERMS = 32
_PREFIX = 3
"""Characters that a word needs to be looked for as a beginning; ``s`` begins thousands."""

_PREFIX_CREDIT = 0.5
_TOGETHER = 1.5
_NOTHING = " "
"""No word begins with it."""

_K1 = 1.2
"""How soon a word's repetitions stop to count; this and the next are the literature's defaults."""
_B = 0.75
"""How much a long text has to have a word more often than a short one."""

_RANK = f"""
WITH chosen AS (
    SELECT unnest(?::BIGINT[]) AS term_id, unnest(?::TINYINT[]) AS place,
        unnest(?::FLOAT[]) AS credit
),
found AS (
    SELECT place, text_id, sum(occurrences) AS often, max(credit) AS credit,
        any_value(length) AS length
    FROM search_postings JOIN chosen USING (term_id) GROUP BY place, text_id
),
rarity AS (
    SELECT place, ln(1 + ((SELECT count(*) FROM search_texts) - count(*) + 0.5)
        / (count(*) + 0.5)) AS idf
    FROM found GROUP BY place
),
usual AS (SELECT avg(length) AS length FROM search_texts)
SELECT text_id, sum(credit * idf * often * {_K1 + 1}
    / (often + {_K1} * ({1 - _B} + {_B} * found.length / usual.length))) AS score
FROM found JOIN rarity USING (place), usual {{permitted}}
GROUP BY text_id ORDER BY score DESC, text_id LIMIT ?
"""  # noqa: S608 -- our own numbers


def rank_by_words(
    database: Database, query: str, limit: int, permitted: NDArray[np.int64] | None = None
) -> dict[int, float]:
    """The texts that have words of the query, best first, each with its score.

    Args:
        database: where to look.
        query: what is asked for.
        limit: texts at the most.
        permitted: only these texts; None: all.

    Raises:
        InvalidInput: there is no word in the query.
    """
    words = words_of(query)
    asked = list(dict.fromkeys(words))[:MOST_TERMS]
    if not asked:
        raise InvalidInput(f"{query!r} has no word to search for", hint="use letters or digits")
    terms = _terms(database, asked)
    only = "" if permitted is None else "WHERE text_id IN (SELECT text_id FROM permitted)"
    with ExitStack() as stack:
        connection = stack.enter_context(database.reading())
        if permitted is not None:
            stack.enter_context(given_ids(connection, permitted, "permitted"))
        rows = connection.execute(_RANK.format(permitted=only), [*terms, limit]).fetchall()
    scores = dict(rows)
    return scores if len(asked) == 1 else _together_first(database, words, scores)


def _terms(database: Database, asked: list[str]) -> tuple[list[int], list[int], list[float]]:
    """The terms that stand for the words: their ids, the places of the words, what they count."""
    exactly = " OR ".join("term = ? OR starts_with(term, ?)" for _ in asked)
    begins = [word if len(word) >= _PREFIX else _NOTHING for word in asked]
    rows = database.query(
        f"SELECT term_id, term FROM search_terms WHERE {exactly}",  # noqa: S608 -- marks only
        [value for pair in zip(asked, begins, strict=True) for value in pair],
    )
    found = [
        (term_id, place, 1.0 if term == word else _PREFIX_CREDIT)
        for term_id, term in rows
        for place, (word, begin) in enumerate(zip(asked, begins, strict=True))
        if term == word or term.startswith(begin)
    ]
    return [row[0] for row in found], [row[1] for row in found], [row[2] for row in found]


def _together_first(
    database: Database, words: list[str], scores: dict[int, float]
) -> dict[int, float]:
    phrase = _spaced(words)
    for text_id, text in texts_by_id(database, scores).items():
        if phrase in _spaced(words_of(text)):
            scores[text_id] *= _TOGETHER
    return dict(sorted(scores.items(), key=lambda entry: -entry[1]))


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "
