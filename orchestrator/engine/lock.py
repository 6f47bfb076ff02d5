"""A named lock on a host, held by one run: a file that only one can make.

Works with sh alone, so it is the same on this machine and over SSH, and two control machines see
each other. Nobody frees another's lock; that of a dead owner is taken over. Whether an owner on
another machine is dead shows in the file, which is touched while its run lives; the host's own
clock counts.
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

SILENCE = 2
"""Minutes without a sign of life after which an owner on another machine counts as dead."""
_HELD = 75  # EX_TEMPFAIL
_SILENT = 76
_LOST = 77
_SIGN_TIMEOUT = 20.0
_TRIES = 3
_ACQUIRE = """
umask 077
mkdir -p "$1" || exit 1
cat > "$1/$2.$3.tmp" || exit 1
if ln "$1/$2.$3.tmp" "$1/$2.lock" 2>/dev/null; then rm -f "$1/$2.$3.tmp"; exit 0; fi
rm -f "$1/$2.$3.tmp"
cat "$1/$2.lock"
find "$1/$2.lock" -mmin +"$4" 2>/dev/null | grep -q . && exit 76
exit 75
"""
# Whoever is silent may have come back meanwhile, so its age is looked at again.
# The folder lets one taker in at a time; one that a taker left behind is as old as a minute.
_TAKE_OVER = """
umask 077
find "$1/$2.taking" -prune -mmin +1 -exec rmdir {} \\; 2>/dev/null
mkdir "$1/$2.taking" 2>/dev/null || exit 75
trap 'rmdir "$1/$2.taking"' EXIT
grep -qF "$4" "$1/$2.lock" || exit 75
test -z "$5" || find "$1/$2.lock" -mmin +"$5" | grep -q . || exit 75
cat > "$1/$2.$3.tmp" && mv -f "$1/$2.$3.tmp" "$1/$2.lock"
"""
# -c: one that was freed in between is not made again.
_TOUCH = 'grep -qF "$3" "$1/$2.lock" || exit 77; touch -c "$1/$2.lock"'
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
    def is_here(self) -> bool:
        """Whether its process is one of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_dead(self) -> bool:
        """Whether its process is known to be gone; that of another machine is not."""
        return self.is_here and not is_alive(self.pid, self.process_started)


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
            answer = self._sh(_ACQUIRE, self._owner.run_id, str(SILENCE))
            if answer.ok:
                return None
            if answer.exit_code not in (_HELD, _SILENT):
                raise StepFailed(
                    f"the lock {self._name!r} cannot be taken: {answer.stderr.strip()}",
                    where=scope(self._context).host.name,
                    hint=f"{self._folder} has to be writable",
                )
            text = answer.stdout
            holder = _read(text)
            if holder is None:
                continue
            is_silent = answer.exit_code == _SILENT and not holder.is_here
            if not (holder.is_dead or is_silent):
                raise self._held_by(holder)
            age = str(SILENCE) if is_silent else ""
            if self._sh(_TAKE_OVER, self._owner.run_id, holder.mark, age).ok:
                return holder
        raise self._unclear(text)

    def touch(self) -> bool:
        """Give a sign of life. False: the lock is not this run's any more."""
        return bool(self._sh(_TOUCH, self._owner.mark, timeout=_SIGN_TIMEOUT).exit_code != _LOST)

    def release(self) -> None:
        """Free it, if it is still this run's."""
        self._sh(_RELEASE, self._owner.mark)

    def _sh(self, script: str, *words: str, timeout: float | None = None) -> Any:
        content = json.dumps(dataclasses.asdict(self._owner)) + "\n"
        argv = ["sh", "-c", script, "sh", str(self._folder), self._name, *words]
        return run(self._context, argv, input=content, check=False, timeout=timeout)

    def _held_by(self, holder: Owner) -> Busy:
        away = "" if holder.is_here else f" on {holder.host}"
        gone = f"; silent for {SILENCE} minutes, it is taken for dead" if away else ""
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
