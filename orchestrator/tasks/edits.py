"""Changes to the text of a file: a line, a marked block, a pattern. Pure; knows no hosts.

Each is idempotent: the same change to its own result gives that result. Line ends stay what they
are in the file, with CRLF where its first line has it.
"""

from __future__ import annotations

import re

from schemas.errors import InvalidInput


def put_line(text: str, line: str, match: str = "", after: str = "", before: str = "") -> str:
    """The text with this line in it.

    Args:
        text: of the file.
        line: without its end.
        match: a pattern; the last line that it finds becomes ``line``.
        after: a pattern; a new line comes after the last line that it finds, or at the end.
        before: a pattern; a new line comes before the first line that it finds, or at the end.

    Raises:
        InvalidInput: a pattern is none, or the line is several.
    """
    _single(line)
    lines, end = _lines(text)
    wanted = _pattern(match) if match else None
    found = [place for place, one in enumerate(lines) if wanted and wanted.search(one)]
    # A pattern that does not find its own line would else take one more at each run.
    if wanted and found and (wanted.search(line) or line not in lines):
        lines[found[-1]] = line
    elif line not in lines:
        lines.insert(_place(lines, after, before), line)
    else:
        return text
    return _text(lines, end)


def drop_line(text: str, line: str = "", match: str = "") -> str:
    """The text without the lines that are this one, or that a pattern finds.

    Raises:
        InvalidInput: the pattern is none, or neither is given.
    """
    if not line and not match:
        raise InvalidInput("neither a line nor a pattern is given", hint="write line or match")
    lines, end = _lines(text)
    kept = [one for one in lines if not _meant(one, line, match)]
    return text if len(kept) == len(lines) else _text(kept, end)


def put_block(text: str, content: str, begin: str, end: str, after: str = "") -> str:
    """The text with this content between two marking lines.

    Args:
        text: of the file.
        content: of the block; empty takes the block out, with its marks.
        begin: the line before it.
        end: the line after it.
        after: a pattern; a new block comes after the last line that it finds, or at the end.

    Raises:
        InvalidInput: only one mark is there, or the content has a mark in it.
    """
    lines, ending = _lines(text)
    wanted, _ = _lines(content)
    if {begin, end} & set(wanted):
        raise InvalidInput("the block's content has one of its marks in it")
    block = [begin, *wanted, end] if content else []
    marks = [place for place, one in enumerate(lines) if one in {begin, end}]
    if not marks:
        place = _place(lines, after, "")
        return _text(lines[:place] + block + lines[place:], ending) if block else text
    if [lines[place] for place in marks] != [begin, end]:
        raise InvalidInput(
            f"{begin!r} and {end!r} are not there once each, one after the other",
            hint="mend the marks by hand, or take them out",
        )
    whole = lines[: marks[0]] + block + lines[marks[1] + 1 :]
    return text if whole == lines else _text(whole, ending)


def replace(text: str, pattern: str, replacement: str) -> str:
    """The text with each place that a pattern finds replaced; ``^`` and ``$`` are a line's.

    Raises:
        InvalidInput: the pattern is none, or a second time would change the text again.
    """
    compiled = _pattern(pattern)
    try:
        result = compiled.sub(replacement, text)
        again = compiled.sub(replacement, result)
    except (re.error, IndexError) as error:
        raise InvalidInput(f"{replacement!r} is not a replacement: {error}") from None
    if again != result:
        raise InvalidInput(
            f"{pattern!r} also finds what it was replaced with",
            hint="each run would change the file again: make the pattern narrower",
        )
    return result


def _single(line: str) -> None:
    if "\n" in line or "\r" in line:
        raise InvalidInput("this is more than one line", hint="files.block puts several")


def _lines(text: str) -> tuple[list[str], str]:
    """Lines without their ends, and the end that lines of this text have."""
    end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    lines = text.split(end)
    return (lines if lines[-1] else lines[:-1]), end


def _text(lines: list[str], end: str) -> str:
    return "".join(f"{line}{end}" for line in lines)


def _meant(one: str, line: str, match: str) -> bool:
    return bool(_pattern(match).search(one)) if match else one == line


def _place(lines: list[str], after: str, before: str) -> int:
    if after:
        found = [place for place, one in enumerate(lines) if _pattern(after).search(one)]
        return found[-1] + 1 if found else len(lines)
    if before:
        found = [place for place, one in enumerate(lines) if _pattern(before).search(one)]
        return found[0] if found else len(lines)
    return len(lines)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise InvalidInput(f"{text!r} is not a pattern: {error}") from None
