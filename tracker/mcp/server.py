"""The tools as the MCP library serves them. The only module that imports it; see ``mount``."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ToolDescription
from starlette.concurrency import run_in_threadpool

from schemas.release import version
from tracker.mcp.reading import reading_tools
from tracker.mcp.tool import Tool, ToolFailed
from tracker.mcp.tracking import tracking_tools
from tracker.web.app import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext

    from schemas.health import Health
    from tracker.sessions import SessionService
    from tracker.web.auth import Claims

_INSTRUCTIONS = (
    "Sessions of admin shells and runs of runbooks, with every command and error in them."
    " search_sessions finds what was done or failed; list_events shows a session from its start."
)

_log = structlog.get_logger("mcp")


def session_manager(
    service: SessionService, health: Callable[[], Health]
) -> StreamableHTTPSessionManager:
    """What answers requests to ``/mcp``.

    Every request stands alone and is answered in JSON: no tool speaks to its client before it is
    done, and a client that no session ties to this process does not notice its restart.

    Args:
        service: the sessions.
        health: what the server finds when it looks at itself.
    """
    tools = {
        tool.name: tool for tool in [*reading_tools(service, health), *tracking_tools(service)]
    }
    described = ListToolsResult(tools=[_described(tool) for tool in tools.values()])

    async def list_tools(
        _: ServerRequestContext[Any], __: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return described

    async def call_tool(
        context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:50]!r}")
        assert context.request is not None  # noqa: S101 -- every request comes over HTTP
        claims: Claims = context.request.scope["state"]["claims"]
        return await _called(tool, params.arguments or {}, claims)

    server: Server[Any] = Server(
        "session-buddy",
        title="Session-Buddy",
        version=version(),
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: tools[name].input_schema if name in tools else None,
    )
    # It says at INFO that it terminates "session None", for every request.
    noisy = logging.getLogger("mcp.server.streamable_http")
    noisy.setLevel(max(logging.WARNING, logging.root.level))
    # Foreign Host and Origin are refused at the gate, and so is too long a body, for all routes
    # alike; a second opinion here would only disagree with it one day.
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=MAX_BODY
    )


async def _called(tool: Tool, arguments: dict[str, Any], claims: Claims) -> CallToolResult:
    began = time.perf_counter()
    outcome, session_id = "ok", None
    try:
        if tool.scope and tool.scope not in claims.scopes:
            hint = f"mahavishnu generate-token --audience session-buddy --scope {tool.scope}"
            raise ToolFailed(f"this token does not allow {tool.scope!r}\n  {hint}")  # noqa: TRY301
        answer = await run_in_threadpool(tool.call, arguments)
        session_id = answer.get("session_id")
        result = _answered(answer)
    except ToolFailed as error:
        outcome, result = "refused", _failed(str(error))
    except Exception:  # noqa: BLE001 -- logged whole, answered without a word of it
        outcome, result = "failed", _failed("the server failed; its log says why")
        _log.exception("tool failed", tool=tool.name)
    _log.info(
        "tool",
        tool=tool.name,
        outcome=outcome,
        ms=round((time.perf_counter() - began) * 1000, 1),
        subject=claims.subject,
        **({"session_id": session_id} if session_id else {}),
    )
    return result


def _answered(answer: dict[str, Any]) -> CallToolResult:
    text = TextContent(text=json.dumps(answer, ensure_ascii=False))
    return CallToolResult(content=[text], structured_content=answer)


def _failed(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _described(tool: Tool) -> ToolDescription:
    return ToolDescription(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            read_only_hint=not tool.changes,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
