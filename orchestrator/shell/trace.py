"""Lines about a session's life in the log of mahavishnu, for ``trace_sessions`` (guide 6.2)."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from schemas.settings import Settings


def tracer(settings: Settings, session_id: str) -> Callable[..., None]:
    """A function that writes ``level=TRACE`` lines, or does nothing when the setting is off.

    Args:
        settings: the settings in force.
        session_id: the session that the lines are about.
    """
    if not settings.flag("mahavishnu.trace_sessions"):
        return _silent
    from tracker.web.logs import log_file

    path = log_file("mahavishnu", settings.places)
    as_json = settings.text("mahavishnu.log_format") == "json"

    def write(event: str, **facts: Any) -> None:
        fields = {
            "timestamp": datetime.now(UTC).isoformat(),
            "level": "TRACE",
            "event": event,
            "session_id": session_id,
            "pid": os.getpid(),
            **facts,
        }
        _append(path, json.dumps(fields) if as_json else logfmt(fields))

    return write


def logfmt(fields: dict[str, Any]) -> str:
    """The fields as ``key=value``, in quotes where a value needs them."""
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _value(value: Any) -> str:
    from tracker.web.logfmt import printable

    text = printable(value if isinstance(value, str) else json.dumps(value))
    return json.dumps(text) if not text or set(text) & set(' ="\n\\') else text


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One write to a file opened for appending: the server may be writing to it as well.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        print(f"warning: the trace cannot be written: {error}", file=sys.stderr)


def _silent(_event: str, **_facts: Any) -> None:
    return
