"""Stdin and stdout as the wire of a protocol, and nothing else.

While the wire is claimed, the process's own stdin is empty and its stdout is its stderr, for every library, child
process and ``print`` of a desk alike: only the wire writes to the client. Blocking reads and writes have threads of
their own, which do not keep the process from ending; so any file works, and none is made non-blocking behind the back
of whoever shares it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio.abc import ByteStream

ABOVE_STANDARD = 3


class Wire(ByteStream):
    """What a client writes to us and reads from us. Its end is ``EndOfStream``; a reader that is gone breaks it."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._reader = _Thread("stdin")
        self._writer = _Thread("stdout")

    @classmethod
    def claim(cls) -> Wire:
        """Take stdin and stdout for the rest of this process's life."""
        sys.stdout.flush()
        incoming, outgoing = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, ABOVE_STANDARD) for number in (0, 1))
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        os.dup2(2, 1)
        return cls(incoming, outgoing)

    @property
    def is_terminal(self) -> bool:
        """Whether a person types where a client should write."""
        return os.isatty(self._incoming)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What came; raises EndOfStream when no more will."""
        try:
            chunk = await self._reader.run(lambda: os.read(self._incoming, max_bytes))
        except OSError:
            chunk = b""
        if not chunk:
            raise anyio.EndOfStream
        return chunk

    async def send(self, item: bytes) -> None:
        """Write all of it, after what was sent before; raises BrokenResourceError when nobody reads any more."""

        def write() -> bytes:
            rest = memoryview(item)
            while rest:
                rest = rest[os.write(self._outgoing, rest) :]
            return b""

        try:
            await self._writer.run(write)
        except OSError:
            raise anyio.BrokenResourceError from None

    async def send_eof(self) -> None:
        """The client sees the end when the process ends."""

    async def aclose(self) -> None:
        """A thread may still block on the wire, so it stays open."""


class _Thread:
    """Runs blocking calls one after the other; what one answers after nobody waits for it any more is dropped."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[asyncio.Future[bytes], Callable[[], bytes]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], bytes]) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls.put((future, call))
        return await future

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            answer: bytes | OSError
            try:
                answer = call()
            except OSError as error:
                answer = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                future.get_loop().call_soon_threadsafe(_settle, future, answer)


def _settle(future: asyncio.Future[bytes], answer: bytes | OSError) -> None:
    if future.done():
        return
    if isinstance(answer, OSError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
