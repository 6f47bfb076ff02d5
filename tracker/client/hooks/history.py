"""Which line of its history bash has just run, if it is to be recorded at all. Pure.

bash tells no hook what was typed. Its history does, but keeps no line that it was told to leave out
(``HISTCONTROL``, ``HISTIGNORE``) and none that repeats the last one. Here a repetition is told from
a line that was left out, and what the history leaves out is not recorded either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENTRY = re.compile(r" *(\d+)[* ] (.*)\n", re.DOTALL)
_BETWEEN_COMMANDS = re.compile(r"&&|\|\||\|&|[;|&\n]")


@dataclass(frozen=True, slots=True)
class Looked:
    """What bash told at a prompt.

    Args:
        number: in the history, as it was when the command began.
        control: ``HISTCONTROL``.
        ignores: whether ``HISTIGNORE`` is set.
        keeps: whether there is a history.
        last_part: the simple command that the line ran last; empty: not known.
        listing: of the newest line in the history.
    """

    number: int
    control: str
    ignores: bool
    keeps: bool
    last_part: str
    listing: str


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    last_part: str


class History:
    """Follows the history of one bash."""

    def __init__(self) -> None:
        self._before = _Line(0, "", "")

    def begin(self, looked: Looked) -> None:
        """The newest line at the first prompt, which an earlier shell has run."""
        self._before = _entry(looked)

    def run(self, looked: Looked) -> str:
        """The text of the command line that was run; empty: it is not to be recorded."""
        before, line = self._before, _entry(looked)
        if not looked.keeps:
            return ""
        if (line.number, line.text) == (before.number, before.text):
            self._before = line if _repeats(before, looked) else before
            return line.text if _repeats(before, looked) else ""
        self._before = line
        if line.number != looked.number:
            # The line has changed the history (history -c, -d, -s, -r) and is not the newest in it.
            return looked.last_part
        return line.text


def _repeats(before: _Line, looked: Looked) -> bool:
    """Whether a line that left no trace in the history is the one before once more."""
    rules = set(looked.control.split(":"))
    if not rules & {"ignoredups", "ignoreboth", "erasedups"}:
        return False
    if not (rules & {"ignorespace", "ignoreboth"} or looked.ignores):
        return True
    part = looked.last_part.strip()
    parts = {piece.strip() for piece in _BETWEEN_COMMANDS.split(before.text)}
    return bool(part) and (part == before.last_part or part in parts)


def _entry(looked: Looked) -> _Line:
    found = _ENTRY.fullmatch(looked.listing)
    if found is None:
        return _Line(0, "", "")
    return _Line(int(found[1]), found[2], looked.last_part.strip())
