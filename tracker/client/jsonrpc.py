"""JSON-RPC messages of MCP as a relay needs them: read, described for HTTP, answered. Pure.

On the standard library alone, since the MCP library takes a second to be imported.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schemas.errors import SessionopsError

Id = str | int | float | None

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
UNAVAILABLE = -32000
"""From the range that JSON-RPC leaves to servers: what is behind the relay cannot be had."""

CANCELLED = "notifications/cancelled"
INITIALIZE = "initialize"

_LONGEST_ERROR = 65536
"""Bytes; what is longer is a result, and those have an id."""

_VERSION_IN_META = "io.modelcontextprotocol/protocolVersion"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose subject HTTP repeats in a header, and the parameter that has it."""


class NotAMessage(ValueError):
    """A line that is not a message, with the code of JSON-RPC for that."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the client.

    Args:
        line: as it came.
        method: empty: an answer of the client.
        id: what its answer must carry.
        awaited: whether it gets an answer.
        params: its parameters; empty where it has none.
    """

    line: bytes
    method: str
    id: Id
    awaited: bool
    params: dict[str, Any]

    @property
    def cancels(self) -> Id:
        """The id of the request that it takes back; None: it takes none back."""
        return self.params.get("requestId") if self.method == CANCELLED else None


def read_message(line: bytes) -> Incoming:
    """The message in a line.

    Raises:
        NotAMessage: not JSON, or not one message.
    """
    try:
        content = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise NotAMessage(PARSE_ERROR, "this line is not JSON in UTF-8") from None
    if not isinstance(content, dict) or content.get("jsonrpc") != "2.0":
        raise NotAMessage(INVALID_REQUEST, "this line is not one message of JSON-RPC 2.0")
    method, params, number = content.get("method", ""), content.get("params"), content.get("id")
    if not isinstance(method, str) or not isinstance(number, Id) or isinstance(number, bool):
        raise NotAMessage(INVALID_REQUEST, "a method is text, and an id is text or a number")
    awaited = bool(method) and "id" in content
    return Incoming(line, method, number, awaited, params if isinstance(params, dict) else {})


def headers_of(message: Incoming, negotiated: str) -> dict[str, str]:
    """What a message says of itself in the head of an HTTP request.

    Args:
        message: the message.
        negotiated: the protocol version of the handshake; empty: there was none.
    """
    meta = message.params.get("_meta")
    version = meta.get(_VERSION_IN_META) if isinstance(meta, dict) else None
    if not isinstance(version, str):
        # The handshake itself is what settles the version.
        known = negotiated if message.method != INITIALIZE else ""
        return {"MCP-Protocol-Version": known} if known else {}
    headers = {"MCP-Protocol-Version": _header(version), "Mcp-Method": _header(message.method)}
    name = message.params.get(_NAMED_BY.get(message.method, ""))
    return headers | ({"Mcp-Name": _header(name)} if isinstance(name, str) else {})


def negotiated_version(answer: bytes) -> str:
    """The protocol version in the answer to ``initialize``; empty: it is an error."""
    try:
        version = json.loads(answer)["result"]["protocolVersion"]
    except (ValueError, KeyError, TypeError):
        return ""
    return version if isinstance(version, str) else ""


def failure(number: Id, code: int, message: str, hint: str = "") -> bytes:
    """An error as an answer."""
    error: dict[str, Any] = {"code": code, "message": f"{message}; {hint}" if hint else message}
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode()


def unavailable(number: Id, error: SessionopsError) -> bytes:
    """An error of the way to the server as an answer."""
    message = f"{error.where}: {error.message}" if error.where else error.message
    return failure(number, UNAVAILABLE, message, error.hint)


def addressed(answer: bytes, number: Id) -> bytes:
    """An answer with the id of its request, which a server that could not read it leaves out."""
    if len(answer) > _LONGEST_ERROR:
        return answer
    content = json.loads(answer)
    if content.get("id") is not None:
        return answer
    return json.dumps(content | {"id": number}).encode()


def one_line(answer: bytes) -> bytes:
    """An answer without line ends: within JSON they are nothing but white space."""
    return answer.replace(b"\r", b" ").replace(b"\n", b" ").strip() + b"\n"


def _header(text: str) -> str:
    """As it is, or in base64 where a header cannot hold it, as MCP 2026-07-28 writes that."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode(errors='replace')).decode()}?="
