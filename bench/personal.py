"""A read of one person's records, against a bare server's call of the same tool and two durable commits, taken in turn.

The tool takes an argument: the SDK's server lists all its tools to itself before it lets such a call through.
Both servers run here, in the client's own process, because a person has to grant the access first. A commit is one row
in a SQLite file of its own on the same disk, with the store's own settings, by a thread: a server that waited for the
disk on its event loop would let everybody else wait as well.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bench.bare import bare_app
from bench.processes import ROOT
from counterfoil.testing import Assistant, Conversation, OpenDesk, open_desk
from counterfoil_server.listening import serving

CALLS = 300
HOLDER = "C-1001"
INSERT = "INSERT INTO leaf (body) VALUES (zeroblob(400))"
SETTINGS = ROOT / "examples" / "support_desk" / "counterfoil.toml"


async def measure() -> dict[str, float]:
    """personal_read_ratio."""
    with tempfile.TemporaryDirectory() as name:
        return {"personal_read_ratio": await personal_read_ratio(Path(name))}


async def personal_read_ratio(folder: Path) -> float:
    """The median time of a personal read over that of a bare call and twice that of a commit."""
    os.environ["SUPPORT_DESK_DATABASE"] = str(folder / "shop.db")
    (folder / "state").mkdir()
    async with AsyncExitStack() as stack:
        settings = {"trust_client_isolation": True}
        desk = await stack.enter_async_context(open_desk(SETTINGS, folder / "state", settings=settings))
        token = (await desk.administer("principals_add", name="bench", owner=None))["token"]
        ours = await stack.enter_async_context(_client(f"{desk.url}/mcp", {"Authorization": f"Bearer {token}"}))
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = bare_app(folder / "shop.db", await ours.list_tools())
        await stack.enter_async_context(serving(app, listener))
        bare = await stack.enter_async_context(_client(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", {}))
        writer = stack.enter_context(ThreadPoolExecutor(1))
        commits = stack.enter_context(closing(_commits(folder / "commits.db")))
        conversation = await _granted(desk, Assistant(ours))

        async def commit() -> None:
            await asyncio.get_running_loop().run_in_executor(writer, commits.execute, INSERT)

        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "bare": partial(bare.call_tool, "membership", {"customer": HOLDER}),
            "commit": commit,
            "ours": partial(conversation.read, "membership"),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(CALLS):
            for name, call in calls.items():
                begun = time.perf_counter()
                await call()
                times[name].append(time.perf_counter() - begun)
    middle = {name: statistics.median(each[CALLS // 10 :]) for name, each in times.items()}
    return middle["ours"] / (middle["bare"] + 2 * middle["commit"])


async def _granted(desk: OpenDesk, ai: Assistant) -> Conversation:
    """A conversation of the AI to which the holder has opened their records."""
    holder = await desk.enrol("Maria Lindqvist", account=HOLDER)
    conversation = await ai.start_conversation()
    asked = await conversation.request("access", account=HOLDER)
    await holder.approves(asked)
    await desk.caught_up()
    return conversation


@asynccontextmanager
async def _client(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode="2026-07-28") as client,
    ):
        yield client


def _commits(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE leaf (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return database
