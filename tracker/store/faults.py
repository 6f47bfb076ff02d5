"""What DuckDB's errors mean for the store. They tell causes in words only, so words decide."""

from __future__ import annotations

from schemas.errors import DiskFull

NO_SPACE = "No space left on device"
_FULL = (NO_SPACE.lower(), "disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Whether something could not be written for want of room."""
    told = str(error).lower()
    return isinstance(error, DiskFull) or any(words in told for words in _FULL)


def is_given_up(error: BaseException) -> bool:
    """Whether DuckDB refuses to go on with the file until it is opened anew.

    It does so when a checkpoint failed, and after errors of its own. What was committed is safe.
    """
    return "invalidated" in str(error) or "onnection already closed" in str(error)


def reason_of(error: BaseException) -> str:
    """An error in a line."""
    if is_disk_full(error):
        return NO_SPACE
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def understood(error: Exception) -> Exception:
    """The error that the caller can act on; any other stays what it is."""
    if not is_disk_full(error) or isinstance(error, DiskFull):
        return error
    full = DiskFull(
        f"{NO_SPACE}; nothing was changed",
        hint="make room where the database is; session-buddy health tells how much is free",
    )
    full.__cause__ = error
    return full
