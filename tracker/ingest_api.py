"""``POST /api/v1/events``: the route that emitters send to, thousands of times a second.

It speaks ASGI itself: Starlette's request, routing and exception handling would take as long as
everything else that happens to an event before it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from schemas.errors import Busy, InvalidInput
from schemas.session import Event, EventBatch, IngestAnswer
from tracker.acknowledgements import Acknowledgements
from tracker.batches import NDJSON, read_events
from tracker.web.app import about_session, admit
from tracker.web.errors import Refused
from tracker.web.operations import Answer, Operation, Sent

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tracker.sessions import SessionService
    from tracker.web.traffic import Distribution

PATH = "/api/v1/events"

BATCH_BOUNDS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
"""Upper bounds in events: from one at a time to a spool that is delivered at once."""

LARGE_BODY = 1_000_000
"""Bytes from which a body is read in a thread, so that other requests need not wait for it."""


_AN_EVENT = {
    "event_id": "0f9a6c1e-1",
    "session_id": "1ng83zf6mhvzaca4",
    "event_type": "command",
    "timestamp": "2026-11-23T09:00:00Z",
    "sequence": 1,
    "duration_seconds": 0.007,
    "exit_code": 0,
    "data": {"text": "ps()"},
}


class IngestApi:
    """Stores a batch of events and answers when they are on disk.

    Args:
        service: the sessions.
        sizes: notes how many events requests have.
    """

    def __init__(self, service: SessionService, sizes: Distribution) -> None:
        self._service = service
        self._sizes = sizes
        self._acknowledgements: Acknowledgements[IngestAnswer] | None = None

    def operations(self) -> list[Operation]:
        """What can be asked."""
        return [
            Operation(
                method="POST",
                path=PATH,
                handler=self.ingest,
                direct=True,
                scopes=("ingest",),
                body=Sent(
                    EventBatch,
                    lines=Event,
                    media=tuple(sorted(NDJSON)),
                    checked=False,
                    example={"events": [_AN_EVENT]},
                ),
                answer=Answer("what became of them", IngestAnswer),
                refusals=(422, 429, 507),
                notes="Sending the same `event_id` again stores it once. A batch is stored whole, "
                "or not at all.",
            ),
        ]

    async def ingest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store a batch of events; answered when they are on disk."""
        headers = dict(reversed(scope["headers"]))
        if scope["query_string"]:
            raise InvalidInput("this takes no parameters")
        admit(scope, headers.get(b"authorization", b"").decode("latin-1"), "ingest")
        body = await _body(receive)
        try:
            kind = headers.get(b"content-type", b"").decode("latin-1")
            answer = await self._stored(scope, body, kind)
        except InvalidInput as error:
            raise Refused(422, error.message, hint=error.hint) from None
        except Busy as error:
            again = {"Retry-After": "1"}
            raise Refused(429, error.message, hint=error.hint, headers=again) from None
        await _send_json(send, to_json(answer) + b"\n")

    async def _stored(self, scope: Scope, body: bytes, content_type: str) -> IngestAnswer:
        if len(body) < LARGE_BODY:
            events = read_events(body, content_type)
        else:
            events = await run_in_threadpool(read_events, body, content_type)
        if not events:
            return IngestAnswer(accepted=0, duplicates=0)
        self._sizes.add(len(events))
        session_id = events[0].session_id
        # The last is compared first, so that a batch of many sessions costs one look.
        if events[-1].session_id == session_id and all(
            event.session_id == session_id for event in events
        ):
            about_session(scope, session_id)
        if self._acknowledgements is None:
            self._acknowledgements = Acknowledgements()
        acknowledged = self._acknowledgements.expect()
        self._service.ingest_for(acknowledged, events)
        return await acknowledged.future


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(cast("bytes", message.get("body", b"")))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _send_json(send: Send, content: bytes) -> None:
    headers = [
        (b"content-length", str(len(content)).encode()),
        (b"content-type", b"application/json"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
