"""What was typed at the prompt, kept for the next shell without the secrets that were in it.

Knows IPython's history; nothing of the record that the tracker keeps.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from IPython.core.history import HistoryManager

from tracker.client.redact import redact

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


class RedactedHistory(HistoryManager):
    """IPython's history, redacted on its way to the disk.

    In memory it stays as typed, so that ``%rerun`` and the up key repeat what was really done.
    """

    def _writeout_input_cache(self, conn: sqlite3.Connection) -> None:
        self.db_input_cache = [
            (number, redact(source), redact(source_raw))
            for number, source, source_raw in self.db_input_cache
        ]
        super()._writeout_input_cache(conn)


def history_file(folder: Path) -> Path:
    """The file of the history, made if need be, for this user only.

    Args:
        folder: the shell's; it is there.
    """
    path = folder / "history.sqlite"
    # IPython itself tells of a file that cannot be used, and goes on without.
    with suppress(OSError):
        # Before SQLite opens it: what SQLite adds next to a database has the database's mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    return path
