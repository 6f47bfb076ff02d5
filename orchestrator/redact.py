"""Known secret values, and their removal from whatever is about to be written or shown.

Knows nothing of where the values come from. ``tracker.client.redact`` finds secrets that nobody
declared by their shape; this module finds the declared ones in any shape.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 4
"""Characters below which a value is masked only where it stands alone: masking every ``a`` in a log
hides the log, not the secret."""


class SecretRegistry:
    """The secret values of one run.

    Masks a value also where it stands base64-encoded (at any offset inside a longer text),
    URL-encoded, escaped for JSON, HTML or a shell, or line by line.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        # The hosts of a run share one; a value that is added meanwhile must get into the pattern.
        self._lock = threading.RLock()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: object) -> None:
        """Mask this value from now on; empty ones and those already known change nothing."""
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
        if not text or text in self._values:
            return
        with self._lock:
            self._values.add(text)
            self._pattern = None

    def __len__(self) -> int:
        return len(self._values)

    def mask(self, text: str) -> str:
        """The text without any known value."""
        if not self._values or not text:
            return text
        if text in self._values:
            return MASK
        pattern = self._compiled()
        return pattern.sub(MASK, text) if pattern else text

    def is_in(self, text: str) -> bool:
        """Whether the text holds a known value, in any form that is masked."""
        return self.mask(text) != text

    def mask_data(self, data: Any) -> Any:
        """JSON-like data without any known value, keys included."""
        if isinstance(data, str):
            return self.mask(data)
        if isinstance(data, Mapping):
            return {self.mask(str(key)): self.mask_data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.mask_data(value) for value in data]
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            return MASK if str(data) in self._values else data
        return data

    def _compiled(self) -> re.Pattern[str] | None:
        with self._lock:
            if self._pattern is None:
                patterns = {pattern for value in self._values for pattern in _patterns(value)}
                if not patterns:
                    return None
                self._pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)))
            return self._pattern


def _patterns(value: str) -> Iterator[str]:
    for text in {value, *_lines(value)}:
        if len(text) >= SHORTEST:
            yield from {re.escape(form) for form in _forms(text)}
            yield from _base64_patterns(text.encode())


def _forms(text: str) -> Iterator[str]:
    yield text
    for unicode_escapes in (True, False):
        once = json.dumps(text, ensure_ascii=unicode_escapes)[1:-1]
        yield once
        yield json.dumps(once)[1:-1]  # JSON inside JSON
    yield repr(text)[1:-1]
    yield shlex.quote(text).strip("'")
    yield html.escape(text)
    for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)


def _lines(value: str) -> list[str]:
    lines = value.splitlines()
    return [line.strip() for line in lines] if len(lines) > 1 else [value.strip()]


def _base64_patterns(content: bytes) -> Iterator[str]:
    """What base64 makes of the content, at each of the three offsets it can have in a longer text.

    The character at either end also depends on the neighbours; it is masked with the rest. Programs
    break long base64 into lines of 76 (MIME) or 64 (PEM) characters; each line is masked.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            first = (offset * 8 + 5) // 6
            last = (offset + len(content)) * 8 // 6
            form = encode(b"\0" * offset + content).decode()[first:last]
            if len(form) >= SHORTEST:
                yield f"[A-Za-z0-9+/_-]?{re.escape(form)}[A-Za-z0-9+/_-]?={{0,2}}"
        whole = encode(content).decode()
        for width in (64, 76):
            for start in range(0, len(whole), width) if len(whole) > width else ():
                line = whole[start : start + width]
                if len(line) >= SHORTEST:
                    yield re.escape(line)
