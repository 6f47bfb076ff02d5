"""Ports: that one answers or is free, now or after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks.listeners import listener
from orchestrator.tasks.outcome import Outcome, changes_nothing
from orchestrator.tasks.probing import answers, wait_until
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed
from schemas.units import parse_duration

if TYPE_CHECKING:
    from invoke.context import Context

_STATES = ("open", "closed")


@task
@changes_nothing
def check(c: Context, port: int, host: str = "127.0.0.1", state: str = "open") -> Outcome:
    """See that a port takes connections from the host, or takes none.

    Args:
        c: the task's Context or Connection.
        port: its number.
        host: name or address, as seen from the host; by default the host itself.
        state: ``open`` or ``closed``.

    Raises:
        InvalidInput: no such state or port.
        StepFailed: it is not so; of the host's own ports with who holds it.
    """
    if answers(c, host, int(port)) != _is_open(state):
        raise _fault(c, host, int(port), state, "")
    return Outcome(message=f"{host}:{port} is {state}")


@task
@changes_nothing
def wait(
    c: Context, port: int, host: str = "127.0.0.1", state: str = "open", wait: str = "30s"
) -> Outcome:
    """Wait until a port takes connections from the host, or takes none any more.

    In check mode it looks once and only tells what it sees.

    Args:
        c: the task's Context or Connection.
        port: its number.
        host: name or address, as seen from the host; by default the host itself.
        state: ``open`` or ``closed``.
        wait: how long at most.

    Raises:
        InvalidInput: no such state or port.
        StepFailed: it is not so in time.
    """
    wanted, seconds = _is_open(state), parse_duration(wait)
    if scope(c).check:
        now = "open" if answers(c, host, int(port)) else "closed"
        return Outcome(message=f"{host}:{port} is {now}, would wait until it is {state}")
    if not wait_until(c, lambda: answers(c, host, int(port)) == wanted, seconds):
        raise _fault(c, host, int(port), state, f" after {wait}")
    return Outcome(message=f"{host}:{port} is {state}")


def _is_open(state: str) -> bool:
    if state not in _STATES:
        raise InvalidInput(f"{state!r} is not a state of a port", hint="write open or closed")
    return state == "open"


def _fault(c: Context, host: str, port: int, state: str, when: str) -> StepFailed:
    if state == "open":
        told, hint = "does not answer", "see the log of what should listen there"
    else:
        holder = listener(c, host, port)
        told, hint = f"is held by {holder or 'something'}", "end it, or choose another port"
    return StepFailed(f"{host}:{port} {told}{when}", where=scope(c).host.name, hint=hint)
