"""What differs between two runs: parameters, hosts, endings of steps, durations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.run import JournalEntry, RunRecord

    Run = tuple[RunRecord, Sequence[JournalEntry]]

_ON_THE_WAY = {"started", "retrying", "approved"}
_FIELDS = ("runbook", "state", "mode", "user", "plan_hash", "duration_seconds", "error")


def compare(first: Run, second: Run) -> dict[str, Any]:
    """What differs.

    Args:
        first: record and journal of the one run.
        second: those of the other.

    Returns:
        ``run``, ``params`` and ``steps``: by name, the two values, None where there is none; a
        step's name is ``host: phase id``, its values hold state, changed and seconds. Steps that
        ended alike are left out. ``hosts``: those that only one run had.
    """
    one, other = first[0], second[0]
    return {
        "run": _differing(
            {name: getattr(one, name) for name in _FIELDS},
            {name: getattr(other, name) for name in _FIELDS},
        ),
        "hosts": {
            "only_first": [name for name in one.hosts if name not in other.hosts],
            "only_second": [name for name in other.hosts if name not in one.hosts],
        },
        "params": _differing(one.params, other.params),
        "steps": {
            name: [_shown(ending) for ending in pair]
            for name, pair in _differing(_endings(first[1]), _endings(second[1]), _alike).items()
        },
        "durations": _durations(_endings(first[1]), _endings(second[1])),
    }


def _differing(one: dict[str, Any], other: dict[str, Any], key: Any = None) -> dict[str, list[Any]]:
    look = key or (lambda value: value)
    return {
        name: [one.get(name), other.get(name)]
        for name in one | other
        if look(one.get(name)) != look(other.get(name))
    }


def _endings(entries: Sequence[JournalEntry]) -> dict[str, JournalEntry]:
    """The last word on each step."""
    return {_name(one): one for one in entries if one.state not in _ON_THE_WAY}


def _name(entry: JournalEntry) -> str:
    number = f"[{entry.number}]" if entry.number else ""
    return f"{entry.host}: {entry.phase} {entry.step}{number}"


def _alike(entry: JournalEntry | None) -> Any:
    return None if entry is None else (entry.state, entry.error, entry.message)


def _shown(entry: JournalEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    found = {"state": entry.state, "message": entry.message, "error": entry.error}
    return {name: value for name, value in found.items() if value}


def _durations(
    one: dict[str, JournalEntry], other: dict[str, JournalEntry]
) -> dict[str, list[float | None]]:
    return {
        name: [one[name].duration_seconds, other[name].duration_seconds]
        for name in one
        if name in other and one[name].duration_seconds != other[name].duration_seconds
    }
