"""Puts one value into JSON text and leaves every other byte as it was. Pure; knows no files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from schemas.errors import InvalidInput

_SPACE = re.compile(r"[ \t\n\r]*")
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class _Member:
    """One member of an object: where its key begins, and its value from ``start`` to ``end``."""

    key_start: int
    start: int
    end: int


def put(text: str, pointer: str, value: Any) -> str:
    """The text with ``value`` at ``pointer``; objects on the way there are made.

    Args:
        text: a JSON object; empty text counts as ``{}``.
        pointer: which member, as a JSON Pointer (RFC 6901) through objects.
        value: what belongs there.

    Raises:
        InvalidInput: the text is not a JSON object, has a key twice, or something on the way is not
            an object; the message says in which line.
    """
    if not text.strip():
        text = "{}\n"
    check(text)
    keys = _keys(pointer)
    found = _INDENT.search(text)
    indent = found[1] if found else "  "
    start, depth = _skip(text, 0), 0
    while True:
        members = _members(text, start)
        member = members.get(keys[depth])
        last = depth == len(keys) - 1
        if member is None:
            for key in reversed(keys[depth + 1 :]):
                value = {key: value}
            return _insert(text, start, members, keys[depth], value, indent, depth)
        if last:
            if json.loads(text[member.start : member.end]) == value:
                return text
            return text[: member.start] + _dumped(value, indent, depth + 1) + text[member.end :]
        if text[member.start] != "{":
            raise InvalidInput(
                f"{'/'.join(keys[: depth + 1])} is not an object (line {_line(text, member.start)})"
            )
        start, depth = member.start, depth + 1


def check(text: str) -> None:
    """See that the text is one JSON object without a key that stands in an object twice.

    Raises:
        InvalidInput: it is not; with the line.
    """
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"this is not JSON: {error.msg} (line {error.lineno})",
            hint="correct it by hand; nothing was written",
        ) from None
    if not isinstance(data, dict):
        raise InvalidInput("this is not a JSON object", hint="it has to begin with {")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"the key {twice!r} stands in one object twice")
    return members


def _keys(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise InvalidInput(
            f"{pointer!r} is not a JSON Pointer", hint="write /key or /key/below: RFC 6901"
        )
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _members(text: str, start: int) -> dict[str, _Member]:
    """The members of the object that begins at ``start``; the text is known to be valid."""
    members: dict[str, _Member] = {}
    position = _skip(text, start + 1)
    while text[position] != "}":
        key_start = position
        key, position = _DECODER.raw_decode(text, position)
        value_start = _skip(text, _skip(text, position) + 1)
        _, value_end = _DECODER.raw_decode(text, value_start)
        members[key] = _Member(key_start, value_start, value_end)
        position = _skip(text, value_end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return members


def _insert(
    text: str,
    start: int,
    members: dict[str, _Member],
    key: str,
    value: Any,
    indent: str,
    depth: int,
) -> str:
    member = f"{json.dumps(key, ensure_ascii=False)}: {_dumped(value, indent, depth + 1)}"
    inner = "\n" + indent * (depth + 1)
    if members:
        last = list(members.values())[-1]
        line_start = text.rfind("\n", 0, last.key_start)
        between = text[line_start : last.key_start]
        # Follow the way in which the members before it are laid out.
        separator = between if line_start >= start and not between.strip() else inner
        return f"{text[: last.end]},{separator}{member}{text[last.end :]}"
    end = text.index("}", start)
    return f"{text[: start + 1]}{inner}{member}\n{indent * depth}{text[end:]}"


def _dumped(value: Any, indent: str, depth: int) -> str:
    lines = json.dumps(value, indent=indent, ensure_ascii=False).split("\n")
    return f"\n{indent * depth}".join(lines)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
