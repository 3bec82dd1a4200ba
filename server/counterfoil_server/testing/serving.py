"""A server on a socket of this machine, and clients that live in tasks of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp

T = TypeVar("T")

GRACE = 1
"""Seconds that open connections may take to end."""


class _Server(uvicorn.Server):
    """Ctrl-C is for the test's runner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve the application until left; raises what kept it from starting."""
    settings = uvicorn.Config(
        app, lifespan="on", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="the server of a test's desk")
    try:
        while not server.started:  # uvicorn offers no event
            if task.done():
                task.result()
                raise RuntimeError("The desk's server did not start; its log says why.")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def in_a_task_of_its_own(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave ``context`` in one task, whichever tasks this is entered and left in.

    MCP's client insists on it, and some runners of tests set a fixture up in another task than they tear it down in.
    """
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    left = asyncio.Event()

    async def keep() -> None:
        try:
            async with context as value:
                entered.set_result(value)
                await left.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    task = asyncio.create_task(keep(), name="a client of a test's desk")
    try:
        yield await entered
    finally:
        left.set()
        await task
