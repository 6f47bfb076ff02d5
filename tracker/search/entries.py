"""Events as entries of the search index. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from tracker.search.texts import event_text, session_text, text_key, words_of
from tracker.store.search_tables import EventEntry, TextEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.store.rows import EventRow


def text_of(row: EventRow) -> str:
    """What of an event is searched; empty for nothing."""
    told = event_text(json.loads(row.data)) if row.data != "{}" else ""
    if row.event_type != "session_start" or row.facts is None:
        return told
    known = session_text(row.facts)
    return f"{told}\n{known}" if told else known


def event_entry(row: EventRow, text: str) -> EventEntry:
    """The entry of an event that tells this text."""
    return EventEntry(
        event_id=row.event_id,
        session_id=row.session_id,
        text_id=text_key(text) if text else None,
        timestamp=row.timestamp,
        exit_code=row.exit_code,
        failed=row.event_type == "error" or bool(row.exit_code) or row.crashed,
    )


def text_entry(text_id: int, text: str) -> TextEntry:
    """The entry of a text."""
    words = words_of(text)
    return TextEntry(text_id, text, Counter(words), len(words))


def term_ids(texts: Iterable[TextEntry]) -> dict[str, int]:
    """The ids of all words in these texts."""
    return {term: text_key(term) for term in {term for text in texts for term in text.terms}}
