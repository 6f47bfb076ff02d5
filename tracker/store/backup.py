"""Backups: a snapshot, proven, compressed, described, and only then given its name.

Whatever ends the process half-way leaves a hidden work folder, which the next backup clears away.
Knows files and folders; where and when to back up is decided elsewhere (guide 7.3).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from schemas.backup import LATEST, SUFFIX, Manifest, manifest_name
from schemas.errors import DiskFull, InvalidInput, SessionopsError
from schemas.units import format_size
from tracker.store.attach import STORAGE_VERSION
from tracker.store.faults import NO_SPACE, is_disk_full
from tracker.store.snapshot import Snapshot, prove, take_snapshot
from tracker.store.workfolder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from duckdb import DuckDBPyConnection

    Result = TypeVar("Result")

    class Paused(Protocol):
        """Runs something with the writer's connection while nothing is written."""

        def __call__(self, work: Callable[[DuckDBPyConnection], Result]) -> Result:
            """The result of ``work``."""
            ...


WORK_FOLDER = ".backup-"
_CHUNK = 1 << 20
_DEEPEST = 100
"""Parts of the path of a folder that somebody names."""

_LEVEL = 3


def back_up(
    database: Path, directory: Path, paused: Paused, *, reason: str, release: str
) -> Manifest:
    """Make one backup.

    Args:
        database: the file.
        directory: where the backup goes; made if it is missing.
        paused: runs something with the writer's connection while nothing is written.
        reason: why it is made, for its manifest.
        release: version of this code, for its manifest.

    Raises:
        SessionopsError: no room, or the copy is not what it should be; nothing has got a name.
    """
    import duckdb

    try:
        with work_folder(directory, WORK_FOLDER) as work:
            _check_room(database, directory)
            copy = work / "copy.db"
            snapshot = paused(lambda connection: take_snapshot(connection, database, copy))
            prove(snapshot)
            return _keep(snapshot, directory, work, reason=reason, release=release)
    except (OSError, DiskFull) as error:
        if isinstance(error, DiskFull) or is_disk_full(error):
            raise DiskFull(
                f"the backup failed: {NO_SPACE}",
                where=str(directory),
                hint="make room there and where the database is; earlier backups are untouched",
            ) from error
        raise SessionopsError(
            f"the backup failed: {error.strerror or error}",
            where=str(error.filename or directory),
            hint="the backups before it are untouched",
        ) from error
    except duckdb.Error as error:
        raise SessionopsError(
            f"the database could not be copied: {str(error).splitlines()[0]}", where=str(database)
        ) from error


def named_folder(directory: str) -> Path:
    """A folder that somebody has named for backups; made if it is missing.

    Raises:
        InvalidInput: the path is not absolute, or nothing can be written there.
    """
    folder = Path(directory)
    if not folder.is_absolute() or len(folder.parts) > _DEEPEST:
        raise InvalidInput(f"{directory[:200]!r} is not an absolute path of a folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InvalidInput(
            f"the backup failed: {error.strerror}",
            where=directory[:200],
            hint="name a folder that the tracker can write to; the backups before it are untouched",
        ) from None


def _keep(
    snapshot: Snapshot, directory: Path, work: Path, *, reason: str, release: str
) -> Manifest:
    """Compress a proven snapshot and give it its name."""
    import duckdb

    packed = work / "packed"
    database_sha256, sha256 = _compress(snapshot.file, packed)
    if _sha256_unpacked(packed) != database_sha256:
        raise SessionopsError("the compressed backup differs from the copy", where=str(packed))
    content = snapshot.content
    manifest = Manifest(
        name=_free_name(directory),
        directory=str(directory),
        created_at=snapshot.taken_at.isoformat(timespec="milliseconds"),
        reason=reason,
        sha256=sha256,
        size=packed.stat().st_size,
        database_sha256=database_sha256,
        database_size=snapshot.file.stat().st_size,
        sessions=content.sessions,
        events=content.events,
        newest_event=content.newest_event.isoformat() if content.newest_event else None,
        schema_version=content.schema.version,
        min_reader=content.schema.min_reader,
        duckdb_version=duckdb.__version__,
        storage_version=STORAGE_VERSION,
        tool_version=release,
    )
    description = work / "manifest"
    description.write_text(json.dumps(manifest.as_dict(), indent=2) + "\n", encoding="utf-8")
    for file in (packed, description):
        file.chmod(0o600)
        _sync(file)
    # The backup's own name comes last: whoever sees it finds all of it.
    description.rename(directory / manifest_name(manifest.name))
    packed.rename(directory / manifest.name)
    _sync(directory)
    _point_latest(directory, manifest.name, work)
    return manifest


def _point_latest(directory: Path, name: str, work: Path) -> None:
    link = work / "latest"
    link.symlink_to(name)
    link.rename(directory / LATEST)
    _sync(directory)


def _free_name(directory: Path) -> str:
    """A name that says the second and that nothing else has; waits for the next one if need be."""
    while True:
        name = f"sessions-{datetime.now(UTC):%Y%m%d-%H%M%S}{SUFFIX}"
        taken = (directory / name, directory / manifest_name(name))
        if not any(path.exists() for path in taken):
            return name
        time.sleep(0.05)


def _compress(source: Path, target: Path) -> tuple[str, str]:
    """Compress a file; the sha256 of what was read and of what was written."""
    import zstandard

    raw, packed = hashlib.sha256(), hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj(
        size=source.stat().st_size
    )
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            raw.update(chunk)
            out = compressor.compress(chunk)
            packed.update(out)
            writing.write(out)
        out = compressor.flush()
        packed.update(out)
        writing.write(out)
    return raw.hexdigest(), packed.hexdigest()


def _sha256_unpacked(packed: Path) -> str:
    import zstandard

    digest = hashlib.sha256()
    with packed.open("rb") as file:
        for chunk in zstandard.ZstdDecompressor().read_to_iter(file, read_size=_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_room(database: Path, directory: Path) -> None:
    # The copy and its compressed form exist side by side for a while.
    needed = database.stat().st_size * 2
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DiskFull(
            f"a backup needs {format_size(needed)} for a while, {format_size(free)} are free",
            where=str(directory),
            hint="make room, or name another directory",
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
