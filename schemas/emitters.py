"""Messages of the session emitters of the Oneiric family: what their shells send over MCP.

Their contract is somebody else's: nothing here is stricter or more lenient than it is there.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)


def _moment(text: Any) -> datetime:
    if not isinstance(text, str) or "T" not in text:
        raise ValueError("is a time in ISO 8601 with a T, such as 2026-11-23T06:37:08+00:00")
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uuid(text: str) -> str:
    """One spelling, so that an event that is sent twice is the same event."""
    return str(uuid.UUID(text))


def _session_id(text: str) -> str:
    """The published emitter hands back the whole answer to the start, as text."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = answer.get("session_id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) else text


EventUuid = Annotated[
    str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    # Not "format": "date-time", which would demand a zone.
    WithJsonSchema({"type": "string", "description": "ISO 8601 with a T; without a zone: UTC"}),
]
UpTo100 = Annotated[str, StringConstraints(max_length=100)]
UpTo500 = Annotated[str, StringConstraints(max_length=500)]


class EmitterMessage(BaseModel):
    """Base of what an emitter sends: no other properties, and no type is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class EmitterUser(EmitterMessage):
    """Who runs the shell."""

    username: UpTo100
    home: UpTo500


class EmitterEnvironment(EmitterMessage):
    """What the shell runs in."""

    python_version: str
    platform: str
    cwd: UpTo500


class TrackSessionStart(EmitterMessage):
    """A shell has started."""

    event_version: Literal["1.0"]
    event_id: EventUuid = Field(description="the same id again is the same session")
    event_type: Literal["session_start"]
    component_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]+$")]
    shell_type: str = Field(description="such as MahavishnuShell")
    timestamp: Moment
    pid: int = Field(ge=1, le=4194304)
    user: EmitterUser
    hostname: str
    environment: EmitterEnvironment
    metadata: dict[str, Any] | None = None
    token: str | None = Field(None, description="not used: the request's own token counts")


class TrackSessionEnd(EmitterMessage):
    """A shell has ended."""

    session_id: Annotated[str, AfterValidator(_session_id)] = Field(
        description="of the start's answer, or that whole answer as JSON text"
    )
    timestamp: Moment
    event_type: Literal["session_end"] = "session_end"
    metadata: dict[str, Any] | None = Field(
        None, description="of it duration_seconds and exit_code are understood"
    )
    token: str | None = Field(None, description="not used: the request's own token counts")


class SessionTracked(BaseModel):
    """The answer to a start."""

    session_id: str | None
    status: Literal["tracked", "error"]
    error: str | None = None


class SessionEnded(BaseModel):
    """The answer to an end."""

    session_id: str | None
    status: Literal["ended", "not_found", "error"]
    error: str | None = None
