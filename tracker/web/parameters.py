"""What routes read from the query of a request, and how they answer in JSON.

A misspelt parameter is refused: ignored, it would quietly show everything.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.responses import Response

from schemas.errors import InvalidInput
from schemas.moments import parse_moment
from schemas.settings import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.requests import Request


def json_answer(content: Any) -> Response:
    """An answer in JSON."""
    return Response(to_json(content) + b"\n", media_type="application/json")


def read_query(request: Request, known: Collection[str]) -> dict[str, str]:
    """The parameters of a request.

    Args:
        request: the request.
        known: the names that its route takes.

    Raises:
        InvalidInput: another name is among them.
    """
    unknown = sorted(request.query_params.keys() - set(known))
    if unknown:
        raise InvalidInput(
            f"unknown parameter {unknown[0][:50]!r}",
            hint=f"known: {', '.join(sorted(known)) or 'none'}",
        )
    return dict(request.query_params)


def read_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number.

    Raises:
        InvalidInput: it is none.
    """
    text = query.get(name, str(default))
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidInput(f"{name} is a whole number, not {text[:20]!r}")
    return int(text[:12])


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """A yes or no; no when it is not there.

    Raises:
        InvalidInput: it is neither.
    """
    text = query.get(name, "false").lower()
    if text not in TRUE | FALSE:
        raise InvalidInput(f"{name} is true or false, not {text[:20]!r}")
    return text in TRUE


def read_moment(query: Mapping[str, str], name: str) -> datetime | None:
    """A point in time, as people write it; None when it is not there.

    Raises:
        InvalidInput: it is none.
    """
    text = query.get(name)
    return parse_moment(text, datetime.now(UTC)) if text else None
