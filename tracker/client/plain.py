"""Makes of any value something that JSON can carry and a database can hold, cut to a fair size."""

from __future__ import annotations

import math
from typing import Any

LONGEST_TEXT = 32_000
"""Characters of a text that are kept."""

MOST_ITEMS = 1_000
DEEPEST = 12


def plain(value: Any, depth: int = DEEPEST) -> Any:
    """The value in plain JSON types; what is too long, too many or too deep is cut and says so."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return _container(value, depth)
    return _text(value if isinstance(value, str) else str(value))


def _container(value: Any, depth: int) -> Any:
    if depth == 0:
        return "(cut: nested too deep)"
    if isinstance(value, dict):
        pairs = list(value.items())[:MOST_ITEMS]
        return {_text(str(key)): plain(item, depth - 1) for key, item in pairs}
    return [plain(item, depth - 1) for item in list(value)[:MOST_ITEMS]]


def _text(text: str) -> str:
    """Without lone surrogates (file names that are no UTF-8) and NUL, which UTF-8 stores refuse."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} characters cut)"
    text = text.replace("\0", "\\x00")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text
