"""The audit log: who changed what, a JSON line each, in one file for both servers.

Each line holds the hash of the line before it, so a line that was changed, removed or put elsewhere
shows. A line is on disk before what it tells of is done.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.places import Places

_LONGEST_LINE = 100_000
"""Bytes in which the end of the log holds a whole line."""


def audit_file(places: Places) -> Path:
    """The audit log of a deployment."""
    return places.audit / "audit.jsonl"


def record(places: Places, *, actor: str, action: str, subject: str, **details: Any) -> None:
    """Add a line.

    Args:
        places: the deployment.
        actor: who does it: the subject of a token.
        action: what is done, such as ``session.delete``.
        subject: to what.
        details: more of it; never a secret.

    Raises:
        OSError: it could not be written; what it tells of must not be done.
    """
    path = audit_file(places)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": details,
            "previous": _hash_of_last_line(descriptor),
        }
        os.write(descriptor, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_of_last_line(descriptor: int) -> str:
    """The sha256 of the last line without its end; empty for the first line of all."""
    size = os.fstat(descriptor).st_size
    end = os.pread(descriptor, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    last = end.rstrip(b"\n").rpartition(b"\n")[2]
    return hashlib.sha256(last).hexdigest() if last else ""
