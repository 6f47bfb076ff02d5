"""A table in a box, as the guide shows it, and times as people read them.

Our own few lines, because importing a table library takes longer than the request whose answer is
shown.
"""

from __future__ import annotations

import shutil
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_NARROWEST = 6
"""Columns of the screen that a shortened column keeps, where the screen has them at all."""

_ELLIPSIS = "…"


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
) -> str:
    """The rows in a box, fitted to the terminal.

    The first column is never shortened: it holds what people copy. Where the rest does not fit,
    first optional columns go, then the widest columns are shortened.

    Args:
        titles: headings.
        rows: cells as text; control characters are shown, not obeyed.
        width: columns of the screen; None: those of the terminal, or 80.
        right: titles of columns that stand at the right.
        optional: titles of columns that may be left out, the first one first.
    """
    room = width or screen_width()
    kept = list(range(len(titles)))
    cells = [[printable(cell) for cell in row] for row in (titles, *rows)]
    natural = [max(display_width(row[column]) for row in cells) for column in kept]
    for title in optional:
        if _total([natural[column] for column in kept]) <= room:
            break
        kept = [column for column in kept if titles[column] != title]
    widths = dict(zip(kept, _fitted([natural[column] for column in kept], room), strict=True))
    lines = [_rule("┌┬┐", widths.values())]
    for number, row in enumerate(cells):
        shown = [
            _padded(row[column], widths[column], at_right=titles[column] in right and number > 0)
            for column in kept
        ]
        lines.append(f"│ {' │ '.join(shown)} │")
        if number == 0:
            lines.append(_rule("├┼┤", widths.values()))
    return "\n".join([*lines, _rule("└┴┘", widths.values())])


def screen_width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


def printable(text: str) -> str:
    """The text on one line, with control characters visible: a recorded command may hold them."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _visible(character) for character in text
    )


def display_width(text: str) -> int:
    """Columns that a text takes on a screen."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def shortened(text: str, width: int) -> str:
    """The text cut to a width, with an ellipsis where something is missing."""
    if display_width(text) <= width:
        return text
    taken, room = "", width - 1
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        taken += character
    return taken + _ELLIPSIS


def local_time(moment: str | None) -> str:
    """An ISO 8601 time in this machine's zone, to the second; empty for none."""
    if not moment:
        return ""
    return datetime.fromisoformat(moment).astimezone().isoformat(timespec="seconds")


def short_time(moment: str | None) -> str:
    """The same for a narrow column: ``11-23 10:05:07``, or the date of another year."""
    if not moment:
        return ""
    local = datetime.fromisoformat(moment).astimezone()
    this_year = local.year == datetime.now(UTC).astimezone().year
    return f"{local:%m-%d %H:%M:%S}" if this_year else f"{local:%Y-%m-%d}"


def clock(seconds: float | None) -> str:
    """A duration as ``h:mm:ss``, as the guide prints it; empty for none."""
    if seconds is None:
        return ""
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def seconds_since(moment: str) -> float:
    """Seconds from an ISO 8601 time to now."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1


def _fitted(widths: list[int], room: int) -> list[int]:
    """The widths, the widest taken from first; a box that is broken over lines cannot be read."""
    fitted = list(widths)
    for narrowest in (_NARROWEST, 1):
        while _total(fitted) > room:
            shrinkable = [column for column in range(1, len(fitted)) if fitted[column] > narrowest]
            if not shrinkable:
                break
            fitted[max(shrinkable, key=fitted.__getitem__)] -= 1
    return fitted


def _rule(corners: str, widths: Collection[int]) -> str:
    return corners[0] + corners[1].join("─" * (width + 2) for width in widths) + corners[2]


def _padded(text: str, width: int, *, at_right: bool) -> str:
    text = shortened(text, width)
    padding = " " * (width - display_width(text))
    return padding + text if at_right else text + padding


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _visible(character: str) -> str:
    known = {"\n": "⏎", "\t": " ", "\r": ""}
    return known.get(character, character.encode("unicode_escape").decode())
