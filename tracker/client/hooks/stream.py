"""What a hooked shell writes into its pipe, taken apart into messages; knows no event and no disk.

A message is a header, its fields and an end mark, each closed by NUL, which no text of a shell
holds. A write that found the pipe full leaves a piece of a message, or nothing: pieces are left
out, and the numbers of the messages tell how many are missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASH = {"P": 8, "C": 8, "E": 8}
ZSH = {"P": 1, "B": 3, "F": 1, "E": 1}
"""Fields of each kind of message; see ``hook.bash`` and ``hook.zsh``."""

_HEADER = re.compile(rb"\x1e([A-Z]) (\d{1,15}) (\d{1,18}) (\d{1,4})")
_END = b"\x1f"
_LONGEST = 4_000_000
"""Bytes that may wait for their end; no pipe holds that many."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        kind: ``P`` first prompt, ``C`` command with how it ended, ``B`` command that begins, ``F``
            the prompt after it, ``E`` the shell's end.
        number: counted by the shell, from 1.
        at: microseconds since 1970.
        status: the shell's ``$?``.
        fields: as the shell wrote them.
    """

    kind: str
    number: int
    at: int
    status: int
    fields: tuple[str, ...]


class Stream:
    """Takes bytes as they come and gives messages.

    Args:
        shape: how many fields each kind of message has.
    """

    def __init__(self, shape: Mapping[str, int]) -> None:
        self._shape = shape
        self._rest = b""
        self._header: re.Match[bytes] | None = None
        self._fields: list[str] = []

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that end in these bytes."""
        *pieces, self._rest = (self._rest + data).split(b"\0")
        if len(self._rest) > _LONGEST:
            self._rest, self._header = b"", None
        for piece in pieces:
            header = _HEADER.fullmatch(piece)
            if header:
                self._header, self._fields = header, []
            elif piece == _END:
                yield from self._message()
                self._header = None
            elif self._header:
                self._fields.append(piece.decode(errors="surrogateescape"))

    def _message(self) -> Iterator[Message]:
        if self._header is None:
            return
        kind = self._header[1].decode()
        # The NUL that begins the next message also closes a piece before it; here it adds nothing.
        fields = tuple(self._fields)
        if len(fields) == self._shape.get(kind):
            number, at, status = (int(self._header[place]) for place in (2, 3, 4))
            yield Message(kind, number, at, status, fields)
