"""How ``c.run`` starts a process on this machine: quickly, in a process group, with bounded output.

Replaces Invoke's ``Local`` runner for commands whose output is hidden. Invoke's own polls every
10 ms, reads standard input a character at a time, keeps all output, and on a timeout kills only the
shell. Everything interactive (pty, watchers, output on the terminal) is left to Invoke.
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from invoke.exceptions import CommandTimedOut, UnexpectedExit
from invoke.runners import Local, Result

if TYPE_CHECKING:
    from invoke.context import Context

OUTPUT_LIMIT = 2 * 1024 * 1024
"""Bytes kept of each stream: the first half and the last half of this."""
GRACE = 2.0
"""Seconds between asking a process group to end (SIGTERM) and ending it (SIGKILL)."""
DRAIN = 0.2
"""Seconds to go on reading after the process ended while a child of its own holds the pipe open."""
_CHUNK = 65536
_INTERACTIVE = ("pty", "watchers", "asynchronous", "disown", "dry", "out_stream", "err_stream")


def use_local_runner(c: Context) -> None:
    """Make this Context run its commands with ``GroupRunner``."""
    c.config.runners.local = GroupRunner


class BoundedOutput:
    """The beginning and the end of a stream of any length."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def write(self, chunk: bytes) -> None:
        """Add what was read."""
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
        silent = wanted.get("hide") in {True, "both"}
        if not silent or any(wanted.get(name) for name in _INTERACTIVE):
            return super()._run_body(command, **kwargs)
        if stdin not in (None, False) and not isinstance(stdin, io.BytesIO):
            return super()._run_body(command, **kwargs)
        self._setup(command, kwargs)
        content = stdin.getvalue() if isinstance(stdin, io.BytesIO) else None
        return self._hidden(command, content)

    def _hidden(self, command: str, content: bytes | None) -> Result:
        process = subprocess.Popen(
            [self.opts["shell"], "-c", command],
            env=self.env,
            stdin=subprocess.DEVNULL if content is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        timeout = self.opts["timeout"]
        outputs = (BoundedOutput(), BoundedOutput())
        try:
            in_time = _exchange(process, content, outputs, timeout)
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


def _exchange(
    process: subprocess.Popen[bytes],
    content: bytes | None,
    outputs: tuple[BoundedOutput, BoundedOutput],
    timeout: float | None,
) -> bool:
    """Feed and read the process until it is over; False when it had to be ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for stream, output in zip((process.stdout, process.stderr), outputs, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, output)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, memoryview(content or b""))
        while selector.get_map():
            wait = _next_wait(process, deadline)
            if wait is None:
                end_group(process)
                return False
            ready = selector.select(wait)
            for key, _ in ready:
                _serve(selector, key)
            if not ready and process.poll() is not None and not selector.select(DRAIN):
                break
    return _wait(process, deadline)


def _next_wait(process: subprocess.Popen[bytes], deadline: float | None) -> float | None:
    """Seconds until the process must be looked at again; None when its time is over."""
    look = DRAIN if process.returncode is None else 0.0
    if deadline is None:
        return look
    left = deadline - time.monotonic()
    return None if left <= 0 else min(look, left)


def _serve(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    if isinstance(key.data, BoundedOutput):
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data.write(chunk)
        else:
            selector.unregister(key.fileobj)
        return
    rest = key.data
    try:
        rest = rest[os.write(key.fd, rest[:_CHUNK]) :]
    except BrokenPipeError:
        rest = rest[len(rest) :]
    if rest:
        selector.modify(key.fileobj, selectors.EVENT_WRITE, rest)
    else:
        selector.unregister(key.fileobj)
        os.close(key.fd)


def _wait(process: subprocess.Popen[bytes], deadline: float | None) -> bool:
    try:
        process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        end_group(process)
        return False
    return True


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
