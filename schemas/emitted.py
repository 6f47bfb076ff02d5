"""The events of ``schemas.session`` as emitters send them all day long, for a faster reader.

The same fields with the same bounds (a test compares the two), and stricter about spelling: a time
is RFC 3339, a number is no text. What does not fit here is no fault yet;
``schemas.session`` judges.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 -- msgspec reads the annotations
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

# \Z and not $, which in Python's expressions lets a line feed pass.
_Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")]
_Component = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,100}\Z")]
_Name = Annotated[str, Meta(min_length=1, max_length=100)]
_Text = Annotated[str, Meta(max_length=500)]


class EmittedFacts(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """``SessionFacts``."""

    component: _Component
    session_type: _Name = "admin_shell"
    user: _Text = ""
    host: _Text = ""
    cwd: _Text = ""
    pid: Annotated[int, Meta(ge=1, le=4194304)] | None = None
    version: _Text = ""
    git_branch: _Text = ""
    git_commit: _Text = ""
    git_dirty: bool | None = None
    author_kind: Literal["person", "agent"] = "person"
    run_id: _Identifier | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class EmittedEvent(Struct, forbid_unknown_fields=True, gc=False):
    """``Event``."""

    event_id: _Identifier
    session_id: _Identifier
    event_type: Literal[
        "session_start", "command", "error", "checkpoint", "step", "gap", "session_end"
    ]
    timestamp: Annotated[datetime, Meta(tz=True)]
    sequence: Annotated[int, Meta(ge=0, le=2**53)] = 0
    duration_seconds: Annotated[float, Meta(ge=0, le=1e10)] | None = None
    exit_code: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    data: dict[str, Any] = field(default_factory=dict)
    session: EmittedFacts | None = None

    def __post_init__(self) -> None:
        if self.session is None and self.event_type == "session_start":
            raise ValueError("a session_start event needs 'session'")


class EmittedBatch(Struct, forbid_unknown_fields=True):
    """``EventBatch``."""

    events: list[EmittedEvent]


read_batch = Decoder(EmittedBatch).decode
read_lines = Decoder(EmittedEvent).decode_lines
