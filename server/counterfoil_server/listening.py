"""Sockets that listen, the names by which they may be addressed, and an application served on one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from counterfoil.errors import SettingsError
from counterfoil_server.config import Configuration

GRACE = 1
"""Seconds that open connections of :func:`serving` may take to end."""


def listening_socket(configuration: Configuration) -> socket.socket:
    """The desk's bound socket; raises :class:`SettingsError` where the address is taken."""
    return bound(configuration.settings.host, configuration.port, "port")


def bound(host: str, port: int, setting: str) -> socket.socket:
    """A bound socket; raises :class:`SettingsError` naming the ``setting`` where the address is taken."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Accepted connections inherit it. asyncio sets it only on sockets whose protocol is named, which this one's is
        # not; without it every answer in two writes waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            f"Stop what listens there, or set another '{setting}'.",
        ) from None


def host_names(configuration: Configuration) -> list[str]:
    """The host names by which this server may be addressed."""
    public = urlsplit(configuration.settings.public_url).hostname or "localhost"
    return list(dict.fromkeys([public, "localhost", "127.0.0.1", *configuration.settings.allowed_hosts]))


def allowed_hosts(configuration: Configuration) -> list[str]:
    """The Host headers that the MCP endpoint accepts."""
    return [spelling for name in host_names(configuration) for spelling in (name, f"{name}:*")]


class _Server(uvicorn.Server):
    """Signals are for somebody else."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, *, lifespan: Literal["on", "off"] = "on"
) -> AsyncIterator[None]:
    """Serve the application until left, beside whatever else the process does; raises what kept it from starting."""
    settings = uvicorn.Config(
        app, lifespan=lifespan, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="a server of this process")
    try:
        while not server.started:  # uvicorn offers no event
            if task.done():
                task.result()
                raise RuntimeError("The server did not start; its log says why.")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
