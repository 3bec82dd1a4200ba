"""The measure: a bare server on the same SDK with one tool of the same result, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import Server

DAYS = [{"day": day, "opens": "09:00", "closes": "17:00"} for day in ("Monday", "Tuesday", "Wednesday", "Thursday")]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"days": {"type": "array", "items": {"type": "object"}}},
    "required": ["days"],
}
TOOL = types.Tool(
    name="opening_hours",
    description="When the shop is open.",
    input_schema={"type": "object", "properties": {}},
    output_schema=SCHEMA,
)


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    """The one tool."""
    return types.ListToolsResult(tools=[TOOL])


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    """The one result."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=str(DAYS))], structured_content={"days": DAYS}
    )


def main() -> None:
    """Serve on the port given."""
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    app = server.streamable_http_app(json_response=True, stateless_http=True)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
