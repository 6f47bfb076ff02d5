"""The description of a server's API in OpenAPI 3.1, made from its operations when it is asked for.

Knows no operation; what is true of every request (the gate, tokens, the shape of errors) is said
here once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from schemas.session import ErrorBody
from tracker.web.operations import JSON, Answer, Call, Operation
from tracker.web.schema_parts import of_parameters, tidied
from tracker.web.statuses import TOLD, statuses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

_REFERENCE = "#/components/schemas/{model}"
_NDJSON = "application/x-ndjson"


class Description:
    """The description of some operations and of itself.

    Args:
        title: of the API.
        version: of this release.
        operations: all of them but this one.
    """

    def __init__(self, title: str, version: str, operations: Sequence[Operation]) -> None:
        self._title = title
        self._version = version
        own = Operation(
            method="GET",
            path="/openapi.json",
            handler=self.describe_api,
            scopes=("read",),
            answer=Answer("an OpenAPI 3.1 document", dict[str, Any]),
        )
        self.operations = (*operations, own)

    def describe_api(self, _: Call[Any, None]) -> dict[str, Any]:
        """This description."""
        return self.document

    @cached_property
    def document(self) -> dict[str, Any]:
        """The description, as JSON has it."""
        schemas = _Schemas(self.operations)
        paths: dict[str, dict[str, Any]] = {}
        for operation in self.operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
                operation, schemas
            )
        used = {status for operation in self.operations for status in statuses_of(operation)}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._title,
                "version": self._version,
                "description": "A request that is refused is answered with an `ErrorBody`. "
                "GET means HEAD too. A parameter that is unknown, empty or given twice is refused.",
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": schemas.components,
                "responses": {str(status): _refusal(status, schemas) for status in sorted(used)},
                "headers": {
                    "RequestId": {
                        "description": "the request's name in the log",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                },
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "make one with: mahavishnu generate-token --scope SCOPE",
                    }
                },
            },
        }


class _Schemas:
    """The schemas of everything that is sent or answered, named once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted: dict[tuple[int, str], tuple[Any, Any]] = {}
        for kind, mode in _models(operations):
            wanted[id(kind), mode] = (kind, mode)
        inputs = [(key, mode, TypeAdapter(kind)) for key, (kind, mode) in wanted.items()]
        made, shared = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
        self._made = {key[0]: tidied(schema) for key, schema in made.items()}
        self.components = tidied(shared.get("$defs", {}))

    def of(self, kind: Any, mode: str) -> dict[str, Any]:
        return dict(self._made[id(kind), mode])


def _models(operations: Sequence[Operation]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = [(ErrorBody, "serialization")]
    for operation in operations:
        if operation.body is not None:
            found += [(operation.body.model, "validation")]
            found += [(operation.body.lines, "validation")] if operation.body.lines else []
        for answer in (operation.answer, *(operation.others or {}).values()):
            found += [(kind, "serialization") for kind in (answer.model, answer.lines) if kind]
    return found


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    answers = {200: operation.answer, **(operation.others or {})}
    responses = {status: _answer(answer, schemas) for status, answer in answers.items()}
    for status in statuses_of(operation):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": _security(operation),
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }
    if operation.notes:
        described["description"] = operation.notes
    parameters = [
        *_parameters(operation.parts, "path"),
        *_parameters(operation.query, "query"),
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _body(operation, schemas)
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    # Not needed is said before needed: a client takes the first that it can meet.
    free: list[dict[str, list[str]]] = [{}] if operation.open_on_loopback else []
    return [*free, *({"token": [scope]} for scope in operation.scopes)]


def _parameters(model: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = of_parameters(tidied(model.model_json_schema()))
    required = schema.get("required", ())
    found = []
    for name, field in schema.get("properties", {}).items():
        parameter: dict[str, Any] = {"name": name, "in": place, "required": name in required}
        if "description" in field:
            parameter["description"] = field.pop("description")
        found.append({**parameter, "schema": field})
    return found


def _body(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    sent = operation.body
    assert sent is not None  # noqa: S101 -- the caller has looked
    schema = schemas.of(sent.model, "validation")
    if not sent.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    content: dict[str, Any] = {JSON: {"schema": schema}}
    if sent.example is not None:
        content[JSON]["example"] = sent.example
    for media in sent.media:
        content[media] = _lines(schemas.of(sent.lines, "validation"))
    return {"required": sent.required, "content": content}


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media in answer.media:
        if media == JSON:
            content[media] = {"schema": schemas.of(answer.model, "serialization")}
        elif media == _NDJSON and answer.lines is not None:
            content[media] = _lines(schemas.of(answer.lines, "serialization"))
        else:
            content[media] = {"schema": {"type": "string"}}
    return {"description": answer.told, "headers": _HEADERS, "content": content}


def _lines(line: dict[str, Any]) -> dict[str, Any]:
    """Text of which each line is as it says; OpenAPI 3.1 has no other word for it."""
    return {
        "schema": {
            "type": "string",
            "contentMediaType": _NDJSON,
            "description": "a document a line",
            "contentSchema": line,
        }
    }


def _refusal(status: int, schemas: _Schemas) -> dict[str, Any]:
    headers: dict[str, Any] = dict(_HEADERS)
    told, header = TOLD[status]
    if header:
        headers[header] = {"required": True, "schema": {"type": "string"}}
    schema = schemas.of(ErrorBody, "serialization")
    return {"description": told, "headers": headers, "content": {JSON: {"schema": schema}}}


_HEADERS: Mapping[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
