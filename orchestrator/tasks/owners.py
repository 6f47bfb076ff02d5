"""Who a file or folder on a task's host belongs to: read, compared, and the command for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

_NAME = r"[A-Za-z0-9_.][A-Za-z0-9_.@$\\-]*"
_OWNER = re.compile(rf"({_NAME})?(:({_NAME}))?")


def read_owner(text: str) -> str:
    """An owner as a step writes it: ``user``, ``user:group`` or ``:group``, by name or number.

    Raises:
        InvalidInput: it is none of these.
    """
    if not text or not _OWNER.fullmatch(text):
        raise InvalidInput(f"{text!r} is not an owner", hint="write user, user:group or :group")
    return text


def belongs_to(owner: str, numbers: str, names: str) -> bool:
    """Whether what belongs to ``numbers`` (``0:0``), alias ``names``, has this owner already."""
    user, _, group = owner.partition(":")
    users, groups = ((numbers.partition(":")[part], names.partition(":")[part]) for part in (0, 2))
    return (not user or user in users) and (not group or group in groups)


def chown_argv(owner: str, paths: Sequence[str | PurePath]) -> list[str]:
    """Give paths an owner; of a link the link itself."""
    return ["chown", "-h", "--", owner, *map(str, paths)]
