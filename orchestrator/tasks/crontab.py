"""A block of our own in the text of a crontab; every other line stays byte for byte. Pure."""

from __future__ import annotations


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
