"""The inventory: which hosts a pattern names, and the variables and settings of each.

Reads one file and never reaches out to a host.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.places import Places
from schemas.settings import BY_NAME, Settings, Value, read_value

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.engine.checked import Checker
    from schemas.inventory import Host, Inventory
    from schemas.source import Document


@dataclass(frozen=True)
class Hosts:
    """The hosts of one inventory file.

    Args:
        inventory: what the file says.
        document: where it says so.
    """

    inventory: Inventory
    document: Document

    @classmethod
    def load(cls, path: Path, checker: Checker) -> Hosts:
        """Read an inventory file.

        Args:
            path: the file.
            checker: reads it.

        Raises:
            NotFound: no such file.
            InvalidInput: a fault in it, with ``file:line``.
        """
        return cls(*checker.read(path, "Inventory"))

    def named(self, name: str) -> Host:
        """What the file says of one host."""
        return self.inventory.hosts[name]

    def select(self, pattern: str, limit: str | None = None, where: str = "") -> list[str]:
        """Hosts in the file's order that a pattern names.

        Args:
            pattern: hosts, groups, ``all`` and ``web-*``, separated by commas or colons; ``!name``
                leaves hosts out.
            limit: a second pattern that they must match too.
            where: ``file:line`` of the pattern.

        Raises:
            InvalidInput: a name that is neither host nor group, or no host is left.
        """
        chosen = self._matching(pattern, where)
        if limit:
            chosen &= self._matching(limit, "--limit")
        if not chosen:
            shown = f"{pattern} limited to {limit}" if limit else pattern
            raise InvalidInput(f"no host in {self.document.path} matches {shown}", where=where)
        return [name for name in self.inventory.hosts if name in chosen]

    def matches(self, name: str, pattern: str, where: str = "") -> bool:
        """Whether a pattern, which stands at a ``file:line``, names a host.

        Raises:
            InvalidInput: the pattern holds a name that is neither host nor group.
        """
        return name in self._matching(pattern, where)

    def variables(self, name: str) -> dict[str, Any]:
        """A host's variables: of all, then of its groups (outer before inner), then its own."""
        return {key: found.value for key, found in self.traced_variables(name).items()}

    def traced_variables(self, name: str) -> dict[str, Value]:
        """A host's variables, each with the ``file:line`` that it comes from."""
        groups = self.inventory.groups
        layers: list[tuple[tuple[str, ...], dict[str, Any]]] = [
            ((), self.inventory.vars),
            *((("groups", group), groups[group].vars) for group in self.groups_of(name)),
            (("hosts", name), self.inventory.hosts[name].vars),
        ]
        return {
            key: Value(value, self.document.where(*path, "vars", key))
            for path, values in layers
            for key, value in values.items()
        }

    def settings(self, name: str, base: Settings) -> Settings:
        """The settings on a host: what the inventory says of it over ``base``.

        On this machine the environment still comes first.

        Raises:
            InvalidInput: an unknown setting, or a value that is not allowed.
        """
        host = self.inventory.hosts[name]
        values = {key: Value(base[key], base.source(key)) for key in base}
        for key, value in host.settings.items():
            where = self.document.where("hosts", name, "settings", key)
            if key not in BY_NAME:
                near = difflib.get_close_matches(key, list(BY_NAME), n=1)
                raise InvalidInput(
                    f"there is no setting {key!r}",
                    where=where,
                    hint=f"did you mean {near[0]}?" if near else "",
                )
            read = read_value(BY_NAME[key], value, where)
            if not (host.connection == "local" and base.source(key).startswith("$")):
                values[key] = Value(read, where)
        return Settings(values, base.places, base.warnings)

    def _matching(self, pattern: str, where: str) -> set[str]:
        chosen: set[str] = set()
        words = [word for word in re.split(r"[,:\s]+", pattern) if word]
        if words and all(word.startswith("!") for word in words):
            chosen = set(self.inventory.hosts)
        for word in words:
            if word.startswith("!"):
                chosen -= self._members(word[1:], where)
            else:
                chosen |= self._members(word, where)
        return chosen

    def _members(self, word: str, where: str) -> set[str]:
        hosts, groups = self.inventory.hosts, self.inventory.groups
        if word == "all":
            return set(hosts)
        found = {name for name in hosts if fnmatch.fnmatchcase(name, word)}
        for group in groups:
            if fnmatch.fnmatchcase(group, word):
                found |= self._in_group(group)
        if not found and word not in groups and not set(word) & set("*?["):
            near = difflib.get_close_matches(word, [*hosts, *groups], n=1)
            raise InvalidInput(
                f"{word!r} is neither a host nor a group of {self.document.path}",
                where=where,
                hint=f"did you mean {near[0]}?" if near else "",
            )
        return found

    def _in_group(self, group: str, above: tuple[str, ...] = ()) -> set[str]:
        if group in above:
            raise InvalidInput(
                f"groups go in a circle: {' > '.join((*above, group))}",
                where=self.document.where("groups", group),
            )
        entry = self.inventory.groups[group]
        found = set(entry.hosts)
        for child in entry.children:
            found |= self._in_group(child, (*above, group))
        return found

    def groups_of(self, name: str) -> list[str]:
        """The groups that hold a host; the larger first, so that the narrower one wins."""
        holding = {
            group: members
            for group in self.inventory.groups
            if name in (members := self._in_group(group))
        }
        return sorted(holding, key=lambda group: -len(holding[group]))


def places_of(host: Host, default: Places) -> Places:
    """The deployment's folders on a host: the inventory's, or else the default ones there."""
    from pathlib import Path

    return Places(
        home=Path(host.home) if host.home else default.home,
        tracker_home=Path(host.tracker_home) if host.tracker_home else default.tracker_home,
    )
