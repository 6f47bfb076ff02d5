"""A program or a script of the user's own on the host, run only when it is needed."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command
from orchestrator.tasks.outcome import Outcome, records_no_undo
from orchestrator.tasks.placing import absolute, look
from orchestrator.tasks.scope import scope
from orchestrator.tasks.trees import read
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})


@task(iterable=["argv", "unchanged_codes"])
@records_no_undo
def run(
    c: Context,
    argv: Sequence[str] | None = None,
    line: str = "",
    creates: str = "",
    removes: str = "",
    unless: str = "",
    unchanged_codes: Sequence[int] | None = None,
    cwd: str = "",
    input: str = "",  # noqa: A002 -- as command.run names it
) -> Outcome:
    """Run a program, or a line of sh; outputs stdout, stderr and exit_code.

    Args:
        c: the task's Context or Connection.
        argv: program and arguments, quoted by the task; no secrets: argument lists are public.
        line: a line of sh in its place.
        creates: an absolute path; when it is there, nothing is run.
        removes: an absolute path; when it is not there, nothing is run.
        unless: a line of sh that only looks; when it ends with 0, nothing is run.
        unchanged_codes: exit codes that mean: all was well and nothing has changed.
        cwd: folder to start in.
        input: what it reads from standard input.

    Raises:
        CommandFailed: it ended with another code than 0 and ``unchanged_codes``.
    """
    words = [argv] if isinstance(argv, str) else list(argv or ())
    if bool(words) == bool(line):
        raise InvalidInput("a command is either argv or line", hint="write one of the two")
    reason = _reason_not_to(c, creates, removes, unless)
    if reason:
        return Outcome(message=reason)
    if scope(c).check:
        return Outcome(changed=True, message="would be run")
    whole = words or ["sh", "-c", line]
    return _run(c, whole, input.encode(), cwd, _codes(unchanged_codes))


@task(iterable=["arguments", "unchanged_codes"])
@records_no_undo
def script(
    c: Context,
    source: str,
    arguments: Sequence[str] | None = None,
    interpreter: str = "sh",
    creates: str = "",
    removes: str = "",
    unless: str = "",
    unchanged_codes: Sequence[int] | None = None,
    cwd: str = "",
) -> Outcome:
    """Run a script of the control machine on the host, without leaving a file there.

    Args:
        c: the task's Context or Connection.
        source: its path on the control machine.
        arguments: its arguments; no secrets: argument lists are public.
        interpreter: the program that runs it there; a shell, or one that reads a script from ``-``.
        creates: an absolute path; when it is there, nothing is run.
        removes: an absolute path; when it is not there, nothing is run.
        unless: a line of sh that only looks; when it ends with 0, nothing is run.
        unchanged_codes: exit codes that mean: all was well and nothing has changed.
        cwd: folder to start in.

    Raises:
        CommandFailed: it ended with another code than 0 and ``unchanged_codes``.
        StepFailed: the script cannot be read.
    """
    content = read(source)
    words = [arguments] if isinstance(arguments, str) else list(arguments or ())
    argv = script_argv(interpreter, PurePath(source).name, words)
    reason = _reason_not_to(c, creates, removes, unless)
    if reason:
        return Outcome(message=reason)
    if scope(c).check:
        return Outcome(changed=True, message="would be run")
    return _run(c, argv, content, cwd, _codes(unchanged_codes))


def script_argv(interpreter: str, name: str, arguments: Sequence[str]) -> list[str]:
    """What runs a script that comes through standard input.

    Raises:
        InvalidInput: the interpreter is no program's name.
    """
    if not interpreter or interpreter.startswith("-"):
        raise InvalidInput(f"{interpreter!r} is not an interpreter", hint="write sh, bash, python3")
    if PurePath(interpreter).name in _SHELLS:
        # Read whole first: what the script starts must not read the rest of the script.
        return [interpreter, "-c", 'eval "$(cat)"', name, *arguments]
    return [interpreter, "-", *arguments]


def _codes(codes: Sequence[int] | None) -> frozenset[int]:
    try:
        return frozenset({codes} if isinstance(codes, int) else map(int, codes or ()))
    except ValueError:
        raise InvalidInput(f"{codes!r} are not exit codes", hint="write numbers: [0, 3]") from None


def _reason_not_to(c: Context, creates: str, removes: str, unless: str) -> str:
    if creates and look(c, absolute(creates)).kind != "nothing":
        return f"not needed: {creates} is there"
    if removes and look(c, absolute(removes)).kind == "nothing":
        return f"not needed: {removes} is not there"
    if unless and command.run(c, ["sh", "-c", unless], check=False):
        return "not needed: unless says so"
    return ""


def _run(
    c: Context, argv: Sequence[str], data: bytes, cwd: str, unchanged: frozenset[int]
) -> Outcome:
    if any(scope(c).secrets.is_in(word) for word in argv):
        raise InvalidInput(
            "a secret would be in an argument list, which everybody on the host can read",
            hint="write it under env: of the step, or give it as input",
        )
    try:
        answer = command.run(c, argv, input=data, cwd=absolute(cwd) if cwd else None)
    except command.CommandFailed as error:
        if error.result is None or error.result.exit_code not in unchanged:
            raise
        answer = error.result
    outputs = {
        "stdout": answer.stdout.rstrip("\n"),
        "stderr": answer.stderr.rstrip("\n"),
        "exit_code": answer.exit_code,
    }
    changed = answer.exit_code not in unchanged
    return Outcome(changed=changed, message="" if changed else "unchanged", outputs=outputs)
