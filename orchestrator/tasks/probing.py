"""Whether something listens on a port, seen from the host."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.context import Context

POLL = 0.1
"""Seconds between two looks."""
_NO_TOOL = 69
_HOST = re.compile(r"[A-Za-z0-9_.:-]+")
_HIGHEST = 65535
# Whichever of them the host has; 1 is refused, 69 that it has none.
_PROBE = (
    "if command -v bash >/dev/null; then "
    'exec timeout "$3" bash -c \'exec 3<>"/dev/tcp/$1/$2"\' bash "$1" "$2" 2>/dev/null; '
    'elif command -v nc >/dev/null; then exec nc -z -w "$3" "$1" "$2" 2>/dev/null; '
    "elif command -v python3 >/dev/null; then exec python3 -c "
    "'import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), "
    'float(sys.argv[3]))\' "$1" "$2" "$3" 2>/dev/null; '
    "else exit 69; fi"
)


def probe_argv(host: str, port: int, wait: int = 2) -> list[str]:
    """Try to connect once.

    Args:
        host: name or address, as the host itself sees it.
        port: its number.
        wait: whole seconds that it may take.

    Raises:
        InvalidInput: not a host or port.
    """
    if not _HOST.fullmatch(host) or not 1 <= port <= _HIGHEST:
        raise InvalidInput(f"{host}:{port} is not a host and port", hint="1 to 65535")
    return ["sh", "-c", _PROBE, "sh", host, str(port), str(wait)]


def answers(c: Context, host: str, port: int) -> bool:
    """Whether something takes a connection.

    Raises:
        StepFailed: the host has nothing to try it with.
    """
    answer = command.run(c, probe_argv(host, port), check=False)
    if answer.exit_code == _NO_TOOL:
        raise StepFailed(
            "there is neither bash, nc nor python3 to try a port with",
            where=scope(c).host.name,
            hint="install one of them",
        )
    return answer.ok


def wait_until(c: Context, is_so: Callable[[], bool], seconds: float) -> bool:
    """Look again and again, at least once, until it is so or the time is over."""
    deadline = time.monotonic() + scope(c).remaining(seconds)
    while not is_so():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True
