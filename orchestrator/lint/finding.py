"""What lint tells of one place, and how errors of the engine become that."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.errors import SessionopsError

_PLACE = re.compile(r"(.+?):(\d+)")
_LINE = re.compile(r"(\S+?\.\w+:\d+): (.*)")


@dataclass(frozen=True)
class Finding:
    """One fault, or one thing that is worth a look.

    Args:
        where: ``file:line``.
        code: what kind it is, such as ``unpaired-step``.
        message: what is wrong.
        hint: what to do.
        severity: only an ``error`` makes lint fail.
    """

    where: str
    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def order(self) -> tuple[str, int, str]:
        """What findings are sorted by."""
        found = _PLACE.fullmatch(self.where)
        return (found[1], int(found[2]), self.message) if found else (self.where, 0, self.message)

    def as_dict(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def findings_of(error: SessionopsError, code: str) -> Iterator[Finding]:
    """An error of the engine, which may tell of several places, as a finding each."""
    first, *others = error.message.split("\n")
    yield Finding(error.where, code, first, error.hint)
    for line in others:
        found = _LINE.fullmatch(line)
        yield Finding(found[1], code, found[2]) if found else Finding(error.where, code, line)
