"""A block of our own in the text of a crontab; every other line stays byte for byte. Pure."""

from __future__ import annotations

import re

from schemas.errors import InvalidInput

_FIELD = r"[0-9A-Za-z*,/~-]+"
_TIMES = re.compile(
    rf"{_FIELD}( {_FIELD}){{4}}|@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)"
)


def job_line(at: str, line: str) -> str:
    """A line of a crontab (crontab(5): ``%`` ends a command).

    Args:
        at: five fields, or a word such as ``@daily``.
        line: what sh runs.

    Raises:
        InvalidInput: not such times, or more or less than one line.
    """
    times = " ".join(at.split())
    if not _TIMES.fullmatch(times):
        raise InvalidInput(
            f"{at!r} is not a time for cron",
            hint='minute hour day month weekday: "0 2 * * *", or @daily, @reboot',
        )
    if not line.strip() or "\n" in line:
        raise InvalidInput("cron runs one line", hint="put more than one into a script")
    return f"{times} {line}".replace("%", "\\%")


def block_of(text: str, name: str) -> list[str] | None:
    """The lines of the block ``name``; None when there is no such block."""
    begin, end = _marks(name)
    lines = text.splitlines()
    if begin not in lines:
        return None
    rest = lines[lines.index(begin) + 1 :]
    return rest[: rest.index(end)] if end in rest else []


def with_block(text: str, name: str, block: list[str]) -> str:
    """The text with these lines in the block, which is put at the end when it is new."""
    begin, end = _marks(name)
    inner = "".join(f"{line}\n" for line in [begin, *block, end])
    before, found, after = _parts(text, name)
    if found:
        return before + inner + after
    return before + ("\n" if before and not before.endswith("\n") else "") + inner


def without_block(text: str, name: str) -> str:
    """The text without the block."""
    before, _, after = _parts(text, name)
    return before + after


def _marks(name: str) -> tuple[str, str]:
    return f"# >>> sessionops {name} >>>", f"# <<< sessionops {name} <<<"


def _parts(text: str, name: str) -> tuple[str, bool, str]:
    """What stands before the block, whether there is one, and what stands after it."""
    begin, end = _marks(name)
    lines = text.splitlines(keepends=True)
    bare = [line.rstrip("\n") for line in lines]
    if begin not in bare:
        return text, False, ""
    first = bare.index(begin)
    # Without its end mark only the begin mark is known to be ours.
    last = bare.index(end, first) if end in bare[first:] else first
    return "".join(lines[:first]), True, "".join(lines[last + 1 :])
