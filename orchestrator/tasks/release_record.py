"""The releases on a host: the record in each one's folder, and which of them is in use.

A release's folder holds ``release.json`` once it is whole; a folder without it is incomplete.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import NotFound
from schemas.places import is_checkout
from schemas.release import release_id

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

State = Literal["ready", "failed", "incomplete"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_RECORD_MODE = 0o644
_LIST = (
    'for d in "$1"/*/; do test -d "$d" || continue; '
    'printf "\\036%s\\n" "$(basename -- "$d")"; cat -- "$d/release.json" 2>/dev/null; done'
)
_CURRENT = 'test -e "$1" && readlink -- "$1"'


def now() -> str:
    """This moment in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Release:
    """``release.json``.

    Args:
        id: also the folder's name.
        version: of the project.
        source: what it was made from, for a person.
        commit: the git commit, or empty.
        python: the version of its interpreter.
        schema_version: of the database that it reads and writes.
        created: when it was made, UTC.
        state: incomplete: its folder has no ``release.json``.
        reason: why it failed.
        failed_at: when it failed, UTC.
    """

    id: str
    version: str = ""
    source: str = ""
    commit: str = ""
    python: str = ""
    schema_version: int = 0
    created: str = ""
    state: State = "incomplete"
    reason: str = ""
    failed_at: str = ""

    def as_json(self) -> bytes:
        """The content of the file."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def folder_of(c: Context, release: str) -> Path:
    """The folder of a release."""
    return scope(c).places.releases / release


def releases(c: Context) -> list[Release]:
    """Every release on the host, the newest first; incomplete ones last."""
    answer = command.run(c, ["sh", "-c", _LIST, "sh", scope(c).places.releases], check=False)
    found = []
    for part in answer.stdout.split("\x1e")[1:]:
        name, _, text = part.partition("\n")
        found.append(_read(name, text))
    return sorted(found, key=lambda release: release.created, reverse=True)


def release_named(c: Context, name: str) -> Release | None:
    """What is known of a release; None when no folder of that name holds a ``release.json``."""
    if not _ID.fullmatch(name):
        return None
    content = command.read_file(c, folder_of(c, name) / "release.json")
    return None if content is None else _read(name, content.decode(errors="replace"))


def whole_release(c: Context, version: str) -> Release | None:
    """The release that ``version`` names; without one, the release that this code itself is.

    Returns:
        None when it names none that is there and whole; it may name something else then.

    Raises:
        NotFound: that release failed.
    """
    found = release_named(c, version or ("" if is_checkout() else release_id()))
    if version and found and found.state == "failed":
        raise not_usable(c, version, found)
    return found if found and found.state == "ready" else None


def not_usable(c: Context, release: str, found: Release | None) -> NotFound:
    """The error for a release that cannot be switched to."""
    what = "it is not whole" if found else "there is none"
    if found and found.state == "failed":
        what = f"it failed at {found.failed_at}: {found.reason}"
    return NotFound(
        f"no release {release!r} to switch to: {what}",
        where=scope(c).host.name,
        hint="list the releases: invoke release.list",
    )


def _read(name: str, text: str) -> Release:
    try:
        data: dict[str, Any] = json.loads(text)
        known = {key: data[key] for key in Release.__dataclass_fields__ if key in data}
        return Release(**{**known, "id": name})
    except (ValueError, TypeError):
        return Release(name)


def usable(c: Context) -> set[str]:
    """The ids of the releases that are whole and did not fail."""
    return {release.id for release in releases(c) if release.state == "ready"}


def write_release(c: Context, release: Release) -> None:
    """Write ``release.json``, in one rename."""
    path = folder_of(c, release.id) / "release.json"
    command.write_file(c, path, release.as_json(), _RECORD_MODE)


def current_release(c: Context) -> str | None:
    """The id of the release that ``current`` names; None when it names none that is there."""
    answer = command.run(c, ["sh", "-c", _CURRENT, "sh", scope(c).places.current], check=False)
    return answer.stdout.rstrip("\n").rstrip("/").rsplit("/", 1)[-1] or None
