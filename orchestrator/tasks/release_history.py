"""Which releases were switched to on a host, which of them proved good, and what follows from it.

``state/releases.jsonl`` has a line before each switch (``activated``), and one when what runs was
proven good (``confirmed``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.tasks import command
from orchestrator.tasks.release_record import now
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from invoke.context import Context

    from orchestrator.tasks.release_record import Release

# A line that a killed run left half written goes first.
_APPEND = (
    'umask 077; mkdir -p -- "$(dirname -- "$1")"; '
    'test -z "$(tail -c 1 -- "$1" 2>/dev/null)" || sed -i "\\$d" -- "$1"; '
    'cat >> "$1"; sync -- "$1" 2>/dev/null || :'
)


@dataclass(frozen=True)
class Entry:
    """A line of the history.

    Args:
        event: ``activated``: ``current`` is about to name it; ``confirmed``: it was proven good;
            ``reverted``: a run that failed put it back.
        release: its id; empty when there was none to put back.
        back: it was gone back to, not deployed.
        at: when, UTC.
        run_id: in which run.
    """

    event: Literal["activated", "confirmed", "reverted"]
    release: str
    back: bool = False
    at: str = field(default_factory=now)
    run_id: str = ""


def history(c: Context) -> list[Entry]:
    """The history, oldest first.

    Raises:
        InvalidInput: a line other than the last cannot be read; a last one may be half written.
    """
    path = scope(c).places.state / "releases.jsonl"
    lines = (command.read_file(c, path) or b"").decode(errors="replace").splitlines()
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            data: dict[str, Any] = json.loads(line)
            known = {key: data[key] for key in Entry.__dataclass_fields__ if key in data}
            entries.append(Entry(**known))
        except (ValueError, TypeError):
            if number < len(lines):
                raise InvalidInput(
                    "this is not a line of the history of releases",
                    where=f"{path}:{number}",
                    hint="remove the line; the releases themselves are not touched",
                ) from None
    return entries


def record(c: Context, entry: Entry) -> None:
    """Add a line to the history, on disk before this returns."""
    path = scope(c).places.state / "releases.jsonl"
    line = json.dumps({**asdict(entry), "run_id": scope(c).run_id}) + "\n"
    command.run(c, ["sh", "-c", _APPEND, "sh", path], input=line)


def confirmed(entries: Sequence[Entry]) -> list[str]:
    """The releases that proved good, as a stack: a deploy puts one on top, going back takes off."""
    stack: list[str] = []
    for entry in entries:
        if entry.event != "confirmed":
            continue
        if entry.back and entry.release in stack:
            while stack[-1] != entry.release:
                stack.pop()
        elif stack[-1:] != [entry.release]:
            stack.append(entry.release)
    return stack


def release_before(
    entries: Sequence[Entry], current: str | None, usable: Collection[str]
) -> str | None:
    """The release that a rollback goes to, or None.

    Args:
        entries: the history.
        current: the release that ``current`` names.
        usable: the releases that are there, whole, and did not fail.
    """
    last = entries[-1] if entries else None
    if last and last.event == "activated" and last.back and last.release == current:
        # A rollback that died after its switch is finished, not rolled back in turn.
        return current
    for release in reversed(confirmed(entries)):
        if release != current and release in usable:
            return release
    return None


def surplus(
    found: Sequence[Release], entries: Sequence[Entry], current: str | None, keep: int
) -> list[str]:
    """The releases to remove so that ``keep`` are left, the newest.

    The current one and the one that a rollback goes to are never among them.

    Args:
        found: every release, the newest first.
        entries: the history.
        current: the release that ``current`` names.
        keep: how many are to be left.
    """
    usable = {release.id for release in found if release.state == "ready"}
    safe = {current, release_before(entries, current, usable)}
    spare = [release.id for release in found if release.id not in safe]
    return spare[max(0, keep - (len(found) - len(spare))) :]
