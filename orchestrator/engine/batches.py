"""Hosts in batches, as ``serial:`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence


def batches(
    names: Sequence[str], serial: Sequence[int | str], where: str = ""
) -> tuple[tuple[str, ...], ...]:
    """Hosts in batches of the sizes given, the last size repeated; all at once without sizes.

    Args:
        names: the hosts, in order.
        serial: numbers of hosts, or percentages such as ``25%``.
        where: ``file:line`` of ``serial``.

    Raises:
        InvalidInput: a size that is neither a number of hosts nor a percentage.
    """
    if not serial:
        return (tuple(names),)
    sizes = [_size(size, len(names), where) for size in serial]
    found, rest = [], list(names)
    for size in sizes + [sizes[-1]] * len(names):
        if rest:
            found.append(tuple(rest[:size]))
            rest = rest[size:]
    return tuple(found)


def _size(size: int | str, hosts: int, where: str) -> int:
    text = str(size)
    number = text.removesuffix("%")
    if not number.isdigit() or int(number) == 0:
        raise InvalidInput(
            f"serial: {size!r} is not a size of a batch",
            where=where,
            hint='write 2 or "25%"; at least 1',
        )
    return max(1, hosts * int(number) // 100) if text.endswith("%") else int(number)
