"""Carries lines between an AI client and the process that owns the state folder, and knows what still waits.

It judges nothing: the owner reads every line strictly and answers it. When the owner is gone, whatever waits for an
answer gets one here, because a client whose request is never answered may wait for ever.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import anyio
from anyio.abc import ByteStream
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR

from counterfoil.errors import CounterfoilError
from counterfoil_server.cli.exit_codes import OwnerStopped
from counterfoil_server.json_rpc import MAX_BODY, Refused, RequestId, TooLong, echoable, id_at_the_ends
from counterfoil_server.lines import BROKEN, Overlong, read_lines


class Bridge:
    """Between one client and one owner, once."""

    def __init__(self, client: ByteStream, owner: ByteStream) -> None:
        self._client = client
        self._owner = owner
        self._waiting: dict[RequestId, None] = {}
        self._client_is_gone = False

    async def carry(self) -> None:
        """Until the client is gone and everything is answered; raises OwnerStopped when the owner went first."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._to_owner)
            await self._to_client()
            group.cancel_scope.cancel()
        if self._client_is_gone:
            return
        error = OwnerStopped()
        for to in self._waiting:
            await self._refuse(Refused(CONNECTION_CLOSED, error, to))
        raise error

    async def _to_owner(self) -> None:
        async for line in read_lines(self._client, MAX_BODY):
            if isinstance(line, Overlong):
                await self._refuse(TooLong(id_at_the_ends(line.head, line.tail)))
                continue
            self._note(line)
            try:
                await self._owner.send(line + b"\n")
            except BROKEN:
                return  # the other direction sees it, too
        self._client_is_gone = True
        with contextlib.suppress(*BROKEN, OSError):
            await self._owner.send_eof()

    async def _to_client(self) -> None:
        async for line in read_lines(self._owner, None):
            assert isinstance(line, bytes)  # noqa: S101 - there is no limit
            answered = id_at_the_ends(line, b"")
            if answered is not None:
                self._waiting.pop(answered, None)
            try:
                await self._client.send(line + b"\n")
            except BROKEN:
                self._client_is_gone = True
                return

    def _note(self, line: bytes) -> None:
        message = _message(line)
        if (to := request_of(message)) is not None:
            self._waiting[to] = None
        elif message.get("method") == "notifications/cancelled" and isinstance(message.get("params"), dict):
            cancelled = echoable(message["params"].get("requestId"))
            if cancelled is not None:
                self._waiting.pop(cancelled, None)

    async def _refuse(self, refused: Refused) -> None:
        try:
            await self._client.send(refused.answer() + b"\n")
        except BROKEN:
            self._client_is_gone = True


async def answer_first(client: ByteStream, error: CounterfoilError) -> None:
    """Tell the client why there is no server: answer the first request that it sends with the refusal."""
    async for line in read_lines(client, MAX_BODY):
        to = id_at_the_ends(line.head, line.tail) if isinstance(line, Overlong) else request_of(_message(line))
        if to is not None:
            with contextlib.suppress(*BROKEN):
                await client.send(Refused(INTERNAL_ERROR, error, to).answer() + b"\n")
            return


def request_of(message: dict[str, Any]) -> RequestId | None:
    """The id, if the message is a request that waits for an answer."""
    return echoable(message.get("id")) if "method" in message else None


def _message(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
