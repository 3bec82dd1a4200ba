"""Unix sockets in the state folder, over which processes of the folder's own user reach the one that owns it.

Rules: a socket has mode 0600 in a folder of mode 0700, and whoever connects must be the user that the owner runs as (or
root, whom nothing in the folder is closed to), as the operating system says. So nobody gets more than they could take
from the folder itself. What goes wrong with one connection stays there.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

logger = logging.getLogger(__name__)

ADMINISTRATION = "admin.sock"
CONVERSATION = "mcp.sock"

ROOT = 0
MAX_PATH = 100
"""Bytes that surely fit into a Unix socket's name."""

Handler = Callable[[SocketStream, int], Awaitable[None]]
"""Serves one connection of the user with that uid; the stream is closed afterwards."""


@contextmanager
def path_of(state: Path, name: str) -> Iterator[str]:
    """Where the socket lies. A folder whose name is too long for a socket is named by a descriptor meanwhile."""
    path = str(state / name)
    if len(path.encode()) < MAX_PATH:
        yield path
        return
    descriptor = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


async def serve(
    state: Path, name: str, handler: Handler, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Listen until cancelled."""
    with path_of(state, name) as path:
        Path(path).unlink(missing_ok=True)
        listener = await anyio.create_unix_listener(path, mode=0o600)
        task_status.started()
        try:
            await listener.serve(lambda stream: _serve_one(handler, stream))
        finally:
            with anyio.CancelScope(shield=True):
                await listener.aclose()
            Path(path).unlink(missing_ok=True)


async def connect(state: Path, name: str) -> SocketStream:
    """A connection to the owner; raises OSError where nobody listens."""
    with path_of(state, name) as path:
        return await anyio.connect_unix(path)


async def _serve_one(handler: Handler, stream: SocketStream) -> None:
    async with stream:
        uid = peer_of(stream)
        if uid not in (os.geteuid(), ROOT):
            logger.warning("User %d was refused at a private socket", uid)
            return
        try:
            await handler(stream, uid)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.debug("The other side of a private socket is gone")
        except Exception:
            logger.exception("A connection of a private socket failed")


def peer_of(stream: SocketStream) -> int:
    """The user at the other end. Where the system does not say (it is not Linux), the folder's rights stand alone."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.geteuid()
    layout = struct.Struct("3i")
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django
    told = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
    return int(layout.unpack(told)[1])
