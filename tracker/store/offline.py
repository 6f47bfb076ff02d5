"""A database file that no server owns, checked where it is. Only reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import Busy, SessionopsError
from schemas.store import Check, Finding
from tracker.store.attach import quoted_path
from tracker.store.integrity import check_database

if TYPE_CHECKING:
    from pathlib import Path


def check_file(path: Path) -> Check:
    """Whether everything in a file can be read and fits together.

    Raises:
        Busy: a server has it open.
        SessionopsError: this DuckDB does not know its format.
    """
    import duckdb

    with duckdb.connect(":memory:", config={"autoload_known_extensions": False}) as connection:
        try:
            connection.execute(f"ATTACH {quoted_path(path)} AS store (READ_ONLY)")
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            if "Could not set lock" in reason:
                hint = "ask the server: session-buddy db check"
                raise Busy("a server has it open", where=str(path), hint=hint) from None
            if "version number" in reason:
                raise SessionopsError(reason, where=str(path)) from None
            unread = Finding(
                check="the file can be opened",
                ok=False,
                problem=reason,
                examples=[str(path)],
                hint="restore a backup: invoke restore --backup latest",
            )
            return Check(path=str(path), ok=False, findings=[unread])
        connection.execute("USE store")
        connection.execute("SET TimeZone = 'UTC'")
        findings = check_database(connection)
    return Check(path=str(path), ok=all(found.ok for found in findings), findings=findings)
