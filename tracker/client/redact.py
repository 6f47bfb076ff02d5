"""Takes out of a text what looks like a secret, before anything is written to disk.

Works by shape alone: names of options, variables and fields, and the known forms of tokens. Values
that somebody declared secret are ``orchestrator.redact``'s business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tracker.client.secret_patterns import NAME, PRIVATE_KEY, RULES, TOKENS, UNMISTAKABLE

if TYPE_CHECKING:
    from collections.abc import Callable

MASK = "********"
PRIVATE_KEY_PATTERN = "private_key"
FIELD_PATTERN = "field"
PATTERNS = (PRIVATE_KEY_PATTERN, FIELD_PATTERN, *RULES, *UNMISTAKABLE, *TOKENS)
"""The names of all patterns."""

# A reference to a secret is worth reading and gives nothing away; neither does an empty value.
_HARMLESS = re.compile(
    r"""["']?(?:|\$\w+|\$\{[^}]*\}|\$\(.*|\{\{.*|%\w+%|None|null|true|false|True|False)["']?""",
    re.DOTALL,
)
_PRIVATE_KEY = re.compile(PRIVATE_KEY)
_RULES = tuple((name, re.compile(rule)) for name, rule in RULES.items())
# One look at where a word begins, before any of the many forms is tried: eight times faster.
_TOKENS = re.compile(rf"\b(?:{'|'.join(TOKENS.values())})|{'|'.join(UNMISTAKABLE.values())}")
_FIELD = re.compile(rf"{NAME}|(?:proxy-)?authorization|(?:set-)?cookie", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with everything that looks like a secret masked; doing it twice changes nothing."""
    return _redacted(text, _forget)


def redact_data(data: Any) -> Any:
    """JSON-like data with texts redacted, and fields masked whose names call them secret."""
    return _redacted_data(data, _forget)


def redact_naming(data: Any) -> tuple[Any, set[str]]:
    """As ``redact_data``, with the names of the patterns that changed something."""
    named: set[str] = set()
    return _redacted_data(data, named.add), named


def _forget(_: str) -> None:
    """Nobody asks which pattern it was."""


def _redacted(text: str, note: Callable[[str], object]) -> str:
    text = _noted(text, _PRIVATE_KEY.sub(rf"\1{MASK}\3", text), PRIVATE_KEY_PATTERN, note)
    for name, rule in _RULES:
        text = _noted(text, rule.sub(_masked, text), name, note)
    if note is _forget:
        return _TOKENS.sub(MASK, text)

    def mask_token(match: re.Match[str]) -> str:
        note(_name_of_token(match))
        return MASK

    return _TOKENS.sub(mask_token, text)


def _noted(before: str, after: str, name: str, note: Callable[[str], object]) -> str:
    if after != before:
        note(name)
    return after


def _name_of_token(match: re.Match[str]) -> str:
    """The first pattern that begins there, as in the alternation that was matched."""
    forms = {**TOKENS, **UNMISTAKABLE}.items()
    names = (name for name, form in forms if re.compile(form).match(match.string, match.start()))
    return next(names)


def _redacted_data(data: Any, note: Callable[[str], object]) -> Any:
    if isinstance(data, str):
        return _redacted(data, note)
    if isinstance(data, dict):
        return {key: _field(str(key), value, note) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_redacted_data(value, note) for value in data]
    return data


def _field(name: str, value: Any, note: Callable[[str], object]) -> Any:
    secret = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if secret and _FIELD.fullmatch(name) and not _HARMLESS.fullmatch(str(value)):
        if value != MASK:
            note(FIELD_PATTERN)
        return MASK
    return _redacted_data(value, note)


def _masked(match: re.Match[str]) -> str:
    value = match["value"]
    if _HARMLESS.fullmatch(value):
        return match[0]
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{match['keep']}{quote}{MASK}{quote}"
