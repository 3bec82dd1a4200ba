"""The authority's feed on a real socket, which can lag, lie, be cut, trickle and hang."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

from counterfoil.canonical import canonical
from counterfoil.feed import MAX_PAGE
from server.execution.outside import page_of
from server.execution.workshop import Workshop

FEED_TOKEN = "feed-token-0123456789-0123456789"
HEAD = "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"

Page = dict[str, Any]


@dataclass
class FeedServer:
    """``how``: ``honest``, or the way in which it is cut; ``lie``: what is made of each page before it is sent."""

    workshop: Workshop
    port: int = 0
    how: str = "honest"
    most: int = 1000
    lie: Callable[[Page], Page] | None = None
    asked: int = 0
    told: asyncio.Condition = field(default_factory=asyncio.Condition)
    busy: set[asyncio.Task[Any]] = field(default_factory=set)
    _old: Page | None = None

    async def lag(self) -> None:
        """From now on, tell only what is known now."""
        size = self.workshop.sealer.checkpoint.size if self.workshop.sealer.checkpoint else 0
        self._old = json.loads(await page_of(self.workshop, size))

    def catch_up(self) -> None:
        """Be honest again."""
        self._old, self.lie, self.how = None, None, "honest"

    async def asked_again(self, times: int = 2) -> None:
        """Wait until it was asked so often from now on: what was told by the first is kept by the second."""
        until = self.asked + times
        async with self.told:
            await self.told.wait_for(lambda: self.asked >= until)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        task = asyncio.current_task()
        assert task is not None
        self.busy.add(task)
        task.add_done_callback(self.busy.discard)
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert f"Authorization: Bearer {FEED_TOKEN}\r\n" in head
            first = int(head.split("?first=")[1].split(" ")[0])
            await self._send(writer, first)
            await writer.drain()
        async with self.told:
            self.asked += 1
            self.told.notify_all()

    async def _send(self, writer: asyncio.StreamWriter, first: int) -> None:
        if self.how == "closes":
            return
        if self.how == "hangs":
            await asyncio.Event().wait()
        body = await self._page(first)
        status = {"refuses": 401, "redirects": 302, "busy": 503, "shorter": 400}.get(self.how, 200)
        if status != 200:
            body = b'{"error": "no"}'
        if self.how == "huge":
            body += b" " * MAX_PAGE
        writer.write(HEAD.format(status=status, length=len(body)).encode())
        if self.how == "half":
            body = body[: len(body) // 2]
        if self.how == "trickles":
            for place in range(len(body)):
                writer.write(body[place : place + 1])
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.write(body)

    async def _page(self, first: int) -> bytes:
        if self._old is not None:
            return canonical(self._old | {"first": first, "leaves": [], "consistency": []})
        page = await page_of(self.workshop, first, most=self.most)
        return canonical(self.lie(json.loads(page))) if self.lie is not None else page


@asynccontextmanager
async def feed_of(workshop: Workshop) -> AsyncIterator[FeedServer]:
    """Serve the feed of a workshop."""
    feed = FeedServer(workshop)
    server = await asyncio.start_server(feed.answer, "127.0.0.1", 0)
    feed.port = server.sockets[0].getsockname()[1]
    try:
        yield feed
    finally:
        server.close()
        await server.wait_closed()
        for task in list(feed.busy):
            task.cancel()
        await asyncio.gather(*feed.busy, return_exceptions=True)
