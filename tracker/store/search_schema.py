"""The tables of the search index: SQL only.

Everything in them is made from the events, and can be made from them again.
"""

from __future__ import annotations

TABLES = (
    # One row an event; text_id is null where the event tells nothing. The columns beside the ids
    # are those that a search filters by, so that it need not read the events themselves.
    """
    CREATE TABLE search_events (
        event_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        text_id BIGINT,
        timestamp TIMESTAMPTZ NOT NULL,
        exit_code INTEGER,
        failed BOOLEAN NOT NULL
    )
    """,
    # text_id is a hash of the text. No primary keys: an index over a million random numbers takes
    # 40 MB of memory, and reading the column takes 2 ms.
    """
    CREATE TABLE search_texts (
        text_id BIGINT NOT NULL,
        text TEXT NOT NULL,
        length INTEGER NOT NULL
    )
    """,
    "CREATE TABLE search_terms (term_id BIGINT NOT NULL, term TEXT NOT NULL)",
    # What BM25 needs: how often a term occurs in a text, and how many words the text has.
    """
    CREATE TABLE search_postings (
        term_id BIGINT NOT NULL,
        text_id BIGINT NOT NULL,
        occurrences USMALLINT NOT NULL,
        length USMALLINT NOT NULL
    )
    """,
    # A vector is scale times signed bytes, one a component: a quarter of FLOAT[384] on disk, in
    # memory and in each checkpoint, during which nothing else is written (0.8 s at 40,000 vectors
    # as FLOAT, 0.08 s as bytes); its cosines are off by less than 0.002. The dimensions are the
    # model's, so one table serves every model. position counts up, for who reads what is new.
    """
    CREATE TABLE search_vectors (
        model TEXT NOT NULL,
        position BIGINT NOT NULL,
        text_id BIGINT NOT NULL,
        scale FLOAT NOT NULL,
        codes BLOB NOT NULL
    )
    """,
)

TABLE_NAMES = ("search_events", "search_texts", "search_terms", "search_postings", "search_vectors")
