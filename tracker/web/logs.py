"""Where a server's log lines go and what they look like: logfmt, JSON by setting (guide 5.4).

Whatever a value holds, a line stays one line, and nobody who sends a value can forge another.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from tracker.client.redact import redact
from tracker.web.logfmt import escape_values

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from schemas.places import Places
    from schemas.settings import Settings

SYSTEM_FOLDER = Path("/var/log/mahavishnu")
"""Where the guide looks for the log of the mahavishnu server."""

LONGEST_FILE = 10_000_000
"""Bytes after which a log file is put aside and a new one begun."""

KEPT_FILES = 5
TRACE = 5
"""The level of lines about a session's life; whether they are written is a setting of its own."""

_LIFE = "sessions.life"
_ORDER = ["timestamp", "level", "event", "request_id", "session_id", "trace_id"]


def log_file(service: str, places: Places) -> Path:
    """The log file of a server.

    The mahavishnu server writes where the guide looks when that folder is there for it; a second
    deployment, in a home of its own, keeps its lines to itself.
    """
    if service == "session-buddy":
        return places.tracker_log / "session-buddy.log"
    usual = places.home == Path.home() / ".mahavishnu"
    shared = usual and SYSTEM_FOLDER.is_dir() and os.access(SYSTEM_FOLDER, os.W_OK)
    return (SYSTEM_FOLDER if shared else places.log) / f"{service}.log"


def configure_logging(service: str, settings: Settings, *, to_stderr: bool = False) -> Path:
    """Send structlog's and the standard library's lines to the log file of a server.

    Args:
        service: ``session-buddy`` or ``mahavishnu``.
        settings: the settings in force.
        to_stderr: show the lines on standard error too.

    Returns:
        The log file.
    """
    path = log_file(service, settings.places)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = service.replace("-", "_")
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            path, maxBytes=LONGEST_FILE, backupCount=KEPT_FILES, encoding="utf-8"
        )
    ]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    formatter = _formatter(as_json=settings.text(f"{prefix}.log_format") == "json")
    for handler in handlers:
        handler.setFormatter(formatter)
    level = settings.text(f"{prefix}.log_level")
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.addLevelName(TRACE, "TRACE")
    logging.getLogger(_LIFE).setLevel(TRACE)
    # What uvicorn says at INFO, the server says itself.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return path


def trace_line(event: str, **facts: Any) -> None:
    """Log a step of a session's life, whatever the least level is (guide 6.2).

    Args:
        event: the step, such as ``session_start``.
        facts: what else the line says; a text of a command is none.
    """
    facts.setdefault("pid", os.getpid())
    logging.getLogger(_LIFE).log(TRACE, event, extra={"facts": facts})


def _shared() -> list[Callable[..., Any]]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_secrets,
    ]


def _without_secrets(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """An error can quote what somebody sent."""
    if "exception" in line:
        line["exception"] = redact(line["exception"])
    return line


def _traced(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The facts of ``trace_line``, in the shape of the shell's own lines."""
    facts = getattr(line.get("_record"), "facts", None)
    if facts is not None:
        line.update({"level": "TRACE", **facts})
    return line


def _formatter(*, as_json: bool) -> logging.Formatter:
    last: list[Callable[..., Any]] = (
        [structlog.processors.JSONRenderer()]
        if as_json
        else [
            escape_values,
            structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True),
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(), _traced],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
