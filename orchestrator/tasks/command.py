"""Commands and files on a task's host. The one place that quotes.

Tasks hand over argv lists and bytes. Needs nothing on the host but sh, and knows nothing of what
the commands are for.
"""

from __future__ import annotations

import base64
import binascii
import io
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, cast

from orchestrator.tasks.atomic import write_atomically
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed
from schemas.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke.context import Context

    from orchestrator.tasks.scope import Scope

DEFAULT_TIMEOUT = 3600.0
"""Seconds that a command may take when neither its caller nor its step says."""
_SHOWN_LINES = 5
_SHOWN_COMMAND = 200
_NOT_FOUND = 127


@dataclass(frozen=True)
class Result:
    """What a command answered. Falsy when it failed.

    Args:
        stdout: its output; the middle of more than 2 MiB is left out.
        stderr: its error output, likewise.
        exit_code: as the shell sees it; minus the signal's number when one ended it.
    """

    stdout: str
    stderr: str
    exit_code: int

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0

    def __bool__(self) -> bool:
        return self.ok


class CommandFailed(StepFailed):
    """A command ended with another code than 0, or did not end in time (``result`` is None)."""

    def __init__(self, message: str, *, where: str, hint: str, result: Result | None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.result = result


def run(
    c: Context,
    argv: Sequence[str | PurePath],
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | PurePath | None = None,
    input: str | bytes | None = None,  # noqa: A002 -- subprocess's name for it
    timeout: float | None = None,
    hide: bool = True,
) -> Result:
    """Run a program on the host.

    Args:
        c: the task's Context or Connection.
        argv: program and arguments; quoted here. No secrets: argument lists are public.
        check: raise when it fails.
        env: variables beside the login's and the step's.
        cwd: folder to start in.
        input: what it reads from standard input; secrets go here or into ``env``.
        timeout: seconds after which it is ended with all its children; also bounded by the step's.
        hide: False also shows the output on the terminal while it comes.

    Raises:
        CommandFailed: it failed (with ``check``) or did not end in time.
    """
    line = shlex.join(str(word) for word in argv)
    return run_line(c, line, check=check, env=env, cwd=cwd, input=input, timeout=timeout, hide=hide)


def run_line(
    c: Context,
    line: str,
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | PurePath | None = None,
    input: str | bytes | None = None,  # noqa: A002 -- subprocess's name for it
    timeout: float | None = None,
    hide: bool = True,
) -> Result:
    """Run a line of sh on the host, as a ``run:`` step has it. Arguments as for ``run``.

    Raises:
        CommandFailed: it failed (with ``check``) or did not end in time.
    """
    from invoke.exceptions import CommandTimedOut, Failure

    here = scope(c)
    variables = {**here.env, **(env or {})}
    limit = here.remaining(DEFAULT_TIMEOUT if timeout is None else timeout)
    data = input.encode() if isinstance(input, str) else input
    options: dict[str, Any] = {
        "hide": hide,
        "warn": True,
        "timeout": limit,
        "env": variables,
        "in_stream": io.BytesIO(data) if data is not None else False,
    }
    whole = _in_folder(_as_root(here, line, variables), cwd)
    try:
        answer = cast("Any", c.run(whole, **options))
    except CommandTimedOut as error:
        raise CommandFailed(
            f"{_short(here, line)} did not end within {format_duration(limit)} and was ended",
            where=here.host.name,
            hint=_last_lines(here.secrets.mask(error.result.stderr)) or "give the step more time",
            result=None,
        ) from None
    except Failure as error:
        raise CommandFailed(
            f"{_short(here, line)} could not be run: {error.reason}",
            where=here.host.name,
            hint="",
            result=None,
        ) from error
    result = Result(answer.stdout, answer.stderr, answer.exited)
    if not result:
        _no_root(here, result)
    if check and not result:
        raise CommandFailed(
            f"{_short(here, line)} ended with {result.exit_code}",
            where=here.host.name,
            hint=_last_lines(here.secrets.mask(result.stderr or result.stdout)),
            result=result,
        )
    return result


def read_file(c: Context, path: str | PurePath) -> bytes | None:
    """The content of a file on the host; None when there is no such file.

    Raises:
        StepFailed: it is there and cannot be read.
    """
    here = scope(c)
    if _in_process(here):
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _file_error(here, "read", path, error) from None
    script = 'test -e "$1" || exit 66; base64 < "$1"'
    result = run(c, ["sh", "-c", script, "sh", str(path)], check=False)
    if result.exit_code == 66:  # noqa: PLR2004 -- the script's own code, EX_NOINPUT
        return None
    if not result:
        raise StepFailed(f"cannot read {path}: {_last_lines(result.stderr)}", where=here.host.name)
    try:
        return base64.b64decode("".join(result.stdout.split()), validate=True)
    except binascii.Error:
        raise StepFailed(
            f"cannot read {path}: it is too large to be read whole", where=here.host.name
        ) from None


def write_file(c: Context, path: str | PurePath, content: bytes, mode: int) -> None:
    """Write a file on the host atomically: a temporary name beside it, sync, rename.

    Folders that are missing are made (0755). The content goes through standard input.

    Args:
        c: the task's Context or Connection.
        path: where; a symbolic link there is replaced, not followed.
        content: all of it.
        mode: permission bits, such as 0o600; set before the content is written.

    Raises:
        StepFailed: it cannot be written; what was there is untouched.
    """
    here = scope(c)
    if _in_process(here):
        try:
            write_atomically(Path(path), content, mode)
        except OSError as error:
            raise _file_error(here, "write", path, error) from None
        return
    script = (
        'set -e; case $1 in */*) d=${1%/*}/;; *) d=.;; esac; test -d "$d" || mkdir -p "$d"; '
        't="$1.$2.tmp"; trap \'test ! -e "$t" || rm -f "$t"\' EXIT; '
        'umask 077; : > "$t"; chmod "$3" "$t"; cat > "$t"; sync "$t" 2>/dev/null || sync; '
        'mv -f "$t" "$1"'
    )
    words = ["sh", "-c", script, "sh", str(path), secrets.token_hex(4), f"{mode:04o}"]
    result = run(c, words, input=content, check=False)
    if not result:
        raise StepFailed(
            f"cannot write {path}: {_last_lines(result.stderr)}",
            where=here.host.name,
            hint="check free space and the folder's permissions there",
        )


def _as_root(here: Scope, line: str, variables: Mapping[str, str]) -> str:
    if not here.sudo or here.host.is_root:
        return line
    keep = [f"--preserve-env={','.join(sorted(variables))}"] if variables else []
    return shlex.join(["sudo", "-n", *keep, "--", "sh", "-c", line])


def _no_root(here: Scope, result: Result) -> None:
    """Tell a refusal of sudo apart from a failure of the command: also where nothing is checked."""
    if not here.sudo or here.host.is_root:
        return
    first = result.stderr.lstrip().partition("\n")[0]
    if first.startswith("sudo: ") or (result.exit_code == _NOT_FOUND and "sudo" in first):
        raise CommandFailed(
            f"{here.host.user} may not become root: {here.secrets.mask(first)}",
            where=here.host.name,
            hint=f"install sudo there and allow it without a password: {here.host.user} "
            "ALL=(ALL) NOPASSWD: ALL",
            result=result,
        )


def _in_folder(line: str, cwd: str | PurePath | None) -> str:
    return f"cd {shlex.quote(str(cwd))} || exit\n{line}" if cwd else line


def _in_process(here: Scope) -> bool:
    """Whether Python may touch the host's files itself: this machine, as this user."""
    return here.host.connection == "local" and (not here.sudo or here.host.is_root)


def _file_error(here: Scope, verb: str, path: str | PurePath, error: OSError) -> StepFailed:
    return StepFailed(
        f"cannot {verb} {path}: {error.strerror}",
        where=here.host.name,
        hint=f"it needs to be possible for the user {here.host.user}",
    )


def _short(here: Scope, shown: str) -> str:
    line = " ".join(here.secrets.mask(shown).split())
    return line if len(line) <= _SHOWN_COMMAND else line[: _SHOWN_COMMAND - 1] + "…"


def _last_lines(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_SHOWN_LINES:])
