"""One shell on a host for the whole run, fed command by command through an OpenSSH client.

A command costs neither a handshake nor a channel. Its text, environment and standard input travel
as the shell's own input, so nobody on the host reads them in an argument list. A random word that
belongs to one command marks where its output ends. Each command has a process group of its own.
Knows nothing of Fabric, of steps or of what the commands are for.
"""

from __future__ import annotations

import base64
import contextlib
import math
import os
import secrets
import selectors
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from orchestrator.engine.openssh import shared_argv, shell_argv
from orchestrator.tasks.halt import LOOK, raise_if_halted, watching
from orchestrator.tasks.runner import DRAIN, GRACE, BoundedOutput, end_group, exchange
from schemas.errors import HostLost, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.inventory import Host

_CHUNK = 65536
_MAX_LINE = 96 * 1024
"""A command's text is a variable of its shell's environment, where Linux allows 128 KiB."""
_MAX_INPUT = 64 * 1024
"""More standard input gets a channel of its own: the shell keeps a here-document whole."""
_START = "command -v setsid >/dev/null && new=setsid || new=\n"
_STEP = "'echo $$ >&2; eval \"unset sh_line; $sh_line\"'"
_END = (
    'g=$(ps -o pgid= -p "$1" 2>/dev/null | tr -d " "); g=${g:-$1}; kill -s TERM -- "-$g"; '
    'i=0; while kill -s 0 -- "-$g" && test $i -lt "$2"; do sleep 0.1; i=$((i+1)); done; '
    'kill -s KILL -- "-$g"'
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        stdout: its output, bounded.
        stderr: its error output, bounded.
        exit_code: as the host's shell sees it; None when it did not end in time and was ended.
    """

    stdout: str
    stderr: str
    exit_code: int | None


class RemoteShell:
    """A shell on a host, started when the first command comes.

    Args:
        name: the host's name in the inventory.
        host: how it is reached.
    """

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.host = host
        self._folder: Path | None = None
        self._clients: list[subprocess.Popen[bytes]] = []
        self._left = ""
        self._has_answered = False
        self._turn = threading.Lock()

    def start(self) -> None:
        """Begin to connect; does not wait.

        Raises:
            Unreachable: this machine has no ssh program.
        """
        self._shell()

    def run(
        self,
        line: str,
        env: Mapping[str, str],
        content: bytes,
        outputs: tuple[BoundedOutput, BoundedOutput],
        timeout: float | None,
    ) -> Ended:
        """Run a line of sh and wait for its end.

        Args:
            line: what to run.
            env: variables beside the login's.
            content: its standard input.
            outputs: what keeps its output and its error output.
            timeout: seconds after which its process group on the host is ended; None: never.

        Raises:
            Unreachable: the host cannot be reached or logged in to.
            HostLost: the connection broke while it ran.
        """
        exports = "".join(f"export {key}={shlex.quote(str(env[key]))}; " for key in env)
        script = exports + line
        is_large = len(script) > _MAX_LINE or len(content) > _MAX_INPUT or "\0" in script
        if not is_large and self._turn.acquire(blocking=False):
            try:
                return self._in_shell(script, content, outputs, timeout)
            finally:
                self._turn.release()
        return self._in_channel(script, content, outputs, timeout)

    def close(self) -> None:
        """End the shell and its connection; what the commands left running stays."""
        for client in reversed(self._clients):
            _shut(client)
        self._clients.clear()
        self._left = ""
        self._has_answered = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def _control(self) -> Path:
        return cast("Path", self._folder) / "s"

    def _shell(self) -> subprocess.Popen[bytes]:
        """The client in use, started when there is none or its host went away."""
        if self._clients and all(one.poll() is None for one in self._clients):
            return self._clients[-1]
        self.close()
        # A socket's path may have 104 characters at the most; TMPDIR may be longer than that.
        self._folder = Path(tempfile.mkdtemp(prefix="so-", dir="/tmp"))
        return self._start(shell_argv(self.name, self.host, self._control))

    def _start(self, argv: list[str]) -> subprocess.Popen[bytes]:
        client = _spawn(argv)
        self._clients.append(client)
        self._left = ""
        _write(client, _START.encode())
        return client

    def _in_shell(
        self,
        script: str,
        content: bytes,
        outputs: tuple[BoundedOutput, BoundedOutput],
        timeout: float | None,
    ) -> Ended:
        client = self._shell()
        word = secrets.token_hex(16)
        _write(client, frame(word, script, content, self._left))
        reading = _Reading(client, word, outputs)
        try:
            in_time = reading.until_end(timeout)
            if not in_time:
                self._end(reading.group)
                # Without setsid there the shell itself was in the group and is gone now.
                if not reading.until_end(2 * GRACE):
                    self._retire(client)
        except EOFError:
            raise self._lost(reading) from None
        except BaseException:
            self._end(reading.group)
            self._retire(client)
            raise
        self._has_answered = True
        if reading.status == "left":
            # What an earlier command left running holds this shell's output open.
            self._start(shared_argv(self.name, self.host, self._control, "exec sh"))
            return self._in_shell(script, content, outputs, timeout)
        self._left = reading.group
        code = int(reading.status) if in_time else None
        return Ended(outputs[0].text(), outputs[1].text(), code)

    def _in_channel(
        self,
        script: str,
        content: bytes,
        outputs: tuple[BoundedOutput, BoundedOutput],
        timeout: float | None,
    ) -> Ended:
        """In a channel of its own over the same connection."""
        if not self._has_answered:
            self.run("true", {}, b"", (BoundedOutput(), BoundedOutput()), timeout)
        text = f"echo $$ >&2; {script}".encode()
        # dd takes no byte more than it is told; the rest is the command's standard input.
        head = f'eval "$(dd bs=1 count={len(text)} 2>/dev/null)"'
        line = "exec " + shlex.join(["sh", "-c", head])
        client = _spawn(shared_argv(self.name, self.host, self._control, line))
        errors = _AfterFirstLine(outputs[1])
        try:
            in_time = exchange(client, text + content, (outputs[0], errors), timeout)
        except BaseException:
            end_group(client)
            self._end(errors.line)
            raise
        finally:
            _close_pipes(client)
        if not in_time:
            self._end(errors.line)
        elif not self._clients or self._clients[0].poll() is not None:
            raise self._lost(None)
        code = client.returncode if in_time else None
        return Ended(outputs[0].text(), outputs[1].text(), code)

    def _end(self, group: str) -> None:
        """End a command's process group on the host, over a channel of its own."""
        if not group.isdigit() or self._folder is None:
            return
        words = ["sh", "-c", _END, "sh", group, str(round(GRACE * 10))]
        argv = shared_argv(self.name, self.host, self._control, shlex.join(words))
        client = _spawn(argv)
        # This is the end that a request to stop asks for; it must not cut it short itself.
        with watching(threading.Event()):
            exchange(client, b"", (BoundedOutput(), BoundedOutput()), 3 * GRACE)
        _close_pipes(client)

    def _retire(self, client: subprocess.Popen[bytes]) -> None:
        if client is self._clients[0]:
            self.close()
        else:
            self._clients.remove(client)
            _shut(client)

    def _lost(self, reading: _Reading | None) -> Unreachable:
        had_answered = self._has_answered
        said = reading.errors() if reading else ""
        self.close()
        if had_answered:
            return HostLost(
                "the connection was lost",
                where=self.name,
                hint="what the command did until then is not known",
            )
        return _refusal(said, self.name, self.host)


def frame(word: str, script: str, content: bytes, left: str) -> bytes:
    """What the shell is told for one command.

    Args:
        word: marks the end of its output; nobody can know it before.
        script: the line of sh.
        content: its standard input.
        left: the process group of the command before; when it still lives, the answer is ``left``.
    """
    # Bytes that a here-document keeps as they are in every sh.
    is_plain = content.endswith(b"\n") and content.isascii() and b"\0" not in content
    call = f"sh_line={shlex.quote(script)} $new sh -c {_STEP}"
    if not content:
        call += " </dev/null"
    elif is_plain:
        call += f" <<'{word}'\n{content.decode()}{word}"
    else:
        coded = base64.encodebytes(content).decode()
        call = f"base64 -d <<'{word}' | {call}\n{coded}{word}"
    end = f"printf '%s %s\\n' {word} $code; echo {word} >&2\n"
    guard = f"kill -s 0 -- -{left} 2>/dev/null" if left else "false"
    return (f"if {guard}; then echo >&2; code=left; else\n{call}\ncode=$?; fi; {end}").encode(
        errors="surrogateescape"
    )


class _AfterFirstLine(BoundedOutput):
    """An output whose first line is apart: the number of the command's process group."""

    def __init__(self, output: BoundedOutput) -> None:
        super().__init__()
        self._output = output
        self._first = bytearray()
        self._is_whole = False

    @property
    def line(self) -> str:
        return self.begun if self._is_whole else ""

    @property
    def begun(self) -> str:
        return self._first.decode(errors="replace")

    def write(self, chunk: bytes) -> None:
        if not self._is_whole:
            head, newline, chunk = chunk.partition(b"\n")
            self._first += head
            self._is_whole = bool(newline)
        if chunk:
            self._output.write(chunk)


class _UntilWord:
    """Passes a stream on until the word; bounded, however long the stream is."""

    def __init__(self, word: str, output: BoundedOutput) -> None:
        self._word = word.encode()
        self._output = output
        self._kept = b""
        self._found = False

    def write(self, chunk: bytes) -> None:
        self._kept += chunk
        if self._found:
            return
        place = self._kept.find(self._word)
        if place >= 0:
            self._output.write(self._kept[:place])
            self._kept, self._found = self._kept[place + len(self._word) :], True
            return
        passed = len(self._kept) - self._begun()
        if passed:
            self._output.write(self._kept[:passed])
            self._kept = self._kept[passed:]

    def _begun(self) -> int:
        """How many bytes at the end may be the word's beginning; the others need not wait."""
        longest = min(len(self._word) - 1, len(self._kept))
        sizes = range(longest, 0, -1)
        return next((size for size in sizes if self._kept.endswith(self._word[:size])), 0)

    @property
    def ending(self) -> str | None:
        """The rest of the word's line; None until it has come."""
        if not self._found or b"\n" not in self._kept:
            return None
        return self._kept.partition(b"\n")[0].decode().strip()

    def unfinished(self) -> bytes:
        return b"" if self._found else self._kept


class _Reading:
    """Reads one command's output from the client."""

    def __init__(
        self, client: subprocess.Popen[bytes], word: str, outputs: tuple[BoundedOutput, ...]
    ) -> None:
        self._client = client
        self._first = _AfterFirstLine(outputs[1])
        self._streams = (_UntilWord(word, outputs[0]), _UntilWord(word, self._first))
        self._error_output = outputs[1]

    @property
    def status(self) -> str:
        return self._streams[0].ending or ""

    @property
    def group(self) -> str:
        return self._first.line

    def errors(self) -> str:
        """All that came on standard error."""
        self._first.write(self._streams[1].unfinished())
        return f"{self._first.begun}\n{self._error_output.text()}"

    def until_end(self, timeout: float | None) -> bool:
        """Read until the command is over; False when the time was over before.

        Raises:
            EOFError: the client ended first.
            StoppedNow: the run is to be left at once.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            pipes = (self._client.stdout, self._client.stderr)
            for pipe, stream in zip(pipes, self._streams, strict=True):
                selector.register(cast("IO[bytes]", pipe), selectors.EVENT_READ, stream)
            while any(stream.ending is None for stream in self._streams):
                raise_if_halted()
                left = math.inf if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return False
                for key, _ in selector.select(min(left, LOOK)):
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fileobj)
                        if len(selector.get_map()) == 0 or key.data is self._streams[0]:
                            self._drain()
                            raise EOFError
                    key.data.write(chunk)
        return True

    def _drain(self) -> None:
        """What the client still has to say about its end."""
        stderr = cast("IO[bytes]", self._client.stderr).fileno()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._client.wait(DRAIN)
        os.set_blocking(stderr, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(stderr, _CHUNK):
                self._streams[1].write(chunk)


def _spawn(argv: list[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # The terminal's Ctrl-C is for the run, which decides what becomes of the command.
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Unreachable(
            "there is no ssh program on this machine",
            hint="install the OpenSSH client (apt-get install openssh-client)",
        ) from None


def _write(client: subprocess.Popen[bytes], content: bytes) -> None:
    stdin = cast("IO[bytes]", client.stdin).fileno()
    rest = memoryview(content)
    with contextlib.suppress(BrokenPipeError):  # the reader says why
        while rest:
            rest = rest[os.write(stdin, rest) :]


def _shut(client: subprocess.Popen[bytes]) -> None:
    _close_pipes(client)
    with contextlib.suppress(subprocess.TimeoutExpired):
        client.wait(DRAIN)
    if client.poll() is None:
        end_group(client)


def _close_pipes(client: subprocess.Popen[bytes]) -> None:
    for pipe in (client.stdin, client.stdout, client.stderr):
        if pipe is not None:
            pipe.close()


_SAID = (
    (
        "identification has changed",
        "the host's key is not the one that is known",
        "find out why it changed before anything else",
    ),
    ("key verification failed", "the host's key is not known", "look at it with: ssh {}"),
    ("permission denied", "we are not let in", "try: ssh {}"),
)


def _refusal(said: str, name: str, host: Host) -> Unreachable:
    """Why there is no connection, from what the client said last."""
    target = f"{host.user}@" if host.user else ""
    target = (f"-p {host.port} " if host.port else "") + target + (host.address or name)
    for words, message, hint in _SAID:
        if words in said.lower():
            return Unreachable(message, where=name, hint=hint.format(target))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return Unreachable(
        lines[-1] if lines else "it does not answer",
        where=name,
        hint="check that it runs, and the address and port in the inventory",
    )
