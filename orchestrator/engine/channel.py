"""How ``c.run`` starts a command on a host behind SSH, with the promises of the local runner.

The environment and standard input travel through the channel, so that nobody on the host reads them
in an argument list. When the time is over the command's whole process group is ended there.
"""

from __future__ import annotations

import io
import select
import shlex
import threading
import time
from typing import TYPE_CHECKING, Any

from fabric.runners import Remote
from invoke.exceptions import CommandTimedOut, UnexpectedExit
from paramiko.ssh_exception import SSHException

from orchestrator.tasks.halt import StoppedNow, raise_if_halted
from orchestrator.tasks.runner import DRAIN, GRACE, INTERACTIVE, BoundedOutput
from schemas.errors import HostLost

if TYPE_CHECKING:
    from invoke.runners import Result
    from paramiko.channel import Channel

_CHUNK = 65536
_END = (
    'g=$(ps -o pgid= -p "$1" | tr -d " "); test -n "$g" || exit 0; kill -s TERM -- "-$g"; '
    'i=0; while kill -s 0 -- "-$g" && test $i -lt "$2"; do sleep 0.1; i=$((i+1)); done; '
    'kill -s KILL -- "-$g"'
)


class ChannelRunner(Remote):  # type: ignore[misc] # fabric has no types
    """Fabric's remote runner for commands that need no terminal."""

    def _run_body(self, command: str, **kwargs: Any) -> Result | None:
        wanted = {**self.context.config.run, **kwargs}
        stdin = wanted.get("in_stream")
        ours = stdin is False or isinstance(stdin, io.BytesIO)
        if not ours or any(wanted.get(name) for name in INTERACTIVE):
            body: Result | None = super()._run_body(command, **kwargs)
            return body
        self._setup(command, kwargs)
        try:
            return self._exchange(command, stdin.getvalue() if stdin else b"")
        except (SSHException, EOFError, OSError) as error:
            raise HostLost(
                f"the connection was lost: {error or type(error).__name__}",
                where=self.context.host,
                hint="what the command did until then is not known",
            ) from error

    def _exchange(self, command: str, content: bytes) -> Result:
        exports = "".join(
            f"export {key}={shlex.quote(str(value))}; " for key, value in self.env.items()
        )
        script = f"echo $$ >&2; {exports}{command}".encode()
        # dd takes no byte more than it is told; the rest is the command's standard input.
        head = f'eval "$(dd bs=1 count={len(script)} 2>/dev/null)"'
        self.channel = self.context.create_session()
        self.channel.exec_command(shlex.join(["sh", "-c", head]))
        feeder = threading.Thread(target=_feed, args=(self.channel, script + content), daemon=True)
        feeder.start()
        timeout = self.opts["timeout"]
        outputs = (BoundedOutput(), BoundedOutput())
        try:
            in_time = _read(self.channel, outputs, timeout)
        except StoppedNow:
            self._end(outputs[1].text().partition("\n")[0])
            raise
        if in_time and self.channel.exit_status < 0 and not self.context.transport.is_active():
            raise EOFError("the host is gone")
        number, _, stderr = outputs[1].text().partition("\n")
        if not in_time:
            self._end(number)
        result: Result = self.generate_result(
            **dict(
                self.result_kwargs,
                stdout=outputs[0].text(),
                stderr=stderr,
                exited=self.channel.exit_status if in_time else -1,
            )
        )
        if not in_time:
            raise CommandTimedOut(result, timeout=timeout)
        if not result and not self.opts["warn"]:
            raise UnexpectedExit(result)
        return result

    def _end(self, number: str) -> None:
        """End the process group of the command, over a channel of its own."""
        if not number.isdigit():
            return
        channel = self.context.create_session()
        tenths = str(round(GRACE * 10))
        channel.exec_command(shlex.join(["sh", "-c", _END, "sh", number, tenths]))
        _read(channel, (BoundedOutput(), BoundedOutput()), 2 * GRACE, watched=False)
        channel.close()


def _feed(channel: Channel, content: bytes) -> None:
    """Send standard input; the command may end without having read all of it."""
    try:
        channel.sendall(content)
        channel.shutdown_write()
    except (OSError, SSHException):
        return


def _read(
    channel: Channel,
    outputs: tuple[BoundedOutput, BoundedOutput],
    timeout: float | None,
    *,
    watched: bool = True,
) -> bool:
    """Read until the command is over; False when the time was over before.

    Raises:
        StoppedNow: it is ``watched``, and the run is to be left at once.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    ended_at: float | None = None
    while True:
        select.select([channel], [], [], DRAIN / 4)
        if watched:
            raise_if_halted()
        while channel.recv_ready():
            outputs[0].write(channel.recv(_CHUNK))
        while channel.recv_stderr_ready():
            outputs[1].write(channel.recv_stderr(_CHUNK))
        now = time.monotonic()
        if channel.exit_status_ready():
            ended_at = ended_at or now
            if channel.eof_received or channel.closed or now - ended_at > DRAIN:
                break
        elif deadline is not None and now > deadline:
            return False
    for ready, receive, output in (
        (channel.recv_ready, channel.recv, outputs[0]),
        (channel.recv_stderr_ready, channel.recv_stderr, outputs[1]),
    ):
        while ready():
            output.write(receive(_CHUNK))
    return True
