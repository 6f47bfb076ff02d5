"""A run's record and journal lines, from bytes that anything may have happened to.

Knows their shape, not where they lie.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any, get_args

from schemas.run import JournalEntry, Phase, RunRecord, RunState, StepState

_NUMBER = (int, float)
_RECORD: dict[str, Any] = {
    "hosts": list,
    "params": dict,
    "resumed": int,
    "waiting_for": dict,
    "outcomes": dict,
    "pid": int,
    "process_started": _NUMBER,
    "changed": int,
    "duration_seconds": (*_NUMBER, type(None)),
    "finished_at": (str, type(None)),
    "failed_step": (str, type(None)),
    "error": (str, type(None)),
}
_ENTRY: dict[str, Any] = {
    "item": object,
    "attempt": int,
    "duration_seconds": (*_NUMBER, type(None)),
    "outputs": dict,
    "undo": list,
    "number": int,
}


def read_record(content: bytes) -> RunRecord:
    """The record of a run.

    Raises:
        ValueError: it is not one.
    """
    known = _fields(content, RunRecord, _RECORD)
    if known["state"] not in get_args(RunState):
        raise ValueError(f"{known['state']!r} is no state of a run")
    datetime.fromisoformat(known["started_at"])
    return RunRecord(**known)


def read_entry(line: bytes) -> JournalEntry:
    """One line of a journal.

    Raises:
        ValueError: it is not one.
    """
    known = _fields(line, JournalEntry, _ENTRY)
    if known["phase"] not in get_args(Phase) or known["state"] not in get_args(StepState):
        raise ValueError(f"{known['phase']} {known['state']} is nothing that a step does")
    datetime.fromisoformat(known["at"])
    return JournalEntry(**known)


def _fields(content: bytes, shape: type, types: dict[str, Any]) -> dict[str, Any]:
    """Its fields, those that are not named in ``types`` being texts; unknown ones are left out."""
    try:
        data = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 -- the content is wrong, not the call
    found: dict[str, Any] = {}
    for field in dataclasses.fields(shape):
        if field.name in data:
            found[field.name] = data[field.name]
            if not isinstance(data[field.name], types.get(field.name, str)):
                raise ValueError(f"{field.name} is a {type(data[field.name]).__name__}")
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{field.name} is missing")
    return found
