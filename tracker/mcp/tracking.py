"""The tools with which shells of the Oneiric family report their sessions.

What cannot be stored is told in the answer (``status: error``), not as an error of the call: their
emitter reads it there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.emitters import SessionEnded, SessionTracked, TrackSessionEnd, TrackSessionStart
from schemas.errors import NotFound, SessionopsError
from schemas.session import Event, SessionFacts
from tracker.client.identifiers import identifier_of
from tracker.mcp.tool import Tool, faults

if TYPE_CHECKING:
    from tracker.sessions import SessionService

SESSION_TYPE = "admin_shell"
"""What the guide calls the sessions of these shells; which shell it is stands in the metadata."""


def tracking_tools(service: SessionService) -> list[Tool]:
    """The tools over one service."""

    def start(asked: TrackSessionStart) -> SessionTracked:
        try:
            event = started(asked)
            service.ingest([event]).result()
        except ValidationError as error:
            return SessionTracked(session_id=None, status="error", error=faults(error))
        except SessionopsError as error:
            return SessionTracked(session_id=None, status="error", error=str(error))
        return SessionTracked(session_id=event.session_id, status="tracked")

    def end(asked: TrackSessionEnd) -> SessionEnded:
        try:
            # Looked up first: the end of a session that does not exist must not be kept, waiting
            # for a start that would then be counted as ended.
            service.get_session(asked.session_id)
            service.ingest([ended(asked)]).result()
        except NotFound as error:
            return _not_ended(asked, "not_found", error.message)
        except ValidationError as error:
            return _not_ended(asked, "error", faults(error))
        except SessionopsError as error:
            return _not_ended(asked, "error", str(error))
        return SessionEnded(session_id=asked.session_id, status="ended")

    return [
        Tool(
            "track_session_start",
            "Report the start of a session",
            "For shells: records that a session has started. Not meant for agents.",
            TrackSessionStart,
            SessionTracked,
            start,
            "ingest",
            changes=True,
        ),
        Tool(
            "track_session_end",
            "Report the end of a session",
            "For shells: records that a session has ended. Not meant for agents.",
            TrackSessionEnd,
            SessionEnded,
            end,
            "ingest",
            changes=True,
        ),
    ]


def started(asked: TrackSessionStart) -> Event:
    """The event that a start becomes.

    The session's id is made of the event's, so that the same event always names the same session,
    also when it arrives twice at once or after a restart.

    Raises:
        ValidationError: longer than what is stored.
    """
    metadata = asked.metadata or {}
    version = metadata.get("component_version")
    facts = SessionFacts(
        component=asked.component_name,
        session_type=SESSION_TYPE,
        user=asked.user.username,
        host=asked.hostname,
        cwd=asked.environment.cwd,
        pid=asked.pid,
        version=version if isinstance(version, str) else "",
        metadata={
            **metadata,
            "shell_type": asked.shell_type,
            "home": asked.user.home,
            "python_version": asked.environment.python_version,
            "platform": asked.environment.platform,
        },
    )
    return Event(
        event_id=asked.event_id,
        session_id=_derived("start", asked.event_id),
        event_type="session_start",
        timestamp=asked.timestamp,
        session=facts,
    )


def ended(asked: TrackSessionEnd) -> Event:
    """The event that an end becomes; the same one however often the end arrives.

    Raises:
        ValidationError: not an id of a session.
    """
    metadata = asked.metadata or {}
    return Event(
        event_id=_derived("end", asked.session_id),
        session_id=asked.session_id,
        event_type="session_end",
        timestamp=asked.timestamp,
        sequence=1,
        duration_seconds=_number(metadata.get("duration_seconds")),
        exit_code=_whole(metadata.get("exit_code")),
        data=metadata,
    )


def _not_ended(asked: TrackSessionEnd, status: Any, reason: str) -> SessionEnded:
    return SessionEnded(session_id=asked.session_id, status=status, error=reason)


def _derived(purpose: str, text: str) -> str:
    return identifier_of(hashlib.sha256(f"{purpose} {text}".encode()).digest())


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
