"""The process beside a hooked shell: reads the shell's pipe until the shell is gone.

Started by ``hook.bash`` and ``hook.zsh`` with the pipe as standard input. What was typed is in the
pipe and in the memory of this process, never on disk before the emitter has redacted it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
from tracker.client.hooks.session import ShellSession
from tracker.client.hooks.stream import BASH, ZSH, Stream
from tracker.client.identifiers import derived_identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.settings import Settings

_PIPE_SIZE = 1 << 20
_PIECE = 1 << 16
_EXEC_PATIENCE_MS = 500
"""A shell that ends closes its pipe a moment before it is gone; after ``exec`` it stays."""

_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_EXIT = 1 << 3
_PIDFD_INFO_SIZE = 64

_LAST_WORDS = 2.0
"""Seconds that a recorder that is told to stop waits for its shell, often told as well."""


class Recorder:
    """Records one shell, on this machine's Linux.

    Args:
        pipe: descriptor to read, in non-blocking mode.
        shell: the shell's process id.
        stream: takes apart what comes out of the pipe.
        session: told of each message.
    """

    def __init__(self, pipe: int, shell: int, stream: Stream, session: ShellSession) -> None:
        self._pipe = pipe
        self._shell = shell
        self._stream = stream
        self._session = session
        self._process = _watched(shell)
        self._stop_at = float("inf")

    def run(self) -> None:
        """Record until the shell is gone, has become another program, or we are told to stop."""
        signal.signal(signal.SIGTERM, self._stop)
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if self._process is None:
            self._drain()
            self._session.end(None)
            return
        poll.register(self._process, select.POLLIN)
        while not self._session.ended:
            left = self._stop_at - time.monotonic()
            if left <= 0:
                return
            ready = {descriptor for descriptor, _ in poll.poll(min(left, 3600) * 1000)}
            if self._process in ready:
                self._drain()
                self._session.end(exit_code_of_dead(self._shell, self._process))
                return
            if self._pipe in ready and not self._drain():
                break
        gone = self._gone(_EXEC_PATIENCE_MS)
        if self._session.ended or gone:
            self._session.end(exit_code_of_dead(self._shell, self._process))
        else:
            self._session.end(0, replaced_by=_program(self._shell))

    def _drain(self) -> bool:
        """Read all that is there; whether more can come."""
        while True:
            try:
                data = os.read(self._pipe, _PIECE)
            except BlockingIOError:
                return True
            if not data:
                return False
            for message in self._stream.feed(data):
                self._session.hear(message)

    def _gone(self, milliseconds: int) -> bool:
        if self._process is None:
            return True
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def _stop(self, _number: int, _frame: object) -> None:
        self._stop_at = min(self._stop_at, time.monotonic() + _LAST_WORDS)


def _watched(process: int) -> int | None:
    """A descriptor that becomes readable when a process is gone; None: it is gone already."""
    try:
        return os.pidfd_open(process)
    except ProcessLookupError:
        return None


def exit_code_of_dead(process: int, descriptor: int) -> int | None:
    """What a process ended with, as a shell says it; None: nobody knows.

    Before its parent has fetched that, /proc tells it, and afterwards Linux 6.15 or newer.

    Args:
        process: its id.
        descriptor: the same process as a pidfd.

    Source: proc(5), ``/proc/pid/stat``, fields 3 and 52; ``linux/pidfd.h``, ``PIDFD_GET_INFO``.
    """
    status: int | None = None
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        if fields[0] == "Z":
            status = int(fields[-1])
    if status is None:
        answer = bytearray(_PIDFD_EXIT.to_bytes(8, sys.byteorder).ljust(_PIDFD_INFO_SIZE, b"\0"))
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, _PIDFD_GET_INFO, answer)
            if int.from_bytes(answer[:8], sys.byteorder) & _PIDFD_EXIT:
                status = int.from_bytes(answer[-4:], sys.byteorder)
    if status is None:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _program(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "another program"


def _terminal(shell: int) -> str:
    try:
        return str(Path(f"/proc/{shell}/fd/0").readlink())
    except OSError:
        return ""


def _own_end_of_the_pipe() -> int:
    """The pipe for reading only: were it open for writing here, its end would never come."""
    pipe = os.open("/proc/self/fd/0", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # the user may have reached a limit; it is large enough
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    return pipe


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Record the shell whose pipe is standard input.")
    parser.add_argument("--shell", choices=("bash", "zsh"), required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--began", type=int, required=True, help="microseconds since 1970")
    parser.add_argument("--cwd", required=True)
    parser.add_argument("--starts", type=int, default=1, help="1: the first recorder of this shell")
    return parser.parse_args(words)


def _session(asked: argparse.Namespace, settings: Settings) -> ShellSession:
    facts = session_facts(
        asked.shell,
        "shell",
        version=asked.version,
        cwd=Path(asked.cwd),
        metadata={"terminal": _terminal(asked.pid)},
        look_at_git=settings.flag("session_buddy.session_tracking.auto_init"),
    )
    parts = (os.uname().nodename, str(asked.pid), str(asked.began))
    session_id = derived_identifier(asked.began // 1_000_000, *parts)
    began = datetime.fromtimestamp(asked.began / 1e6, UTC)
    facts["pid"] = asked.pid
    emitter = Emitter(facts, settings, session_id=session_id, began=began)
    if asked.starts == 1:
        emitter.start()
    else:
        emitter.emit("gap", {"dropped": 0, "reason": "the recorder of the shell was started anew"})
    return ShellSession(emitter, asked.cwd)


def main(words: Sequence[str] | None = None) -> None:
    """Record one shell to its end."""
    # A session of its own: neither Ctrl-C nor the end of the terminal is meant for it.
    with contextlib.suppress(PermissionError):
        os.setsid()
    from schemas.settings import Settings

    asked = _arguments(words)
    settings = Settings.load()
    if not settings.flag("mahavishnu.session.enabled"):
        return
    pipe = _own_end_of_the_pipe()
    session = _session(asked, settings)
    os.chdir("/")  # no file system stays busy on our account
    shape = BASH if asked.shell == "bash" else ZSH
    Recorder(pipe, asked.pid, Stream(shape), session).run()


if __name__ == "__main__":
    main()
