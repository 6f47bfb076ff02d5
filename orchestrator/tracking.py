"""Proves that a session of this machine arrives in the tracker: sends one, and reads it back.

The session has the type ``acceptance``, which counts in no metric.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from schemas.errors import SessionopsError
from schemas.health import Probe
from schemas.release import version
from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
from tracker.client.servers import session_buddy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import Settings
    from tracker.client.http import ServerClient

CONNECTION = "Session-Buddy MCP"
TRACKING = "Session tracking"
CAPTURE = "Event capture"

_ENABLED = "mahavishnu.session.enabled"
_TIMEOUT = 5.0


def check_tracking(settings: Settings) -> Iterator[Probe]:
    """The guide's three lines (4.1), each as soon as it is known; nothing follows a failed one.

    Args:
        settings: the settings in force.
    """
    with session_buddy(settings, "read", timeout=_TIMEOUT) as tracker:
        try:
            health = tracker.health()
        except SessionopsError as error:
            yield Probe(CONNECTION, ok=False, value=error.message, hint=error.hint)
            return
        if health.status == "unhealthy":
            yield Probe(CONNECTION, ok=False, value="unhealthy", hint="session-buddy health")
            return
        yield Probe(CONNECTION, ok=True, value="connected")
        if not settings.flag(_ENABLED):
            hint = f"switched off by {settings.source(_ENABLED)}"
            yield Probe(TRACKING, ok=False, value="disabled", hint=hint)
            return
        texts = [f"acceptance check {secrets.token_hex(4)} {number}" for number in (1, 2)]
        emitter = _send(settings, texts)
        try:
            tracked = _session(tracker, emitter)
            yield tracked
            if tracked.ok:
                yield _events(tracker, emitter.session_id, texts)
        except SessionopsError as error:
            yield Probe(TRACKING, ok=False, value=error.message, hint=error.hint)


def _send(settings: Settings, texts: list[str]) -> Emitter:
    facts = session_facts("mahavishnu", "acceptance", version=version(), look_at_git=False)
    emitter = Emitter(facts, settings, delivery="manual")
    emitter.start()
    for text in texts:
        emitter.emit("command", {"text": text, "outcome": "ok"}, exit_code=0)
    emitter.end(0)
    return emitter


def _session(tracker: ServerClient, emitter: Emitter) -> Probe:
    if emitter.problem:
        message, _, hint = emitter.problem.partition("\n")
        return Probe(TRACKING, ok=False, value=message, hint=hint.strip())
    session = tracker.get(f"/api/v1/sessions/{emitter.session_id}")
    if session["status"] != "ended":
        value = f"the session {emitter.session_id} is {session['status']}, not ended"
        return Probe(TRACKING, ok=False, value=value, hint="session-buddy health")
    return Probe(TRACKING, ok=True, value="operational")


def _events(tracker: ServerClient, session_id: str, texts: list[str]) -> Probe:
    stored = tracker.get(f"/api/v1/sessions/{session_id}/events")["events"]
    expected = [
        ("session_start", None),
        *(("command", text) for text in texts),
        ("session_end", None),
    ]
    if [_told(event) for event in stored] != expected:
        value = f"{len(stored)} events of {session_id} came back, {len(expected)} were sent"
        hint = f"session-buddy list-events --session-id {session_id}"
        return Probe(CAPTURE, ok=False, value=value, hint=hint)
    return Probe(CAPTURE, ok=True, value="working")


def _told(event: dict[str, Any]) -> tuple[str, str | None]:
    return event["event_type"], event["data"].get("text")
