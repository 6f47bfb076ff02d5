"""What a search found, as a table for a person. Pure: from the JSON of the API to text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.client.show import event_outcome
from tracker.client.table import local_time, printable, shortened, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Hit = Mapping[str, Any]

_WORDS = {"text": "words", "semantic": "meaning", "both": "both"}
_HOW = {
    "text": "by words (text)",
    "semantic": "by meaning (semantic)",
    "hybrid": "by words and by meaning (hybrid)",
}
_OPTIONAL = ("Type", "Outcome", "Times", "Found by", "Time")
_NARROW_TEXT = 37
"""Columns that are left beside a session's id on a screen of 80."""


def hit_table(hits: Sequence[Hit], *, width: int) -> str:
    """Hits, best first."""
    titles = ("Session ID", "Time", "Type", "Found by", "Times", "Outcome", "Text")
    rows = [
        (
            hit["event"]["session_id"],
            local_time(hit["event"]["timestamp"]),
            hit["event"]["event_type"],
            _found_by(hit),
            str(hit["occurrences"]),
            event_outcome(hit["event"]),
            # Cut here, so that a long text does not push the other columns out.
            shortened(printable(hit["text"]), max(_NARROW_TEXT, width // 3)),
        )
        for hit in hits
    ]
    return table(titles, rows, width=width, right={"Times"}, optional=_OPTIONAL)


def notes(answer: Mapping[str, Any]) -> list[str]:
    """How it was searched, and what the answer cannot have."""
    lines = [f"searched {_HOW[answer['search_type']]}"]
    if answer["note"]:
        lines.append(str(answer["note"]))
    if answer["unindexed"]:
        lines.append(f"{answer['unindexed']} events are not in the index yet")
    if answer["unembedded"]:
        lines.append(f"{answer['unembedded']} texts cannot be found by meaning yet")
    return lines


def _found_by(hit: Hit) -> str:
    found = _WORDS[hit["found_by"]]
    return found if hit["similarity"] is None else f"{found} {hit['similarity']:.2f}"
