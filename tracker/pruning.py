"""Today's patterns of redaction over what is already stored, a second's work a call.

A part of the service layer. Each call says where the next one goes on, so a long run shows how far
it is, can be stopped at any time, and is begun anew without harm: what is masked stays masked.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from schemas.backup import LATEST, SUFFIX
from schemas.errors import Busy, DiskFull, InvalidInput, SessionopsError
from schemas.store import Pruned
from tracker.client.redact import redact_naming
from tracker.store import adhoc, backup, prune
from tracker.store.workfolder import clear_leftovers
from tracker.web import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from schemas.places import Places
    from schemas.store import Compaction
    from tracker.store.database import Database
    from tracker.store.prune import Kind
    from tracker.store.writer import Writer

SECONDS = 1.0
"""Of one call, about."""

_FILE = "file"
"""The place after the last row: the file itself."""

_log = structlog.get_logger("maintenance")


@dataclass(slots=True)
class _Found:
    """What one call came across."""

    seen: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    patterns: Counter[str] = field(default_factory=Counter)


class Pruning:
    """Prunes one database that is in use.

    Args:
        database: the database.
        writer: writes into it.
        places: the deployment, for its audit log and its backups.
        removed: called in the writer's thread when events were changed.
        compact: writes the file anew.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        places: Places,
        removed: Callable[[], object],
        compact: Callable[[], Compaction],
    ) -> None:
        self._database = database
        self._writer = writer
        self._places = places
        self._removed = removed
        self._compact = compact
        self._one_at_a_time = threading.Lock()

    def prune(self, *, apply: bool, after: str, actor: str) -> Pruned:
        """Look at some of what is stored, and mask what should not be there.

        Args:
            apply: mask it; otherwise it is only counted.
            after: the ``next`` of the call before; empty: from the beginning.
            actor: who wants it, for the audit log.

        Raises:
            InvalidInput: no call has given this place.
            Busy: another one is under way.
            DiskFull: there is no room; what was masked before stays masked.
            SessionopsError: the audit log cannot be written; nothing more was masked.
        """
        kind, key = _place(after)
        if not self._one_at_a_time.acquire(blocking=False):
            raise Busy("another prune is under way", hint="wait for it, then begin anew")
        try:
            if kind is None:
                return self._rewrite_file(apply=apply)
            found = _Found()
            further = self._some(kind, key, found, actor if apply else None)
        finally:
            self._one_at_a_time.release()
        unfinished = prune.is_unfinished(self._database)
        if further is None and apply and unfinished:
            further = _FILE
        return self._answer(found, further, apply=apply, unfinished=unfinished)

    def _some(self, kind: Kind, key: str, found: _Found, actor: str | None) -> str | None:
        """A second's work; where to go on, or None after the last row."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            rows = prune.read_piece(self._database, kind, key)
            if rows:
                self._piece(kind, rows, found, actor)
                key = rows[-1][0]
            elif kind is prune.KINDS[-1]:
                return None
            else:
                kind, key = prune.KINDS[-1], ""
        return f"{kind.name}:{key}"

    def _piece(
        self, kind: Kind, rows: list[tuple[str, ...]], found: _Found, actor: str | None
    ) -> None:
        changed: dict[str, list[str]] = {}
        patterns: Counter[str] = Counter()
        for key, *texts in rows:
            told = [
                _masked(text, document=column == kind.document)
                for column, text in zip(kind.columns, texts, strict=True)
            ]
            named = set[str]().union(*(names for _, names in told))
            if named:
                changed[key] = [text for text, _ in told]
                patterns.update(named)
        if changed and actor is not None:
            self._rewrite(kind, changed, patterns, actor)
        found.seen += len(rows)
        found.changed[kind.name] += len(changed)
        found.patterns += patterns

    def _rewrite(
        self, kind: Kind, changed: dict[str, list[str]], patterns: Counter[str], actor: str
    ) -> None:
        def note() -> None:
            audit.record(
                self._places,
                actor=actor,
                action="store.prune",
                subject=kind.name,
                rows=len(changed),
                patterns=dict(sorted(patterns.items())),
            )

        def work(connection: DuckDBPyConnection) -> None:
            prune.rewrite(connection, kind, changed, note)
            self._removed()

        try:
            self._writer.call(work).result()
        except OSError as error:
            raise SessionopsError(
                f"the audit log cannot be written, so nothing more was masked: {error.strerror}",
                where=str(audit.audit_file(self._places)),
            ) from error
        _log.info("texts masked", what=kind.name, rows=len(changed), actor=actor)

    def _rewrite_file(self, *, apply: bool) -> Pruned:
        compaction = None
        if apply and prune.is_unfinished(self._database):
            compaction = self._write_anew()
            self._writer.call(prune.finished).result()
        return self._answer(_Found(), None, apply=apply, unfinished=False, compaction=compaction)

    def _write_anew(self) -> Compaction:
        # What was cut off in the middle of a query or a backup has left a copy of the database.
        clear_leftovers(self._database.path.parent, adhoc.WORK_FOLDER)
        clear_leftovers(self._places.backups, backup.WORK_FOLDER)
        try:
            return self._compact()
        except DiskFull as error:
            raise DiskFull(
                f"what was found is masked, but its old text is still in the file: {error.message}",
                where=error.where,
                hint="make room, then run it again: session-buddy prune --apply",
            ) from error

    def _answer(
        self,
        found: _Found,
        further: str | None,
        *,
        apply: bool,
        unfinished: bool,
        compaction: Compaction | None = None,
    ) -> Pruned:
        return Pruned(
            applied=apply,
            seen=found.seen,
            total=prune.count_rows(self._database),
            sessions=found.changed[prune.SESSIONS.name],
            events=found.changed[prune.EVENTS.name],
            patterns=dict(found.patterns),
            next=further,
            unfinished=unfinished,
            compaction=compaction,
            backups=_backups(self._places),
            backups_in=str(self._places.backups),
        )


def _place(after: str) -> tuple[Kind | None, str]:
    """The kind of rows and the id after which to go on; no kind: the file."""
    if after == _FILE:
        return None, ""
    name, colon, key = (after or f"{prune.KINDS[0].name}:").partition(":")
    kind = next((kind for kind in prune.KINDS if kind.name == name), None)
    if kind is None or not colon:
        raise InvalidInput("'after' is not what an earlier answer gave as 'next'")
    return kind, key


def _masked(text: str, *, document: bool) -> tuple[str, set[str]]:
    """A stored text as it should be, and the patterns that changed it."""
    if not document:
        return redact_naming(text)
    try:
        data: Any = json.loads(text)
    except ValueError:  # session-buddy db check tells of it
        return redact_naming(text)
    masked, named = redact_naming(data)
    return (json.dumps(masked, separators=(",", ":")) if named else text), named


def _backups(places: Places) -> int:
    return sum(path.name != LATEST for path in places.backups.glob(f"*{SUFFIX}"))
