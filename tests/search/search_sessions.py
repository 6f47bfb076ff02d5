"""Sessions as the tests of search tell them: a few commands each, and what is asked of them."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

from schemas.places import Places
from schemas.session import Event
from schemas.settings import Settings

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PATIENCE = 30.0

_numbers = itertools.count(1)


def settings_in(folder, **environ):
    """The settings of a deployment in a folder."""
    return Settings.load(Places(folder / "mahavishnu", folder / "session-buddy"), environ)


def event(session_id, event_type="command", text="", *, at=0.0, **fields):
    """An event, ``at`` seconds after nine o'clock."""
    fields.setdefault("event_id", f"told-{next(_numbers)}")
    if text:
        fields["data"] = {"text": text, **fields.get("data", {})}
    return Event(
        session_id=session_id,
        event_type=event_type,
        timestamp=NINE + timedelta(seconds=at),
        **fields,
    )


def session(session_id, *texts, at=0.0, **facts):
    """A session that ran these commands, one a second."""
    start = event(session_id, "session_start", at=at, session={"component": "mahavishnu", **facts})
    commands = [
        event(session_id, text=text, at=at + place, exit_code=0)
        for place, text in enumerate(texts, start=1)
    ]
    return [start, *commands]


def tell(service, *events):
    """Store events and wait until they can be found, also by meaning where there is a model."""
    service.ingest(events).result(PATIENCE)
    return indexed(service)


def indexed(service):
    """Wait until the index has everything; how far it has come."""

    def complete():
        progress = service.index_progress()
        embedded = not progress.model or progress.embedded == progress.texts
        return progress if progress.indexed == progress.events and embedded else None

    return until(complete, "the index")


def until(condition, what):
    """Wait until a condition holds; its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.01)
    return found


def texts(answer):
    return [hit.text for hit in answer.hits]


def sessions(answer):
    return [hit.event.session_id for hit in answer.hits]
