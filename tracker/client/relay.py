"""``session-buddy mcp stdio``: hands messages of MCP from standard input on to the running server.

Never opens the database, keeps no state of a session, and writes nothing but JSON-RPC to standard
output. On the standard library, since a shell may wait for it to start.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

from schemas.errors import NotAuthorised, SessionopsError
from tracker.client.jsonrpc import (
    CANCELLED,
    INITIALIZE,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Id,
    Incoming,
    NotAMessage,
    addressed,
    failure,
    headers_of,
    negotiated_version,
    one_line,
    read_message,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.client.http import ServerClient

PATH = "/mcp"
LONGEST_LINE = 16_000_000
"""Bytes; the server takes no longer body."""

_AT_ONCE = 16
"""Messages on their way; the next one is read when there is room."""

_GRACE = 10.0
"""Seconds that messages on their way get once there is nothing more to read."""


class Relay:
    """Hands on messages until there are no more.

    Args:
        connect: makes a client of the server, with a token that renews itself.
        output: where answers go.
        say: tells a person about an outage, on another way than ``output``.
    """

    def __init__(
        self, connect: Callable[[], ServerClient], output: BinaryIO, say: Callable[[str], None]
    ) -> None:
        self._connect = connect
        self._output = output
        self._say = say
        self._idle: list[ServerClient] = []
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE)
        self._workers: set[threading.Thread] = set()
        self._awaited: set[Id] = set()
        self._version = ""
        self._told = ""

    def run(self, source: BinaryIO) -> None:
        """Read messages until the source ends."""
        while line := source.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                self._refuse_long(source, line)
            elif line.strip():
                self._take(line)

    def finish(self) -> None:
        """Give what is on its way the time to arrive."""
        until = time.monotonic() + _GRACE
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _refuse_long(self, source: BinaryIO, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE)
        message = f"a message is longer than {LONGEST_LINE} bytes"
        self._write(failure(None, INVALID_REQUEST, message))

    def _take(self, line: bytes) -> None:
        try:
            message = read_message(line)
        except NotAMessage as error:
            self._write(failure(None, error.code, str(error)))
            return
        if message.method == CANCELLED:
            # The server treats every request alone and would not know which one is meant. What
            # was taken back is answered by nobody (MCP, utilities, cancellation).
            with self._lock:
                self._awaited.discard(message.cancels)
            return
        if message.awaited:
            with self._lock:
                self._awaited.add(message.id)
        self._room.acquire()
        worker = threading.Thread(target=self._hand_on, args=(message,), daemon=True)
        with self._lock:
            self._workers.add(worker)
        worker.start()

    def _hand_on(self, message: Incoming) -> None:
        try:
            answer = self._answer(message)
            if message.awaited and self._still_awaited(message.id):
                self._write(answer)
        finally:
            with self._lock:
                self._workers.discard(threading.current_thread())
            self._room.release()

    def _answer(self, message: Incoming) -> bytes:
        try:
            answer = self._asked(message)
            if message.awaited:
                answer = addressed(answer, message.id)
        except SessionopsError as error:
            self._tell(str(error))
            return unavailable(message.id, error)
        except Exception as error:  # noqa: BLE001 -- without an answer the client waits for ever
            self._tell(f"{type(error).__name__}: {error}")
            return failure(
                message.id, INTERNAL_ERROR, "the relay failed; its standard error says why"
            )
        self._told = ""
        if message.method == INITIALIZE:
            self._version = negotiated_version(answer)
        return answer

    def _asked(self, message: Incoming) -> bytes:
        client = self._client()
        headers = headers_of(message, self._version)
        try:
            try:
                answer = client.relay(PATH, message.line, **headers)
            except NotAuthorised:
                # The keys may have been changed since this client made its token.
                client.close()
                client = self._connect()
                answer = client.relay(PATH, message.line, **headers)
        except SessionopsError:
            client.close()
            raise
        with self._lock:
            self._idle.append(client)
        return answer

    def _client(self) -> ServerClient:
        with self._lock:
            return self._idle.pop() if self._idle else self._connect()

    def _still_awaited(self, number: Id) -> bool:
        with self._lock:
            awaited = number in self._awaited
            self._awaited.discard(number)
        return awaited

    def _write(self, answer: bytes) -> None:
        with self._lock:
            try:
                self._output.write(one_line(answer))
                self._output.flush()
            except BrokenPipeError:
                # Nobody listens any more, and soon the input ends too. What is left in the buffer
                # must not fail once more when Python flushes it.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._output.fileno())

    def _tell(self, problem: str) -> None:
        """Once an outage: a client asks again and again."""
        with self._lock:
            told, self._told = self._told, problem
        if told != problem:
            self._say(problem)


def relay_stdio(connect: Callable[[], ServerClient]) -> int:
    """Relay between this process's standard streams and the server, until input ends or a signal.

    Args:
        connect: makes a client of the server.

    Returns:
        0.
    """
    import signal

    def stop(*_: object) -> None:
        raise _Stopped

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    relay = Relay(connect, sys.stdout.buffer, _complain)
    try:
        relay.run(sys.stdin.buffer)
        relay.finish()
    except _Stopped:
        pass
    return 0


class _Stopped(BaseException):
    """A signal asked to stop."""


def _complain(problem: str) -> None:
    print(f"session-buddy mcp stdio: {problem}", file=sys.stderr, flush=True)
