"""Asks a server on or near the host whether it answers as it should."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from invoke.tasks import task

from orchestrator.tasks.fetching import get
from orchestrator.tasks.outcome import Outcome, changes_nothing
from orchestrator.tasks.scope import scope
from schemas.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

_SHOWN = 120


@task
@changes_nothing
def check(
    c: Context,
    url: str,
    status: int = 200,
    contains: str = "",
    expects: Mapping[str, Any] | None = None,
    wait: float = 5.0,
) -> Outcome:
    """See that a URL answers as it should, asked from the host.

    Args:
        c: the task's Context or Connection.
        url: with http or https.
        status: the HTTP status that is expected.
        contains: text that the body must hold.
        expects: values that the JSON body must have, by dotted path: ``{"status": "healthy"}``.
        wait: seconds for the answer.

    Outputs:
        status, body.

    Raises:
        StepFailed: it does not answer, or not so.
    """
    answer = get(c, url, wait, own=_is_own(c, url))
    if not answer.status:
        raise StepFailed(f"{url} does not answer: {answer.error}", where=scope(c).host.name)
    fault = fault_of(answer.status, answer.body, status, contains, expects or {})
    if fault:
        raise StepFailed(f"{url} {fault}", where=scope(c).host.name)
    outputs = {"status": answer.status, "body": answer.body}
    return Outcome(message=f"answers {answer.status}", outputs=outputs)


def _is_own(c: Context, url: str) -> bool:
    """Whether a URL leads to one of the two servers on the host itself."""
    settings = scope(c).settings
    asked = urlsplit(url)
    return f"{asked.scheme}://{asked.netloc}" in {
        settings.local_url(server) for server in ("session_buddy", "mahavishnu")
    }


def fault_of(status: int, body: str, wanted: int, contains: str, expects: Mapping[str, Any]) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if status != wanted:
        return f"answers {status}, not {wanted}: {_short(body)}"
    if contains and contains not in body:
        return f"answers without {contains!r}: {_short(body)}"
    if not expects:
        return ""
    try:
        data = json.loads(body)
    except ValueError:
        return f"answers with something that is not JSON: {_short(body)}"
    for path, value in expects.items():
        found = _at(data, path)
        if found != value:
            return f"answers with {path} {found!r}, not {value!r}"
    return ""


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


def _short(body: str) -> str:
    line = " ".join(body.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
