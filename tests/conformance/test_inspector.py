"""The MCP Inspector's command line as a second, independent client (it is written on the TypeScript SDK)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.node import run_node
from server.conversation.world import World

INSPECTOR = Path(".bin/mcp-inspector")
SAYS_ERROR = 5
"""The exit code for a result with ``isError``."""


async def inspect(modules: Path, world: World, era: str, *arguments: str, token: str | None = None) -> tuple[int, Any]:
    """Run one method; answers the exit code and the result."""
    code, output, errors = await run_node(
        modules / INSPECTOR, "--cli", world.url, "--transport", "http", "--protocol-era", era, "--format", "json",
        "--header", f"Authorization: Bearer {token or world.token}", *arguments,
    )  # fmt: skip
    try:
        return code, json.loads(output)["result"]
    except (ValueError, KeyError):
        return code, errors


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_another_client_lists_tools_whose_schemas_travel_well(
    closed_server: World, modules: Path, era: str
) -> None:
    code, listed = await inspect(modules, closed_server, era, "--method", "tools/list", "--strict")
    assert code == 0
    assert [tool["name"] for tool in listed["tools"]] == [
        "test_simple_text", "test_error_handling", "add_numbers", "query_region", "request_post_letter",
        "explain_requirements", "ticket_status", "cancel_ticket",
    ]  # fmt: skip


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_another_client_requests_asks_and_cancels(closed_server: World, modules: Path, era: str) -> None:
    async def called(tool: str, *arguments: str) -> tuple[int, Any]:
        return await inspect(
            modules, closed_server, era, "--method", "tools/call", "--tool-name", tool,
            *(part for argument in arguments for part in ("--tool-arg", argument)),
        )  # fmt: skip

    assert (await called("add_numbers", "first=2", "second=3"))[1]["structuredContent"] == {"result": 5}
    code, requested = await called("request_post_letter", "account=A-1", "text=hello")
    assert (code, requested["structuredContent"]["status"]) == (0, "pending")
    ticket = requested["structuredContent"]["ticket"]
    code, cancelled = await called("cancel_ticket", f"ticket={ticket}")
    assert (code, cancelled["structuredContent"]["status"]) == (0, "cancelled")
    code, unknown = await called("ticket_status", "ticket=cf_unknown")
    assert code == SAYS_ERROR
    assert unknown["isError"] is True
    assert unknown["content"][0]["text"].endswith("(unknown_ticket)")


async def test_another_client_without_the_token_gets_nothing(closed_server: World, modules: Path) -> None:
    code, said = await inspect(modules, closed_server, "modern", "--method", "tools/list", token="cfp_wrong")
    assert code != 0
    assert "tools" not in said
