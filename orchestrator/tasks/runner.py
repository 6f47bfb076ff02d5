"""How ``c.run`` starts a process on this machine: quickly, in a process group, with bounded output.

Invoke's own ``Local`` runner polls every 10 ms, reads standard input a character at a time, keeps
all output, and on a timeout kills only the shell. What is interactive (pty, watchers, the terminal
as standard input) is left to it.
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from invoke.exceptions import CommandTimedOut, UnexpectedExit
from invoke.runners import Local, Result

from orchestrator.tasks.halt import raise_if_halted

if TYPE_CHECKING:
    from invoke.context import Context

SHELL = "/bin/sh"
OUTPUT_LIMIT = 2 * 1024 * 1024
"""Bytes kept of each stream: the first half and the last half of this."""
GRACE = 2.0
"""Seconds between asking a process group to end (SIGTERM) and ending it (SIGKILL)."""
DRAIN = 0.2
"""Seconds to go on reading after the process ended while a child of its own holds the pipe open."""
_CHUNK = 65536
INTERACTIVE = ("pty", "watchers", "asynchronous", "disown", "dry", "out_stream", "err_stream")
"""Options of ``c.run`` that are left to Invoke and Fabric."""


def use_local_runner(c: Context) -> None:
    """Make this Context run its commands with ``GroupRunner``, and with the sh of every host."""
    c.config.runners.local = GroupRunner
    c.config.run.shell = SHELL


class BoundedOutput:
    """The beginning and the end of a stream of any length.

    Args:
        limit: bytes to keep in all.
        echo: where it is shown while it comes.
    """

    def __init__(self, limit: int = OUTPUT_LIMIT, echo: TextIO | None = None) -> None:
        self._half = limit // 2
        self._echo = echo
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def write(self, chunk: bytes) -> None:
        """Add what was read."""
        if self._echo is not None:
            self._echo.write(chunk.decode(errors="replace"))
            self._echo.flush()
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        if len(self._tail) > 2 * self._half:
            self._trim()

    def text(self) -> str:
        """What was kept, with a line where something was left out."""
        self._trim()
        gap = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        return (bytes(self._head) + gap + bytes(self._tail)).decode(errors="replace")

    def _trim(self) -> None:
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess


class GroupRunner(Local):
    """Invoke's local runner, with the process in a group of its own.

    Standard input is an ``io.BytesIO`` or nothing.
    """

    def _run_body(self, command: str, **kwargs: Any) -> Result | None:
        wanted = {**self.context.config.run, **kwargs}
        stdin = wanted.get("in_stream")
        ours = stdin is False or isinstance(stdin, io.BytesIO)
        if not ours or any(wanted.get(name) for name in INTERACTIVE):
            return super()._run_body(command, **kwargs)
        self._setup(command, kwargs)
        return self._in_group(command, stdin.getvalue() if stdin else None)

    def _in_group(self, command: str, content: bytes | None) -> Result:
        process = subprocess.Popen(
            [self.opts["shell"], "-c", command],
            env=self.env,
            stdin=subprocess.DEVNULL if content is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        timeout = self.opts["timeout"]
        hidden = self.opts["hide"]
        outputs = (
            BoundedOutput(echo=None if "stdout" in hidden else sys.stdout),
            BoundedOutput(echo=None if "stderr" in hidden else sys.stderr),
        )
        try:
            in_time = exchange(process, content, outputs, timeout)
        except BaseException:
            end_group(process)
            raise
        finally:
            _close(process)
        result = self.generate_result(
            **dict(
                self.result_kwargs,
                stdout=outputs[0].text(),
                stderr=outputs[1].text(),
                exited=process.returncode,
            )
        )
        if not in_time:
            raise CommandTimedOut(result, timeout=timeout)
        if not result and not self.opts["warn"]:
            raise UnexpectedExit(result)
        return result


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: SIGTERM first, SIGKILL to what is left after ``GRACE``."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Also children that outlived their parent; the group exists as long as one of them does.
        _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def exchange(
    process: subprocess.Popen[bytes],
    content: bytes | None,
    outputs: tuple[BoundedOutput, BoundedOutput],
    timeout: float | None,
) -> bool:
    """Feed and read the process until it is over; False when it had to be ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    ended_at: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, output in zip((process.stdout, process.stderr), outputs, strict=True):
            selector.register(cast("IO[bytes]", stream), selectors.EVENT_READ, output)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, memoryview(content or b""))
        while selector.get_map():
            for key, _ in selector.select(DRAIN / 4 if ended_at else _until(deadline)):
                _serve(selector, key)
            raise_if_halted()
            now = time.monotonic()
            if ended_at is None and process.poll() is not None:
                ended_at = now
            if ended_at is not None and now - ended_at > DRAIN:
                break
            if ended_at is None and deadline is not None and now > deadline:
                end_group(process)
                return False
    return _wait(process, deadline)


def _until(deadline: float | None) -> float:
    return DRAIN if deadline is None else max(0.0, min(DRAIN, deadline - time.monotonic()))


def _serve(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    stream = cast("IO[bytes]", key.fileobj)
    if isinstance(key.data, BoundedOutput):
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data.write(chunk)
        else:
            selector.unregister(stream)
        return
    rest = key.data
    try:
        rest = rest[os.write(key.fd, rest[:_CHUNK]) :]
    except BrokenPipeError:
        rest = rest[len(rest) :]
    if rest:
        selector.modify(stream, selectors.EVENT_WRITE, rest)
    else:
        selector.unregister(stream)
        stream.close()


def _wait(process: subprocess.Popen[bytes], deadline: float | None) -> bool:
    try:
        process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        end_group(process)
        return False
    return True


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
