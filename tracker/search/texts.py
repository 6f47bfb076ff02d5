"""What of an event is searched, and the words in it. Pure.

Events with the same text share one entry of the index: people and runbooks repeat themselves, so
there are far fewer texts to rank and to embed than there are events.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.emitted import EmittedFacts
    from schemas.session import SessionFacts

LONGEST_TEXT = 8_000
"""Characters of a text that are searched: of a longer one, such as a traceback, both ends."""

MOST_WORDS = 2_000
LONGEST_WORD = 64

UNSEARCHED = "checkpoint"
"""The one type of event that never tells anything."""

_TOLD = (
    *("title", "text", "command", "name", "step", "task", "message"),
    *("error", "reason", "failed_step"),
)
"""Keys of an event's data whose texts are searched, in the order of a sentence."""

_WORD = re.compile(r"[^\W_]+")


def event_text(data: Mapping[str, Any]) -> str:
    """What an event tells: a command and its error, a step and its outcome; empty for nothing."""
    return _joined(data.get(key) for key in _TOLD)


def session_text(facts: SessionFacts | EmittedFacts) -> str:
    """What is known about a session from its start on: its title, who, where, on what."""
    return _joined(
        [
            *(facts.metadata.get(key) for key in ("title", "runbook")),
            *(facts.component, facts.session_type, facts.user, facts.host, facts.cwd),
            *(facts.git_branch, facts.run_id),
        ]
    )


def text_key(text: str) -> int:
    """The id of a text, made from its content: 64 bits, as the store's BIGINT has them."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def words_of(text: str) -> list[str]:
    """The words of a text: runs of letters and digits, without case.

    ``systemctl restart session-buddy.service`` has five. What joins words in commands, paths and
    names of settings separates them here, so each part can be found.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [word[:LONGEST_WORD] for word in _WORD.findall(folded)[:MOST_WORDS]]


def _joined(parts: Any) -> str:
    text = "\n".join(dict.fromkeys(_texts(parts)))
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}\n{text[-half:]}"


def _texts(parts: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str) and part.strip():
            yield part.strip()
