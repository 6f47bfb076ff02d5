"""Asks a server on or near the host whether it answers as it should."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from invoke.tasks import task

from orchestrator.tasks import downloading
from orchestrator.tasks.fetching import get
from orchestrator.tasks.outcome import Outcome, changes_nothing
from orchestrator.tasks.placing import absolute, read_mode
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

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
    matches: str = "",
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    """See that a URL answers as it should, asked from the host.

    Args:
        c: the task's Context or Connection.
        url: with http or https.
        status: the HTTP status that is expected.
        contains: text that the body must hold.
        expects: values that the JSON body must have, by dotted path: ``{"status": "healthy"}``.
        wait: seconds for the answer.
        matches: a regular expression (Python's) that is found in the body; a line of it is enough.
        headers: regular expressions that the answer's headers match as a whole, by name.

    Outputs:
        status, body; headers, when some are expected.

    Raises:
        InvalidInput: not a URL, or not a regular expression.
        StepFailed: it does not answer, or not so.
    """
    patterns = {name: _pattern(str(text)) for name, text in (headers or {}).items()}
    wanted = _pattern(matches)
    answer = get(c, url, wait, own=_is_own(c, url), headers=bool(patterns))
    if not answer.status:
        raise StepFailed(f"{url} does not answer: {answer.error}", where=scope(c).host.name)
    fault = fault_of(answer.status, answer.body, status, contains, expects or {})
    if not fault and not wanted.search(answer.body):
        fault = f"answers with nothing that matches {matches!r}: {_short(answer.body)}"
    fault = fault or header_fault(answer.headers, patterns)
    if fault:
        raise StepFailed(f"{url} {fault}", where=scope(c).host.name)
    outputs: dict[str, Any] = {"status": answer.status, "body": answer.body}
    if patterns:
        outputs["headers"] = dict(answer.headers)
    return Outcome(message=f"answers {answer.status}", outputs=outputs)


@task
def download(
    c: Context,
    url: str,
    dest: str,
    sha256: str,
    mode: str = "0644",
    owner: str = "",
    wait: float = 600.0,
) -> Outcome:
    """Download a file to the host; it takes its place at once, and only if its digest is right.

    Args:
        c: the task's Context or Connection.
        url: with http or https, without a password in it.
        dest: an absolute path on the host.
        sha256: the file's digest; a file that has it already is not downloaded again.
        mode: permission bits of the file.
        owner: ``user``, ``user:group`` or ``:group``; empty: whoever the commands run as.
        wait: seconds for the whole of it.

    Raises:
        StepFailed: the server does not give it, or it is another file.
    """
    return downloading.download(c, url, absolute(dest), sha256, read_mode(mode), owner, wait)


def _is_own(c: Context, url: str) -> bool:
    """Whether a URL leads to one of the two servers on the host itself."""
    settings = scope(c).settings
    asked = urlsplit(url)
    return f"{asked.scheme}://{asked.netloc}" in {
        settings.local_url(server) for server in ("session_buddy", "mahavishnu")
    }


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise InvalidInput(f"{text!r} is not a regular expression: {error}") from None


def header_fault(found: Mapping[str, str], wanted: Mapping[str, re.Pattern[str]]) -> str:
    """What is wrong with the headers of an answer; empty when nothing is."""
    for name, pattern in wanted.items():
        value = found.get(name.lower())
        if value is None:
            return f"answers without the header {name}"
        if not pattern.fullmatch(value):
            return f"answers with {name}: {_short(value)}, which is not {pattern.pattern}"
    return ""


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
