"""One client on a byte stream: a JSON-RPC message a line, as MCP's stdio transport has it.

Every line goes the way that a body over HTTP goes: read strictly, then handed to the same server, byte for byte, with
the principal asked for anew. Two things differ from the library's own stdio transport:

* the era is decided by each message, as over HTTP, not once by the first one: Claude Code asks ``server/discover`` in
  the new era and then opens with ``initialize`` in the old one (anthropics/claude-code#96183);
* what the client asked before it ended its side is still answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import mcp_types as types
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from pydantic import ValidationError

from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil.store import Principal
from counterfoil_server.json_rpc import (
    MAX_BODY,
    Refused,
    TooLong,
    echoable,
    id_at_the_ends,
    not_one_message,
    read_message,
)
from counterfoil_server.lines import BROKEN, Line, Overlong, read_lines

MAX_OPEN = 100
"""Requests of one client that are answered at the same time. While there are more, nothing is read from it."""

GRACE = 5.0
"""Seconds in which requests may still be answered after the client has ended its side."""

Inbox = MemoryObjectSendStream[SessionMessage | Exception]


class Pipe:
    """One client's connection. ``caller`` answers the principal, or raises why there is none."""

    def __init__(
        self, server: Server[dict[str, Any]], stream: ByteStream, caller: Callable[[], Awaitable[Principal]]
    ) -> None:
        self._server = server
        self._stream = stream
        self._caller = caller
        self._open = anyio.Semaphore(MAX_OPEN)

    async def serve(self) -> None:
        """Answer until either side is gone."""
        outbox, answers = anyio.create_memory_object_stream[SessionMessage | Refused]()
        modern, modern_messages = anyio.create_memory_object_stream[SessionMessage | Exception]()
        legacy, legacy_messages = anyio.create_memory_object_stream[SessionMessage | Exception]()
        options = self._server.create_initialization_options()
        with outbox, answers, modern, modern_messages, legacy, legacy_messages:
            async with anyio.create_task_group() as group:
                # The library decides the era of each by the first request that it is sent.
                for messages in (modern_messages, legacy_messages):
                    group.start_soon(self._server.run, messages, outbox.clone(), options)
                group.start_soon(self._write, answers, group.cancel_scope)
                async for line in read_lines(self._stream, MAX_BODY):
                    try:
                        await self._route(line, modern, legacy)
                    except Refused as refused:
                        await outbox.send(refused)
                with anyio.move_on_after(GRACE):
                    for _ in range(MAX_OPEN):
                        await self._open.acquire()
                group.cancel_scope.cancel()

    async def _route(self, line: Line, modern: Inbox, legacy: Inbox) -> None:
        if isinstance(line, Overlong):
            raise TooLong(id_at_the_ends(line.head, line.tail))
        read = read_message(line)
        to = echoable(read.get("id"))
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError:
            raise Refused(types.INVALID_REQUEST, not_one_message(), to) from None
        match message:
            case types.JSONRPCRequest():
                metadata = ServerMessageMetadata(
                    request_context=await self._principal(to), on_request_unanswered=self._settled
                )
                await self._open.acquire()
                await (modern if is_modern(message) else legacy).send(SessionMessage(message, metadata))
            case types.JSONRPCNotification():
                # Whichever era a request is of that it may cancel.
                for inbox in (modern, legacy):
                    await inbox.send(SessionMessage(message))
            case _:
                await legacy.send(SessionMessage(message))  # only that era is ever asked something

    async def _principal(self, to: str | int | None) -> Principal:
        try:
            return await self._caller()
        except StoreFailed as error:
            raise Refused(types.INTERNAL_ERROR, error, to) from None
        except CounterfoilError as error:
            raise Refused(types.INVALID_REQUEST, error, to) from None

    async def _write(
        self, answers: MemoryObjectReceiveStream[SessionMessage | Refused], everything: anyio.CancelScope
    ) -> None:
        async for answer in answers:
            try:
                await self._stream.send(wire_bytes(answer) + b"\n")
            except BROKEN:
                everything.cancel()
                return
            if isinstance(answer, SessionMessage) and isinstance(
                answer.message, types.JSONRPCResponse | types.JSONRPCError
            ):
                self._open.release()

    async def _settled(self) -> None:
        self._open.release()


def wire_bytes(answer: SessionMessage | Refused) -> bytes:
    """The line of an answer, without its line feed."""
    if isinstance(answer, Refused):
        return answer.answer()
    return answer.message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def is_modern(request: types.JSONRPCRequest) -> bool:
    """Whether a request says its protocol version as from 2026-07-28 on; ``initialize`` never is of that era."""
    meta = (request.params or {}).get("_meta")
    return request.method != "initialize" and isinstance(meta, Mapping) and types.PROTOCOL_VERSION_META_KEY in meta
