"""Processes that are kept without a service manager: a record in a file, and what it tells.

The record holds PID, start time and boot, so that another process that has got the same number is
never taken for ours. It needs /proc, as Linux has it.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePath

    from invoke.context import Context

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_PROC = 69
_MOMENT = (
    'moment() { s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; '
    's=${s##*) }; set -- $s; test "$1" != Z || return 1; shift 19; '
    'echo "$1 $(cat /proc/sys/kernel/random/boot_id)"; }; '
)
# The record is written by the shell that starts it: nothing runs that nobody knows of, whatever
# ends the connection in between.
_START = (
    _MOMENT + "set -e; test -r /proc/self/stat || exit 69; "
    "record=$1 log=$2 folder=$3 settings=$4 described=$5; shift 5; umask 077; "
    'mkdir -p "$(dirname "$record")" "$(dirname "$log")"; cd "$folder"; '
    'if test -n "$settings"; then set -a; . "$settings"; set +a; fi; '
    'setsid "$@" </dev/null >>"$log" 2>&1 & pid=$!; '
    'm=$(moment $pid) || m="0 -"; '
    'printf "%s %s\\n%s\\n" "$pid" "$m" "$described" > "$record.tmp"; '
    'mv -f "$record.tmp" "$record"; echo "$pid"'
)
_LOOK = _MOMENT + (
    'test -e "$1" || exit 66; cat "$1"; pid=$(head -n 1 "$1" | cut -d" " -f1); moment "$pid" || :'
)
# Without --: dash takes that for a process.
_STOP = _MOMENT + (
    'kill "-$3" "-$1" 2>/dev/null || kill "-$3" "$1" 2>/dev/null || :; n=$4; '
    'while test "$(moment "$1")" = "$2"; do test "$n" -gt 0 || break; n=$((n-1)); sleep 0.1; done; '
    'kill -KILL "-$1" 2>/dev/null || :; n=20; '
    'while test "$(moment "$1")" = "$2"; do test "$n" -gt 0 || exit 1; n=$((n-1)); sleep 0.1; done'
)
_SIGNAL = _MOMENT + 'test "$(moment "$1")" = "$2" && kill "-$3" "$1"'


@dataclass(frozen=True)
class Described:
    """How a process is started; the record keeps it, so it holds no secrets.

    Args:
        argv: program and arguments.
        folder: where it starts.
        log: the file that its output is added to.
        settings: a file of ``NAME=value`` lines that its environment gets beside; empty: none.
    """

    argv: tuple[str, ...]
    folder: str
    log: str
    settings: str = ""

    def as_text(self) -> str:
        """One line, for the record and for comparing."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Kept:
    """A process as its record and the host tell of it.

    Args:
        pid: its number; None when it does not run.
        moment: its start time and boot, as the record has them.
        described: how it was started; None: the record cannot be read.
    """

    pid: int | None
    moment: str
    described: Described | None


def record_of(c: Context, name: str) -> Path:
    """The file that tells of a process.

    Raises:
        InvalidInput: not a name that a file can have.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not the name of a process", hint="letters, digits, dots and dashes"
        )
    return scope(c).places.state / "processes" / f"{name}.record"


def start_argv(record: PurePath | str, described: Described) -> list[str]:
    """Start a process in a session of its own, and write its record."""
    words = [str(record), described.log, described.folder, described.settings, described.as_text()]
    return ["sh", "-c", _START, "sh", *words, *described.argv]


def stop_argv(pid: int, moment: str, signal: str, grace: float) -> list[str]:
    """Ask a process and its children to end, and after ``grace`` seconds stop asking."""
    return ["sh", "-c", _STOP, "sh", str(pid), moment, read_signal(signal), str(round(grace * 10))]


def signal_argv(pid: int, moment: str, signal: str) -> list[str]:
    """Send a signal to a process, if it is still the same one."""
    return ["sh", "-c", _SIGNAL, "sh", str(pid), moment, read_signal(signal)]


def read_signal(signal: str) -> str:
    """A signal's name without its SIG.

    Raises:
        InvalidInput: it is not a name.
    """
    name = signal.upper().removeprefix("SIG")
    if not re.fullmatch(r"[A-Z]+[0-9]?", name):
        raise InvalidInput(f"{signal!r} is not a signal", hint="write HUP, USR1, TERM")
    return name


def look(c: Context, name: str) -> Kept:
    """How a process is; changes nothing."""
    answer = command.run(c, ["sh", "-c", _LOOK, "sh", record_of(c, name)], check=False)
    lines = answer.stdout.splitlines()
    if not answer or len(lines) < 2:  # noqa: PLR2004 -- the record's own lines
        return Kept(None, "", None)
    number, _, moment = lines[0].partition(" ")
    now = lines[2] if len(lines) > 2 else ""  # noqa: PLR2004 -- after the record's lines
    pid = int(number) if now == moment and number.isdigit() else None
    return Kept(pid, moment, described_in(lines[1]))


def described_in(text: str) -> Described | None:
    """What a record says of how its process is started; None when it cannot be read."""
    try:
        data = json.loads(text)
        return Described(tuple(data["argv"]), data["folder"], data["log"], data["settings"])
    except (ValueError, KeyError, TypeError):
        return None


def start(c: Context, name: str, described: Described) -> int:
    """Start it.

    Returns:
        Its PID.

    Raises:
        StepFailed: there is no such folder or settings file, or the host has no /proc.
    """
    answer = command.run(c, start_argv(record_of(c, name), described), check=False)
    if answer.exit_code == _NO_PROC:
        raise StepFailed("processes are kept on Linux only", where=scope(c).host.name)
    if not answer:
        raise StepFailed(
            f"{name} could not be started: {' | '.join(answer.stderr.splitlines()[-3:])}",
            where=scope(c).host.name,
        )
    return int(answer.stdout)


def stop(c: Context, kept: Kept, signal: str, grace: float) -> None:
    """End it and its children.

    Raises:
        StepFailed: it goes on running.
    """
    if kept.pid is None:
        return
    limit = scope(c).remaining(grace)
    if not command.run(c, stop_argv(kept.pid, kept.moment, signal, limit), check=False):
        raise StepFailed(
            f"pid {kept.pid} could not be ended",
            where=scope(c).host.name,
            hint="does it belong to another user?",
        )


def log_tail(c: Context, described: Described) -> str:
    """The last lines that it said."""
    argv: Sequence[str] = ["tail", "-n", "5", "--", described.log]
    lines = command.run(c, argv, check=False).stdout.splitlines()
    return scope(c).secrets.mask(" | ".join(line.strip() for line in lines if line.strip()))
