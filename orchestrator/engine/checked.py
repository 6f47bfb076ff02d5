"""YAML files as checked models, remembered by their content.

Importing pydantic and building its models takes longer than a run of twenty steps, so a file that
was found to be valid once is read back from what was found then. Knows nothing of what is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import schemas
from schemas.source import Document, load_yaml, validate

if TYPE_CHECKING:
    from pydantic import BaseModel

_COMPUTED = ("kind", "title")
"""Properties of the models that are remembered with their fields."""


@dataclass(frozen=True)
class Checker:
    """Reads files and checks them.

    Args:
        folder: where valid content is remembered; None remembers nothing.
        remember: whether to write there, too; a plan or a check changes nothing.
    """

    folder: Path | None = None
    remember: bool = False

    def read(self, path: Path, model: str) -> tuple[Any, Document]:
        """A file as the model ``Runbook`` or ``Inventory``, or as an object with its attributes.

        Raises:
            NotFound: no such file.
            InvalidInput: it is not valid, with ``file:line``.
        """
        document = load_yaml(path)
        key = _key(document, model)
        place = self._place(path, model)
        known = _remembered(place, key) if place else None
        if known is not None:
            return known, document
        valid = validate(document, _model(model))
        if place is not None and self.remember:
            # Without it the next run is slower, nothing else.
            with suppress(OSError):
                frozen = _frozen(valid)
                _write(place, {"key": key, "sum": _sum(frozen), "model": frozen})
        return valid, document

    def _place(self, path: Path, model: str) -> Path | None:
        name = hashlib.sha256(f"{model} {path.absolute()}".encode()).hexdigest()[:16]
        return self.folder / f"{path.stem}-{name}.json" if self.folder else None


def _key(document: Document, model: str) -> str:
    """Changes with what the file says and with what the schemas demand."""
    digest = hashlib.sha256(json.dumps([model, document.data], default=str).encode())
    for module in ("runbook", "inventory", "environment", "units"):
        digest.update((Path(schemas.__path__[0]) / f"{module}.py").read_bytes())
    return digest.hexdigest()


def _model(name: str) -> type[BaseModel]:
    if name == "Inventory":
        from schemas.inventory import Inventory

        return Inventory
    from schemas.runbook import Runbook

    return Runbook


def _remembered(place: Path, key: str) -> Any:
    """What was found then; None when it was something else, or is not what was written."""
    try:
        stored = json.loads(place.read_text(encoding="utf-8"))
        if stored["key"] != key or stored["sum"] != _sum(stored["model"]):
            return None
        return _thawed(stored["model"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        # Whatever was done to the file: reading the runbook itself is always possible.
        return None


def _sum(frozen: Any) -> str:
    return hashlib.sha256(json.dumps(frozen, default=str).encode()).hexdigest()


def _write(place: Path, content: dict[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, default=str)
    temporary.replace(place)


def _frozen(value: Any) -> Any:
    """A model as JSON that still tells a model from a mapping."""
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        computed = [name for name in _COMPUTED if name not in fields and hasattr(value, name)]
        names = [*fields, *computed]
        return {"model": {name: _frozen(getattr(value, name)) for name in names}}
    if isinstance(value, dict):
        return {"mapping": {key: _frozen(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_frozen(item) for item in value]
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, list):
        return [_thawed(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, items),) = value.items()
    thawed = {key: _thawed(item) for key, item in items.items()}
    return SimpleNamespace(**thawed) if kind == "model" else thawed
