"""The description of an API as a page that people read. Pure: the document in, Markdown out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """# The HTTP API of the tracker

Made from the description that the tracker answers at `/openapi.json`, by `python -m
tracker.describe`; a test sees that it is up to date. Every field of every answer is in
[openapi.json](openapi.json).

An operation needs a token with its scope in `Authorization: Bearer ...`, which `mahavishnu
generate-token --scope SCOPE` makes. A parameter that is unknown, empty or given twice is refused.
GET means HEAD too. Every refusal is an object with `error` (what was wrong), `hint` (what to do
next) and `request_id` (find it in the log by it).
"""


def api_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [_HEAD, _overview(operations)]
    schemas = document["components"]["schemas"]
    parts += [_section(*operation, schemas) for operation in operations]
    parts.append(_refusals(document["components"]["responses"]))
    return "\n".join(parts)


def _overview(operations: list[tuple[str, str, dict[str, Any]]]) -> str:
    rows = []
    for method, path, operation in operations:
        link = f"[`{method} {path}`](#{operation['operationId']})"
        rows.append((link, _scope(operation), operation["summary"]))
    return _table(("operation", "scope", "what it does"), rows)


def _section(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    lines = [f'## <a id="{operation["operationId"]}"></a>{method} {path}', ""]
    lines += [f"{operation['summary']}. {operation.get('description', '')}".strip(), ""]
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    if parameters:
        lines += [_table(("parameter", "value", "what it means"), parameters)]
    body = operation.get("requestBody")
    if body:
        lines += [_body(body), "", _fields(body, schemas)]
    lines += ["Answers: " + "; ".join(_answers(operation["responses"])) + ".", ""]
    return "\n".join(lines)


def _scope(operation: dict[str, Any]) -> str:
    needed = [name for entry in operation["security"] for names in entry.values() for name in names]
    if not needed:
        return "none"
    return " or ".join(needed) + (" (not on loopback)" if {} in operation["security"] else "")


def _parameter(parameter: dict[str, Any]) -> tuple[str, str, str]:
    schema = parameter["schema"]
    name = f"`{parameter['name']}`"
    if parameter["in"] == "query" and parameter["required"]:
        name += " (needed)"
    means = parameter.get("description", "")
    if parameter["in"] == "path":
        means = means or "in the path"
    return name, _value(schema), means


def _value(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        told = ", ".join(f"`{value}`" for value in schema["enum"])
    elif "examples" in schema:
        told = "such as " + ", ".join(f"`{value}`" for value in schema["examples"])
    elif "minimum" in schema:
        told = f"{schema['minimum']} to {schema['maximum']}"
    elif schema.get("type") == "array":
        told = "a list of " + schema["items"]["$ref"].rpartition("/")[2]
    elif schema.get("type") == "boolean":
        told = "`true` or `false`"
    else:
        told = "text"
    default = schema.get("default")
    return told if default in (None, "", False) else f"{told}; `{default}` if not given"


def _body(body: dict[str, Any]) -> str:
    content = body["content"]
    told = "Body" if body["required"] else "Body, if any"
    media = ", ".join(f"`{name}`" for name in content)
    example = content["application/json"].get("example")
    return f"{told} ({media}), such as `{json.dumps(example)}`."


def _fields(body: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The fields of a body that is one model, or nothing."""
    schema = body["content"]["application/json"]["schema"]
    model = schemas[schema.get("anyOf", [schema])[0]["$ref"].rpartition("/")[2]]
    rows = []
    for name, field in model["properties"].items():
        needed = " (needed)" if name in model.get("required", ()) else ""
        one = {**field.get("anyOf", [field])[0], **field}
        rows.append((f"`{name}`{needed}", _value(one), field.get("description", "")))
    return _table(("field", "value", "what it means"), rows)


def _answers(responses: dict[str, Any]) -> list[str]:
    told = []
    for status, response in responses.items():
        if "$ref" in response:
            continue
        media = ", ".join(f"`{name}`" for name in response["content"])
        told.append(f"{status}, {response['description']} ({media})")
    refusals = [status for status, response in responses.items() if "$ref" in response]
    return [*told, "refusals " + ", ".join(refusals)]


def _refusals(responses: dict[str, Any]) -> str:
    rows = [(status, response["description"]) for status, response in responses.items()]
    rows.append(("405", "the path does not take this method; `Allow` names those that it takes"))
    return "## Refusals\n\n" + _table(("status", "what it means"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
