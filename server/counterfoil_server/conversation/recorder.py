"""The record of tool calls: who called what, and how it ended.

Calls do not wait for it. Rows are written in batches by a task of their own. While the store fails they wait; when more
come than may wait, calls go on and what was lost is counted and logged. What must not be lost (a request, a
decision, an execution) has its own leaf in the transparency log and does not depend on this.

Arguments are recorded as a keyed digest: the same arguments of the same tool give the same digest, so that an auditor
who holds the key finds every call with given arguments, while a reader of the table alone cannot try values out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from counterfoil.canonical import b64
from counterfoil.store import Call, Store

logger = logging.getLogger(__name__)

FLUSH_AFTER = 0.2
"""Seconds a row waits for others before all of them are written."""

FLUSH_AT = 200
"""Rows that are written without waiting any longer."""

MAX_WAITING = 10_000
"""Rows held in memory (about 5 MB) while the store does not keep up."""

MAX_NAME = 100
"""Characters of a tool's name that are kept; a caller may send any name."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


class Recorder:
    """Takes rows at once and writes them soon. ``key`` (32 bytes): see above; without one, a fresh one is made."""

    def __init__(self, store: Store, key: bytes | None = None) -> None:
        self._store = store
        self._key = key or secrets.token_bytes(32)
        self._waiting: deque[Call] = deque()
        self._arrived = asyncio.Event()
        self._many = asyncio.Event()
        self._stopping = False
        self.lost = 0
        """Rows that were never written."""

    def record(
        self, principal: str, tool: str, arguments: Mapping[str, Any] | None, *, ticket: str | None, status: str
    ) -> None:
        """Note one call; returns at once and never raises."""
        if len(self._waiting) >= MAX_WAITING:
            self._lose(1, "more calls came than could be written")
            return
        tool = tool[:MAX_NAME]
        self._waiting.append(
            Call(self._store.now(), principal, tool, ticket, status, self.argument_digest(tool, arguments))
        )
        self._arrived.set()
        if len(self._waiting) >= FLUSH_AT:
            self._many.set()

    def argument_digest(self, tool: str, arguments: Mapping[str, Any] | None) -> str:
        """The keyed digest (BLAKE2b) under which a call of ``tool`` with these arguments is recorded."""
        body = _ENCODER.encode([tool, arguments or {}]).encode()
        return b64(hashlib.blake2b(body, key=self._key, digest_size=32, person=b"cf-call").digest())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write rows while entered; what is left is written on the way out."""
        self._stopping = False
        task = asyncio.create_task(self._write_until_stopped(), name="recorder of calls")
        try:
            yield
        finally:
            self._stopping = True
            self._arrived.set()
            self._many.set()
            with anyio.CancelScope(shield=True):
                await task
            if self._waiting:
                self._lose(len(self._waiting), "the store failed to the end")

    async def flush(self) -> None:
        """Write every row that waits. Where the store fails, they wait on for the next time."""
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), FLUSH_AT))]
            try:
                await self._store.record_calls(rows)
            except Exception as error:
                self._waiting.extendleft(reversed(rows))
                logger.error("Tool calls could not be recorded yet (%s: %s)", type(error).__name__, error)
                return

    async def _write_until_stopped(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._many.wait(), FLUSH_AFTER)
            self._arrived.clear()
            self._many.clear()
            await self.flush()

    def _lose(self, rows: int, why: str) -> None:
        self.lost += rows
        if self.lost == rows or self.lost // 1000 != (self.lost - rows) // 1000:
            logger.error("The record of tool calls lost %d rows so far (%s)", self.lost, why)
