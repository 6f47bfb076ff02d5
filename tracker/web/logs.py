"""Where a server's log lines go and what they look like: logfmt, JSON by setting (guide 5.4)."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.places import Places
    from schemas.settings import Settings

SYSTEM_FOLDER = Path("/var/log/mahavishnu")
"""Where the guide looks for the log of the mahavishnu server."""

_LONGEST_FILE = 10_000_000
_KEPT_FILES = 5
_ORDER = ["timestamp", "level", "event", "request_id", "session_id"]


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
            path, maxBytes=_LONGEST_FILE, backupCount=_KEPT_FILES, encoding="utf-8"
        )
    ]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    formatter = _formatter(as_json=settings.text(f"{prefix}.log_format") == "json")
    for handler in handlers:
        handler.setFormatter(formatter)
    level = settings.text(f"{prefix}.log_level")
    logging.basicConfig(level=level, handlers=handlers, force=True)
    # What uvicorn says at INFO, the server says itself.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return path


def _shared() -> list[Callable[..., Any]]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _formatter(*, as_json: bool) -> logging.Formatter:
    last: Callable[..., Any] = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
