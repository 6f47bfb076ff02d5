"""A named lock on a host, held by one run: a file that only one can make.

Works with sh alone, so it is the same on this machine and over SSH, and two control machines see
each other. Nobody frees another's lock; that of a dead owner is taken over.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.engine.liveness import is_alive
from orchestrator.tasks.command import run
from orchestrator.tasks.scope import scope
from schemas.errors import Busy, StepFailed

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

_HELD = 75  # EX_TEMPFAIL
_TRIES = 3
_ACQUIRE = """
umask 077
mkdir -p "$1" || exit 1
cat > "$1/$2.$3.tmp" || exit 1
if ln "$1/$2.$3.tmp" "$1/$2.lock" 2>/dev/null; then rm -f "$1/$2.$3.tmp"; exit 0; fi
rm -f "$1/$2.$3.tmp"
cat "$1/$2.lock"
exit 75
"""
# The folder lets one taker in at a time; one that a taker left behind is as old as a minute.
_TAKE_OVER = """
umask 077
find "$1/$2.taking" -prune -mmin +1 -exec rmdir {} \\; 2>/dev/null
mkdir "$1/$2.taking" 2>/dev/null || exit 75
trap 'rmdir "$1/$2.taking"' EXIT
grep -qF "$4" "$1/$2.lock" || exit 75
cat > "$1/$2.$3.tmp" && mv -f "$1/$2.$3.tmp" "$1/$2.lock"
"""
_RELEASE = 'if grep -qF "$3" "$1/$2.lock" 2>/dev/null; then rm -f "$1/$2.lock"; fi'


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Args:
        run_id: the run.
        host: the machine that the run's process is on.
        user: who started it.
        pid: its process.
        process_started: when that process started, in seconds since the epoch.
        since: when the lock was taken, ISO 8601.
    """

    run_id: str
    host: str
    user: str
    pid: int
    process_started: float
    since: str

    @property
    def mark(self) -> str:
        """What only this owner's lock file contains."""
        return f'"run_id": "{self.run_id}"'

    @property
    def is_dead(self) -> bool:
        """Whether its process is known to be gone; that of another machine is not."""
        return self.host == socket.gethostname() and not is_alive(self.pid, self.process_started)


class Lock:
    """A lock on one host.

    Args:
        c: the host's Context or Connection.
        name: the lock's name.
        owner: the run that wants it.
    """

    def __init__(self, c: Context, name: str, owner: Owner) -> None:
        self._context = c
        self._name = name
        self._owner = owner
        self._folder: Path = scope(c).places.state / "locks"

    @property
    def path(self) -> Path:
        """The file on the host."""
        return self._folder / f"{self._name}.lock"

    def acquire(self) -> Owner | None:
        """Take the lock. Returns the dead owner that it was taken from, if there was one.

        Raises:
            Busy: somebody else holds it.
            StepFailed: the folder cannot be written.
        """
        text = ""
        for _ in range(_TRIES):
            answer = self._sh(_ACQUIRE, self._owner.run_id)
            if answer.ok:
                return None
            if answer.exit_code != _HELD:
                raise StepFailed(
                    f"the lock {self._name!r} cannot be taken: {answer.stderr.strip()}",
                    where=scope(self._context).host.name,
                    hint=f"{self._folder} has to be writable",
                )
            text = answer.stdout
            holder = _read(text)
            if holder is not None and not holder.is_dead:
                raise self._held_by(holder)
            if holder is not None and self._sh(_TAKE_OVER, self._owner.run_id, holder.mark).ok:
                return holder
        raise self._unclear(text)

    def release(self) -> None:
        """Free it, if it is still this run's."""
        self._sh(_RELEASE, self._owner.mark)

    def _sh(self, script: str, *words: str) -> Any:
        content = json.dumps(dataclasses.asdict(self._owner)) + "\n"
        argv = ["sh", "-c", script, "sh", str(self._folder), self._name, *words]
        return run(self._context, argv, input=content, check=False)

    def _held_by(self, holder: Owner) -> Busy:
        away = "" if holder.host == socket.gethostname() else f" on {holder.host}"
        gone = f"; if that machine is gone: rm {shlex.quote(str(self.path))}" if away else ""
        return Busy(
            f"{self._name!r} is locked by the run {holder.run_id} of {holder.user}{away}"
            f" (process {holder.pid}) since {holder.since}",
            where=scope(self._context).host.name,
            hint=f"wait for it to end{gone}",
        )

    def _unclear(self, text: str) -> Busy:
        damaged = bool(text.strip()) and _read(text) is None
        what = "is damaged" if damaged else "changes hands at this moment"
        hint = (
            f"if no run is going on: rm {shlex.quote(str(self.path))}" if damaged else "try again"
        )
        return Busy(
            f"the lock {self._name!r} {what}", where=scope(self._context).host.name, hint=hint
        )


def _read(text: str) -> Owner | None:
    try:
        return Owner(**json.loads(text))
    except (json.JSONDecodeError, TypeError):
        return None
