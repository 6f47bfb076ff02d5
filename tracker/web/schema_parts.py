"""JSON Schemas as pydantic gives them, made fit for a description of an API. Pure."""

from __future__ import annotations

from typing import Any


def tidied(schema: Any) -> Any:
    """A schema without the titles that pydantic makes of field names."""
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: tidied(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def of_parameters(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of parameters: an absent one is absent, never null."""
    properties = {
        name: _without_null(field) for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in field.items() if value is not None}
    choices = kept.pop("anyOf", None)
    if choices is None:
        return kept
    choices = [choice for choice in choices if choice != {"type": "null"}]
    if len(choices) > 1:
        return {"anyOf": choices, **kept}
    return {**choices[0], **kept}
