"""What a request brings, checked by the model that its operation declares, and answers in JSON.

A misspelt, empty or repeated parameter is refused: ignored, it would quietly show everything.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import to_json
from starlette.responses import Response

from schemas.errors import InvalidInput
from schemas.moments import parse_moment
from schemas.units import DURATION
from tracker.web.reasons import quoted, reasons

if TYPE_CHECKING:
    from starlette.requests import Request

    Model = TypeVar("Model", bound=BaseModel)

MOST_PARAMETERS = 100
"""Parameters of a query; more are refused before anybody looks at them."""

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"this is a whole number, not {quoted(text)}")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"this is true or false, not {quoted(text)}")
    return text.lower() == "true"


def _moment(text: str) -> datetime:
    if text != text.strip():
        raise ValueError("this is a time with nothing around it")
    try:
        return parse_moment(text, datetime.now(UTC))
    except InvalidInput as error:
        raise ValueError(f"{error.message}; {error.hint}") from None


DIGITS = BeforeValidator(_whole)
"""After ``Field(ge=, le=)`` in ``Annotated``: a whole number in decimal digits, within bounds."""

Flag = Annotated[bool, BeforeValidator(_flag)]
"""``true`` or ``false``."""

Word = Annotated[str, StringConstraints(min_length=1)]
"""A text that something is to be equal to."""

Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
                {"type": "string", "pattern": f"^{DURATION}$"},
            ],
            "examples": ["24h", "2026-11-23", "2026-11-23T09:00:00Z"],
        }
    ),
]
"""A point in time as people write it."""

Span = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION}$", "examples": ["24h", "30d"]}),
]
"""How long something is, such as ``90m`` or ``7d``."""


class Parameters(BaseModel):
    """Base of what a query may hold; itself it is the query that holds nothing."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


def json_answer(content: Any) -> Response:
    """An answer in JSON."""
    return Response(to_json(content) + b"\n", media_type="application/json")


def read_query(request: Request, model: type[Model]) -> Model:
    """The parameters of a request.

    Args:
        request: the request.
        model: its fields are the parameters that the operation takes.

    Raises:
        InvalidInput: one is unknown, comes twice, or is not as it should be; or the query is not
            UTF-8.
    """
    given: dict[str, str] = {}
    for name, text in _pairs(request.scope["query_string"]):
        if name not in model.model_fields:
            known = ", ".join(sorted(model.model_fields))
            raise InvalidInput(
                f"unknown parameter {quoted(name)}", hint=f"known: {known or 'none'}"
            )
        if name in given:
            raise InvalidInput(f"the parameter {name!r} is given twice")
        given[name] = text
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidInput(reasons(error, quote=True)) from None


def read_body(content: bytes, model: type[Model]) -> Model:
    """The body of a request.

    Args:
        content: the bytes that were sent.
        model: an object with these fields.

    Raises:
        InvalidInput: it is not UTF-8, not JSON, or not such an object.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "model_type":
            names = ", ".join(repr(name) for name in model.model_fields)
            raise InvalidInput(f"the body is an object with {names}") from None
        if first["type"] == "json_invalid":
            raise InvalidInput(f"the body is not JSON: {first['msg']}") from None
        raise InvalidInput(reasons(error)) from None


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        return parse_qsl(
            query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except UnicodeDecodeError:
        raise InvalidInput("the query is not UTF-8") from None
    except ValueError:
        raise InvalidInput(f"a query has {MOST_PARAMETERS} parameters at the most") from None
