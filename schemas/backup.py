"""The manifest beside a backup of the tracker's database: what is in it, and how to tell that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SUFFIX = ".db.zst"
"""Of a backup; its manifest has the same stem and ``MANIFEST_SUFFIX``."""

MANIFEST_SUFFIX = ".manifest.json"
LATEST = f"sessions-latest{SUFFIX}"
"""The symbolic link to the newest backup of a folder."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. Sizes are bytes, times ISO 8601 in UTC.

    Args:
        name: file name of the backup, ``sessions-YYYYmmdd-HHMMSS.db.zst`` (UTC).
        directory: the folder that it was written to.
        created_at: when the snapshot was taken.
        reason: why, such as ``requested`` or ``before migration to schema 2``.
        sha256: of the backup, as it lies there.
        size: of the backup.
        database_sha256: of the database in it.
        database_size: of the database in it.
        sessions: rows of ``sessions``.
        events: rows of ``session_events``.
        newest_event: the latest arrival of an event, or None.
        schema_version: of the database.
        min_reader: the lowest release that can work with it.
        duckdb_version: that wrote it.
        storage_version: of the file.
        tool_version: release of this project that made the backup.
    """

    name: str
    directory: str
    created_at: str
    reason: str
    sha256: str
    size: int
    database_sha256: str
    database_size: int
    sessions: int
    events: int
    newest_event: str | None
    schema_version: int
    min_reader: str
    duckdb_version: str
    storage_version: str
    tool_version: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        """From JSON; what a newer release may have added is left out.

        Raises:
            KeyError: a field is missing.
        """
        return cls(**{name: data[name] for name in cls.__slots__})


def manifest_name(backup: str) -> str:
    """The file name of a backup's manifest."""
    return backup.removesuffix(SUFFIX) + MANIFEST_SUFFIX
