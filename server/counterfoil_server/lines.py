"""Lines of a byte stream, of bounded length: of a longer one only its two ends are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import anyio
from anyio.abc import ByteReceiveStream

CHUNK = 64 * 1024
EDGE = 512
"""Bytes of each end of a line that is too long: room for the id of its request."""

BROKEN = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
"""What a stream raises when its other side is gone, in order or not."""


@dataclass(frozen=True)
class Overlong:
    """A line over the limit."""

    head: bytes
    tail: bytes


Line = bytes | Overlong


class LineSplitter:
    """Cuts chunks into lines without their line feeds, pure; empty lines are left out. ``limit``: in bytes, or none."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._head: bytes | None = None

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._keep(piece)
            yield from self.end()
        self._keep(rest)

    def end(self) -> Iterator[Line]:
        """What is left when no more comes: a last line without a line feed is one too."""
        kept, head = bytes(self._kept), self._head
        self._kept.clear()
        self._head = None
        if head is not None:
            yield Overlong(head, kept)
        elif kept.strip():
            yield kept

    def _keep(self, piece: bytes) -> None:
        self._kept += piece
        if self._head is None and (self._limit is None or len(self._kept) <= self._limit):
            return
        if self._head is None:
            self._head = bytes(self._kept[:EDGE])
        del self._kept[:-EDGE]


async def read_lines(stream: ByteReceiveStream, limit: int | None) -> AsyncIterator[Line]:
    """Every line until the stream ends or breaks."""
    splitter = LineSplitter(limit)
    while True:
        try:
            chunk = await stream.receive(CHUNK)
        except BROKEN:
            break
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.end():
        yield line
