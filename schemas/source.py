"""YAML with its line numbers kept, so that every message about a file can say where.

Also catches what YAML 1.1 quietly turns into something else: ``0640`` into 416, ``no`` into false,
``12:30`` into 750.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from schemas.errors import InvalidInput, NotFound
from schemas.known_keys import known_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic import BaseModel, ValidationError

    Model = TypeVar("Model", bound=BaseModel)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRUE_FALSE = {"true", "false", "True", "False", "TRUE", "FALSE"}
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SEXAGESIMAL = re.compile(r"[-+]?\d+(:[0-5]?\d)+(\.\d*)?")

Keys = tuple[str | int, ...]

_MOST_REPEATED = 10_000
"""Values that the aliases of a file may stand for; a few lines of them can mean millions."""


@dataclass
class Document:
    """A YAML file as plain data, and the line of each key and item in it."""

    path: Path
    data: Any
    lines: dict[Keys, int] = field(default_factory=dict)

    def where(self, *keys: str | int) -> str:
        """``file:line`` of a key, or of the nearest thing around it."""
        for length in range(len(keys), -1, -1):
            if keys[:length] in self.lines:
                return f"{self.path}:{self.lines[keys[:length]]}"
        return f"{self.path}:1"


def load_yaml(path: Path) -> Document:
    """Read one YAML document.

    Raises:
        NotFound: no such file.
        InvalidInput: not YAML, a key twice, or a YAML 1.1 trap; with ``file:line``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(path)) from None
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> Document:
    """``load_yaml`` for text that is already in memory."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document(path, None)
        if node is not None:
            document.data = _Reader(document, loader).read(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        last = max(1, len(text.splitlines()))
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InvalidInput(
            f"this is not YAML: {problem}",
            where=f"{path}:{min(mark.line + 1, last) if mark else 1}",
            hint="check the indentation; quote text with ': ' in it or one of {[*&!% in front",
        ) from None
    except RecursionError:
        raise InvalidInput("lists and mappings are nested too deeply", where=f"{path}:1") from None
    finally:
        loader.dispose()
    return document


class _Reader:
    def __init__(self, document: Document, loader: Any) -> None:
        self.document = document
        self.loader = loader
        self._around: set[int] = set()
        self._seen: set[int] = set()
        self._repeated = 0

    def read(self, node: yaml.Node, path: Keys) -> Any:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        self._bound(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._around.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self.read(item, (*path, number)) for number, item in enumerate(node.value)]
        finally:
            self._around.discard(id(node))

    def _bound(self, node: yaml.Node, path: Keys) -> None:
        """An alias is the node itself once more: inside itself, it would never end."""
        if id(node) in self._around:
            raise InvalidInput(
                "an alias (*) stands inside what it names", where=self.document.where(*path)
            )
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > _MOST_REPEATED:
            raise InvalidInput(
                f"the aliases (*) stand for more than {_MOST_REPEATED} values",
                where=self.document.where(*path),
            )

    def _scalar(self, node: yaml.ScalarNode, path: Keys) -> Any:
        self._refuse_traps(node, path)
        try:
            return self.loader.construct_object(node, deep=True)
        except ValueError as error:
            where = self.document.where(*path)
            raise InvalidInput(f"{node.value} cannot be read: {error}", where=where) from None

    def _mapping(self, node: yaml.MappingNode, path: Keys) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = f"{self.document.path}:{key_node.start_mark.line + 1}"
            key = key_node.value
            if not isinstance(key, str):
                raise InvalidInput("a key is text, not a list or mapping", where=where)
            if key_node.tag.endswith(":merge"):
                raise InvalidInput(
                    "merge keys (<<) are not supported", where=where, hint="write the keys out"
                )
            if key_node.tag.endswith(":bool") and key not in _TRUE_FALSE:
                raise InvalidInput(
                    f"YAML reads the key {key!r} as true or false",
                    where=where,
                    hint=f'write "{key}" in quotes',
                )
            if key in mapping:
                raise InvalidInput(f"the key {key!r} stands here twice", where=where)
            self.document.lines[(*path, key)] = key_node.start_mark.line + 1
            mapping[key] = self.read(value_node, (*path, key))
        return mapping

    def _refuse_traps(self, node: yaml.ScalarNode, path: Keys) -> None:
        if node.style:
            return
        text, where = node.value, self.document.where(*path)
        if node.tag.endswith(":bool") and text not in _TRUE_FALSE:
            raise InvalidInput(
                f"YAML reads {text} as true or false",
                where=where,
                hint=f'write "{text}" in quotes for the text, or true or false',
            )
        if node.tag.endswith(":int") and _OCTAL.fullmatch(text):
            raise InvalidInput(
                f"YAML reads {text} as the octal number {int(text.replace('_', ''), 8)}",
                where=where,
                hint=f'write "{text}" in quotes',
            )
        if node.tag.endswith((":int", ":float")) and _SEXAGESIMAL.fullmatch(text):
            raise InvalidInput(
                f"YAML reads {text} as a number in base 60",
                where=where,
                hint=f'write "{text}" in quotes',
            )


def validate(document: Document, model: type[Model]) -> Model:
    """The document as a model.

    Raises:
        InvalidInput: every fault on a line of its own, as ``file:line: path: what``.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        faults = _faults(document, model, error)
    first, *others = faults
    raise InvalidInput(
        "\n".join([first[1], *(f"{where}: {what}" for where, what in others)]), where=first[0]
    )


def _faults(
    document: Document, model: type[BaseModel], error: ValidationError
) -> list[tuple[str, str]]:
    faults = []
    for fault in error.errors(include_url=False):
        path = _path_in(document.data, fault["loc"])
        shown = ".".join(str(part) for part in path)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            key = str(path[-1])
            near = difflib.get_close_matches(key, known_keys(model, path[:-1]), n=1)
            message = "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
        elif fault["type"] == "missing":
            message = "this key is required"
        entry = (document.where(*path), f"{shown}: {message}" if shown else message)
        if entry not in faults:
            faults.append(entry)
    return faults


def _path_in(data: Any, loc: Sequence[str | int]) -> Keys:
    """The part of a pydantic location that is in the data: unions put their names in between."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        below = _child(data, part)
        last = position == len(loc) - 1 and isinstance(data, dict) and isinstance(part, str)
        if below is not None or last:
            path.append(part)
            data = below
    return tuple(path)


def _child(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None
