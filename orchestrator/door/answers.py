"""What every ``invoke`` task does the same way: its output, its errors, its numbers.

Knows nothing of what the tasks do.
"""

from __future__ import annotations

import atexit
import copy
import functools
import os
import sys
from typing import TYPE_CHECKING, Any, get_args

from invoke.exceptions import Exit

from schemas.errors import InvalidInput, SessionopsError
from schemas.run import RunState
from schemas.settings import TRUE, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.tasks import Task

_BROKEN_PIPE = 141
"""What a shell reports of a program that wrote to a reader who had enough."""


def told(body: Callable[..., None]) -> Callable[..., None]:
    """Turn an error into its message and its exit code; a traceback is for ``MAHAVISHNU_DEBUG``."""

    @functools.wraps(body)
    def call(*arguments: Any, **options: Any) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows another one; no reason to fail.
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
        _warn_once()
        try:
            body(*arguments, **options)
        except BrokenPipeError:
            raise Exit(code=_BROKEN_PIPE) from None
        except Exit:
            raise
        except Exception as error:
            if os.environ.get("MAHAVISHNU_DEBUG", "").lower() in TRUE:
                raise
            raise Exit(code=_report(error)) from None
        finally:
            _flush()

    return call


def answering(each: Task[Any]) -> Task[Any]:
    """A task of the catalogue as a command: it prints what it answers."""

    @functools.wraps(each.body)
    def body(*arguments: Any, **options: Any) -> None:
        outcome = each.body(*arguments, **options)
        print(outcome.message or ("changed" if outcome.changed else "unchanged"))

    shown = copy.copy(each)
    shown.body = told(body)
    return shown


def _report(error: Exception) -> int:
    """Tell a person about an error; gives the exit code."""
    if isinstance(error, SessionopsError):
        say(f"error: {error}")
        return error.exit_code
    fault = "a fault in the program; MAHAVISHNU_DEBUG=1 shows where"
    say(f"error: {type(error).__name__}: {error} ({fault})")
    return 1


def say(line: str) -> None:
    """A line on standard error, if there is anybody to read it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        _silence(sys.stderr)


@functools.cache
def _warn_once() -> None:
    """Settings that nobody knows, once in a process: a task may call others."""
    try:
        warnings = Settings.load().warnings
    except SessionopsError:
        # Who needs the settings says what is wrong with them; the list of runs does not.
        return
    for warning in warnings:
        say(f"warning: {warning}")


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        say(f"error: not everything could be printed: {error}")


def _silence(stream: Any) -> None:
    """Whoever read it has enough; Python must not fail once more when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def leave_quietly() -> None:
    """End without a traceback when Invoke's own printing, such as ``--list``, loses its reader.

    Invoke prints its lists itself, outside any task, where only the interpreter's hook is asked.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, BrokenPipeError):
            _silence(sys.stdout)
        else:
            before(kind, error, trace)

    sys.excepthook = hook
    # What is still in the buffer at the end is written too late for the hook.
    atexit.register(_flush)


def positive(text: str, option: str) -> int:
    """The number that an option gives.

    Raises:
        InvalidInput: it is none, or below 1.
    """
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1):
        raise InvalidInput(
            f"{option} {text}: not a number from 1", hint="write a whole number, such as 20"
        )
    return int(text[:9])


def run_state(text: str) -> str | None:
    """The state of a run that an option names; None when it names none.

    Raises:
        InvalidInput: there is no such state.
    """
    if text and text not in get_args(RunState):
        states = ", ".join(get_args(RunState))
        raise InvalidInput(f"--state {text}: no run is ever in it", hint=f"write one of {states}")
    return text or None
