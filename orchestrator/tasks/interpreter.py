"""The interpreter on the host that releases are made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from invoke.context import Context

OLDEST = (3, 11)
"""The oldest Python that a release runs on; ``requires-python`` in pyproject.toml says the same."""

_CANDIDATES = "for p in python3 python3.13 python3.12 python3.11; do command -v $p; done"
_ASK = "import sys; print(sys.version.split()[0], sys.executable)"


@dataclass(frozen=True)
class Interpreter:
    """An interpreter: its path on the host, and its version such as ``3.11.7``."""

    path: str
    version: str


def find_interpreter(c: Context) -> Interpreter:
    """The host's interpreter that is new enough: the one this runs with, else one on its PATH.

    Raises:
        StepFailed: there is none; names what was found.
    """
    here = scope(c)
    known = [here.host.python] if here.host.python else []
    found = []
    for path in known or command.run(c, ["sh", "-c", _CANDIDATES], check=False).stdout.split():
        answer = command.run(c, [path, "-c", _ASK], check=False)
        version, _, executable = answer.stdout.strip().partition(" ")
        if not answer or not version:
            continue
        if _numbers(version) >= OLDEST:
            return Interpreter(executable, version)
        found.append(f"Python {version} at {executable}")
    wanted = ".".join(str(number) for number in OLDEST)
    raise StepFailed(
        f"{' and '.join(found) or 'no Python'} found, and a release needs {wanted} or newer",
        where=here.host.name,
        hint=f"install it (Debian: sudo apt install python{wanted}), then try again",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
