"""Sessions and events: what emitters send and the tracker answers (guide 9.3, wire contract)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from schemas.numbers import Whole

EVENT_TYPES = ("session_start", "command", "error", "checkpoint", "step", "gap", "session_end")
STATUSES = ("active", "ended", "failed", "abandoned")
MAX_CLOCK_LEAD = timedelta(hours=24)
"""How far ahead of the server's clock an event may be."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(max_length=500)]


def _no_number(moment: Any) -> Any:
    # Left to itself pydantic takes 1700000000, and the same as a text, for seconds since 1970.
    if isinstance(moment, (int, float)) or (isinstance(moment, str) and moment[4:5] != "-"):
        raise ValueError("this is a time in ISO 8601 with its zone, such as 2026-11-23T09:00:00Z")
    return moment


Timestamp = Annotated[AwareDatetime, BeforeValidator(_no_number)]


class Message(BaseModel):
    """Base of what goes over the wire; unknown properties are refused."""

    model_config = ConfigDict(extra="forbid")


class SessionFacts(Message):
    """What is known about a session when it starts."""

    component: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,100}$")]
    session_type: Name = "admin_shell"
    user: Text = ""
    host: Text = ""
    cwd: Text = ""
    pid: Annotated[int, Whole(1, 4194304)] | None = None
    version: Text = ""
    git_branch: Text = ""
    git_commit: Text = ""
    git_dirty: StrictBool | None = None
    author_kind: Literal["person", "agent"] = "person"
    run_id: Identifier | None = None
    metadata: dict[str, Any] = {}


class Event(Message):
    """One event. Sending the same ``event_id`` twice stores it once."""

    model_config = ConfigDict(
        # What ``_start_has_facts`` checks, for those who read the schema.
        json_schema_extra={
            "if": {"properties": {"event_type": {"const": "session_start"}}},
            "then": {
                "required": ["session"],
                "properties": {"session": {"type": "object"}},
            },
        }
    )

    event_id: Identifier
    session_id: Identifier
    event_type: Literal[
        "session_start", "command", "error", "checkpoint", "step", "gap", "session_end"
    ]
    timestamp: Timestamp
    sequence: Annotated[int, Whole(0, 2**53)] = Field(
        0, description="position in its session, as counted by the sender"
    )
    duration_seconds: float | None = Field(None, strict=True, ge=0, le=1e10, allow_inf_nan=False)
    exit_code: Annotated[int, Whole(-(2**31), 2**31 - 1)] | None = None
    data: dict[str, Any] = {}
    session: SessionFacts | None = None

    @model_validator(mode="after")
    def _start_has_facts(self) -> Self:
        if self.event_type == "session_start" and self.session is None:
            raise ValueError("a session_start event needs 'session'")
        return self


class EventBatch(Message):
    """The body of a request that sends events."""

    events: list[Event]


class IngestAnswer(Message):
    """What became of a batch. It is sent after the commit."""

    accepted: int
    duplicates: int


class Session(Message):
    """A stored session."""

    session_id: str
    component: str
    session_type: str
    status: Literal["active", "ended", "failed", "abandoned"]
    start_time: AwareDatetime
    end_time: AwareDatetime | None = None
    duration_seconds: float | None = None
    command_count: int = 0
    error_count: int = 0
    event_count: int = 0
    exit_code: int | None = None
    user: str = ""
    host: str = ""
    cwd: str = ""
    pid: int | None = None
    version: str = ""
    git_branch: str = ""
    git_commit: str = ""
    git_dirty: bool | None = None
    author_kind: str = "person"
    run_id: str | None = None
    last_seen: AwareDatetime | None = None
    metadata: dict[str, Any] = {}
    archived: bool = False


class StoredEvent(Message):
    """A stored event."""

    event_id: str
    session_id: str
    event_type: str
    timestamp: AwareDatetime
    received_at: AwareDatetime
    sequence: int = 0
    duration_seconds: float | None = None
    exit_code: int | None = None
    data: dict[str, Any] = {}


class SessionList(Message):
    """A page of sessions."""

    sessions: list[Session]
    total: int = Field(description="how many there are in all")
    next: str | None = Field(description="the cursor of what follows; none: nothing does")


class EventList(Message):
    """A page of events."""

    events: list[StoredEvent]
    next: str | None = Field(description="the cursor of what follows; none: nothing does")


class ErrorBody(Message):
    """The body of every answer with a status of 400 or above."""

    error: str = Field(description="what was wrong")
    hint: str = Field("", description="what to do next")
    request_id: str = Field("", description="find the request in the log by it")
