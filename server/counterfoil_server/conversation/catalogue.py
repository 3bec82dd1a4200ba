"""The tools of a desk, made once: names, schemas and validators never change while the server runs.

``tools/list`` is the same for every caller and every connection, in the order of the desk. It is checked at load
against the wire schemas of every protocol version, so that no declaration can break the listing for some clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types
from mcp_types import methods
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from counterfoil.authority import Authority
from counterfoil.errors import DeskError
from counterfoil.tickets import ACCESS
from counterfoil_server.conversation.answers import OfferedTool
from counterfoil_server.conversation.explaining import ExplainTool
from counterfoil_server.conversation.personal import PersonalReadTool, StartTool
from counterfoil_server.conversation.reads import ReadTool
from counterfoil_server.conversation.requests import RequestTool
from counterfoil_server.conversation.taint import Taint
from counterfoil_server.conversation.tickets import CancelTool, RedeemTool, RunOrder, StatusTool

LIST_TTL_MS = 60_000
"""How long a client may keep the list. It changes only when the server restarts; a stale one costs a clear refusal."""


class Catalogue:
    """The tools by name, and their list."""

    def __init__(self, authority: Authority, *, run_order: RunOrder, wake: Callable[[], None]) -> None:
        desk, taint = authority.judge.desk, Taint(authority.store)
        self.redeem: RedeemTool | None = None
        offered: list[OfferedTool] = [
            PersonalReadTool(read, authority, taint) if read.account_parameter else ReadTool(read, taint)
            for read in desk.reads.values()
        ]
        if ACCESS in desk.operations:
            offered.append(StartTool(authority))
        offered += [RequestTool(operation, authority, taint, wake) for operation in desk.operations.values()]
        if desk.operations:
            offered += [ExplainTool(authority), StatusTool(authority), CancelTool(authority, wake)]
        if any(operation.delivery == "collected" for operation in desk.operations.values()):
            self.redeem = RedeemTool(authority, run_order)
            offered.append(self.redeem)
        self.tools: Mapping[str, OfferedTool] = {tool.definition.name: tool for tool in offered}
        self.list = types.ListToolsResult(
            tools=[tool.definition for tool in offered], ttl_ms=LIST_TTL_MS, cache_scope="private"
        )
        for tool in offered:
            _check(tool.definition)
        self._mirrored = {
            tool.definition.name: tool.definition.input_schema
            for tool in offered
            if "x-mcp-header" in json.dumps(tool.definition.input_schema)
        }

    def schema_with_headers(self, name: str) -> Mapping[str, Any] | None:
        """The input schema of a tool with arguments that clients repeat in headers, which have to agree; else None."""
        return self._mirrored.get(name)


def _check(tool: types.Tool) -> None:
    listed = types.ListToolsResult(tools=[tool]).model_dump(by_alias=True, mode="json", exclude_none=True)
    for version in KNOWN_PROTOCOL_VERSIONS:
        try:
            methods.serialize_server_result("tools/list", version, listed)
        except ValidationError:
            raise DeskError(
                f"The tool {tool.name} cannot be described to clients of protocol version {version}.",
                "Use simpler types for its arguments and its result.",
            ) from None
