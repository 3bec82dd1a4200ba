"""Spans around what comes in: an AI's tool calls (layer 1), and what people send from the pages to decide (layer 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.errors import UnknownTool
from counterfoil_server.conversation.answers import ERROR_META
from counterfoil_server.telemetry.trace_context import NAME, caller_of
from counterfoil_server.telemetry.tracing import Result, Tracing

PAGES: Mapping[str, str] = {
    "/decide/signature": "page.decide",
    "/settle/signature": "page.settle",
    "/stop": "page.stop",
    "/done/end": "page.end_access",
}
"""Where people act, and what its span is called. No address here holds a secret; others do, and have no spans."""


class TracedCalls:
    """A middleware of the MCP server. ``tools``: the names that may be told; a caller can send any."""

    def __init__(self, tracing: Tracing, tools: Collection[str]) -> None:
        self._tracing = tracing
        self._tools = tools

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message; only tool calls have a span."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        tool = (ctx.params or {}).get("name")
        known = isinstance(tool, str) and tool in self._tools
        headers = ctx.request.headers.getlist(NAME) if isinstance(ctx.request, Request) else []
        with self._tracing.call(
            f"tools/call {tool}" if known else "tools/call", caller=caller_of(_mapping(ctx.meta), headers)
        ) as seen:
            try:
                result = await call_next(ctx)
            except MCPError:
                seen.ended(Result.REFUSED, None if known else UnknownTool.code)
                raise
            code = _refusal(result)
            if code is not None:
                seen.ended(Result.REFUSED, code)
            return result


class TracedPages:
    """The ASGI application in front of the pages."""

    def __init__(self, tracing: Tracing, app: ASGIApp) -> None:
        self._tracing = tracing
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, inside a span where a person acts."""
        acts = scope["type"] == "http" and scope["method"] == "POST"
        name = PAGES.get(scope["path"]) if acts else None
        if name is None:
            return await self._app(scope, receive, send)
        with self._tracing.call(name) as seen:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] >= 400:
                    seen.ended(Result.FAILED if message["status"] >= 500 else Result.REFUSED)
                await send(message)

            await self._app(scope, receive, noting)


def _refusal(result: HandlerResult) -> str | None:
    """The code of the refusal that a tool answered, where it is one of ours."""
    if isinstance(result, CallToolResult):
        refused, meta = result.is_error is True, result.meta
    elif isinstance(result, dict):
        refused, meta = result.get("isError") is True, result.get("_meta")
    else:
        return None
    found = meta.get(ERROR_META) if refused and isinstance(meta, Mapping) else None
    return str(found["code"]) if isinstance(found, Mapping) and "code" in found else None


def _mapping(meta: object) -> Mapping[str, object] | None:
    return meta if isinstance(meta, Mapping) else None
