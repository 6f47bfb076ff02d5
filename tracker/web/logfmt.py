"""What a value may look like in a log line, so that nobody who sends one can forge another line.

Knows neither a logger nor a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_PLAIN = (bool, int, float, type(None))


def printable(text: str) -> str:
    """The text with what is not printable as escapes, but for line feeds.

    A carriage return, an ESC or U+2028 would end a line, or rewrite it, for a terminal or a reader
    of lines; a line feed is escaped by the renderer itself.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def escape_values(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: every value of the line made printable."""
    for key, value in line.items():
        if not isinstance(value, _PLAIN):
            line[key] = printable(value if isinstance(value, str) else str(value))
    return line
