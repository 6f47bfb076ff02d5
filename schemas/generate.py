"""Write the JSON Schemas that editors check YAML files with: ``python -m schemas.generate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.inventory import Inventory
from schemas.runbook import Runbook
from schemas.session import Event, Session
from schemas.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER = Path(__file__).resolve().parent / "json"
_TYPES = {
    "text": "string",
    "secret": "string",
    "path": "string",
    "url": "string",
    "flag": "boolean",
    "count": "integer",
    "number": "number",
}


def documents() -> dict[str, str]:
    """The text of every schema file, by file name."""
    models: dict[str, type[BaseModel]] = {
        "runbook": Runbook,
        "inventory": Inventory,
        "event": Event,
        "session": Session,
    }
    schemas: dict[str, dict[str, Any]] = {
        name: _with_free_keys(model.model_json_schema(by_alias=True))
        for name, model in models.items()
    }
    for name in ("mahavishnu", "session_buddy"):
        schemas[f"settings-{name.replace('_', '-')}"] = _settings_schema(name)
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{name}.schema.json": json.dumps(dialect | schema, indent=2, sort_keys=True) + "\n"
        for name, schema in schemas.items()
    }


def _with_free_keys(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow ``x-`` keys wherever unknown keys are refused, as the models do."""
    for node in [schema, *schema.get("$defs", {}).values()]:
        if node.get("additionalProperties") is False:
            node["patternProperties"] = {"^x-": True}
    return schema


def _settings_schema(prefix: str) -> dict[str, Any]:
    root: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    for setting in SETTINGS:
        first, *parents, leaf = setting.name.split(".")
        if first != prefix or setting.kind == "secret":
            continue
        node = root
        for parent in parents:
            node = node["properties"].setdefault(
                parent, {"type": "object", "properties": {}, "additionalProperties": False}
            )
        node["properties"][leaf] = _setting_schema(setting)
    return root


def _setting_schema(setting: Setting) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": f"{setting.help} (guide {setting.guide})"}
    if setting.kind == "list":
        schema |= {"type": "array", "items": {"type": "string"}}
    else:
        schema |= {"type": _TYPES[setting.kind], "default": setting.default}
    if setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.low is not None:
        schema |= {"minimum": setting.low, "maximum": setting.high}
    return schema


def main() -> int:
    """Write every file and say which changed."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote schemas/json/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
