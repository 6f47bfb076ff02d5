"""Brings a spool file to the tracker, in order, and sets aside what it will never take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import SessionopsError
from tracker.client.http import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.client.http import ServerClient
    from tracker.client.spool import Spool

EVENTS_PATH = "/api/v1/events"


@dataclass(slots=True)
class Delivered:
    """What became of the events of a spool file."""

    sent: int = 0
    set_aside: int = 0


def deliver(
    spool: Spool,
    client: ServerClient,
    most_events: int,
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> Delivered:
    """Send batch after batch until the file is empty.

    A batch stays in the file until it was acknowledged, so a failure loses nothing: what was sent
    is sent again, and the tracker stores each event once.

    Args:
        spool: the file.
        client: of the tracker, with the scope ``ingest``.
        most_events: events in a batch.
        go_on: asked before each batch but the first.

    Raises:
        SessionopsError: the tracker cannot be reached, is busy, or does not know us.
    """
    delivered = Delivered()
    while True:
        batch = spool.read(most_events)
        for line, reason in batch.bad:
            spool.set_aside(line, reason)
        refused = _send(client, batch.lines) if batch.lines else []
        for line, reason in refused:
            spool.set_aside(line, reason)
        aside = len(batch.bad) + len(refused)
        delivered.sent += len(batch.lines) - len(refused)
        delivered.set_aside += aside
        if not batch.lines and not aside and batch.end == spool.sent:
            return delivered
        spool.confirm(batch.end)
        if spool.unsent == 0 or not go_on():
            return delivered


def _send(client: ServerClient, lines: list[bytes]) -> list[tuple[bytes, str]]:
    """Send events; return those that were refused, found by halving so that others go on."""
    try:
        answer = client.post(EVENTS_PATH, b'{"events":[' + b",".join(lines) + b"]}")
    except Rejected as error:
        if len(lines) == 1:
            return [(lines[0], error.message)]
        middle = len(lines) // 2
        return _send(client, lines[:middle]) + _send(client, lines[middle:])
    if not isinstance(answer, dict) or "accepted" not in answer:
        raise SessionopsError(f"what answers on {client.base_url} is not Session-Buddy")
    return []
