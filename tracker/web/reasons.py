"""Why something that was sent is not as it should be: pydantic's findings in our words.

What was sent is quoted only where the caller says that it may be: a body can hold secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_SHOWN_FAULTS = 3
_LONGEST_QUOTE = 50


def reasons(error: ValidationError, *, quote: bool = False) -> str:
    """The first faults in a line, each with its place.

    Args:
        error: what pydantic has found.
        quote: whether what was sent may be repeated.
    """
    faults = error.errors(include_url=False, include_input=quote)
    told = [_told(fault, quote=quote) for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        told.append(f"and {len(faults) - _SHOWN_FAULTS} more")
    return "; ".join(told)


def _told(fault: ErrorDetails, *, quote: bool) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if quote and fault["type"] == "literal_error":
        return f"{quoted(fault['input'])} is not a {place}: {message}"
    return f"{place}: {message}" if place else message


def quoted(text: object) -> str:
    """The beginning of what was sent, fit for one line."""
    return repr(str(text)[:_LONGEST_QUOTE])
