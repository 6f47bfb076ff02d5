"""The body of an ingest request: JSON or NDJSON, in which every event is checked.

Apart from the server's routes because it is pure and because a whole batch is refused for one bad
event: who sends it must be told which one, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import MsgspecError
from pydantic import TypeAdapter, ValidationError

from schemas.emitted import read_batch, read_lines
from schemas.errors import InvalidInput
from schemas.session import Event, EventBatch
from tracker.web.reasons import reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.emitted import EmittedEvent

NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

_NOTHING = "nothing of this request was stored"
_LINES = TypeAdapter(list[Event])


def read_events(body: bytes, content_type: str) -> Sequence[Event | EmittedEvent]:
    """The events of a request.

    Read in the emitters' own form first, which takes a fifth of the time; whatever that reader does
    not take, the other one judges.

    Args:
        body: ``{"events": [...]}``, or one event a line.
        content_type: the header; anything but a type of NDJSON means JSON.

    Raises:
        InvalidInput: it is not UTF-8, not JSON, or an event is not as it should be.
    """
    in_lines = content_type.partition(";")[0].strip().lower() in NDJSON
    try:
        return read_lines(body) if in_lines else read_batch(body).events
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return _judge(body, in_lines=in_lines)


def _judge(body: bytes, *, in_lines: bool) -> list[Event]:
    try:
        if in_lines:
            lines = [line for line in body.split(b"\n") if line.strip()]
            events = _LINES.validate_json(b"[" + b",".join(lines) + b"]")
            if len(events) != len(lines):
                raise InvalidInput("a line is one event, whole", hint=_NOTHING)
            return events
        return EventBatch.model_validate_json(body).events
    except ValidationError as error:
        raise InvalidInput(reasons(error), hint=_NOTHING) from None
