"""Clients of the MCP library with a user who is shown addresses: over HTTP in both eras, and over a line both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import ServerMessageMetadata, SessionMessage

from counterfoil.store import Principal
from server.conversation.world import MODERN, World

Action = Literal["accept", "decline", "cancel"]
ACTIONS: Sequence[Action] = ("accept", "decline", "cancel")


@dataclass
class User:
    """Answers every offer, and remembers it."""

    action: Action = "accept"
    asked: list[types.ElicitRequestParams] = field(default_factory=list)

    async def answer(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """The client's callback."""
        self.asked.append(params)
        return types.ElicitResult(action=self.action)

    @property
    def offer(self) -> types.ElicitRequestURLParams:
        """The one offer so far."""
        (params,) = self.asked
        assert isinstance(params, types.ElicitRequestURLParams)
        return params


@asynccontextmanager
async def over_http(
    world: World, callback: ElicitationFnT | None, mode: str = MODERN, token: str | None = None
) -> AsyncIterator[Client]:
    """A client over Streamable HTTP."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(world.http(token))
        transport = streamable_http_client(world.url, http_client=http)
        yield await stack.enter_async_context(Client(transport, mode=mode, elicitation_callback=callback))


@asynccontextmanager
async def on_a_line(
    world: World, callback: ElicitationFnT | None, mode: str = "legacy", *, both_ways: bool = True
) -> AsyncIterator[Client]:
    """A client on a pair of streams, on which a server may ask its client (``both_ways``), as on stdio."""
    server = world.conversation._server
    principal = Principal("agent", None, world.store.now(), None)

    @asynccontextmanager
    async def transport() -> AsyncIterator[Any]:
        to_server, asked = anyio.create_memory_object_stream[SessionMessage | Exception](100)
        from_client, sent = anyio.create_memory_object_stream[SessionMessage](100)
        to_client, answers = anyio.create_memory_object_stream[SessionMessage](100)

        async def carry() -> None:
            async for message in sent:
                metadata = ServerMessageMetadata(request_context=principal, can_send_request=both_ways)
                await to_server.send(SessionMessage(message.message, metadata))

        async with to_server, asked, from_client, sent, to_client, answers, anyio.create_task_group() as group:
            group.start_soon(carry)
            group.start_soon(server.run, asked, to_client, server.create_initialization_options())
            yield answers, from_client
            group.cancel_scope.cancel()

    async with Client(transport(), mode=mode, elicitation_callback=callback) as client:
        yield client
