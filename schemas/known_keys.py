"""Which keys a model knows at a place, for messages that name the nearest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a model knows at a path, found in its JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    nodes = [schema]
    for part in path:
        nodes = [below for node in nodes for below in _below(_resolved(node, definitions), part)]
    return sorted(
        {
            key
            for node in nodes
            for found in _resolved(node, definitions)
            for key in found.get("properties", {})
        }
    )


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _resolved(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    branches = [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]
    return [node, *(found for branch in branches for found in _resolved(branch, definitions))]


def _below(nodes: list[dict[str, Any]], part: str | int) -> list[dict[str, Any]]:
    found = []
    for node in nodes:
        if isinstance(part, int):
            found.append(node.get("items", {}))
        else:
            extra = node.get("additionalProperties")
            found.append(
                node.get("properties", {}).get(part) or (extra if isinstance(extra, dict) else {})
            )
    return found
