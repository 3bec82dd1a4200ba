"""What a client that asked for progress is told while a call waits, and how those words get to it.

Every client gets the same answer in the end; the words are for whoever looks at the client meanwhile. They say of the
ticket no more than its status would. Over HTTP an answer is one JSON document, which has no room for them; so a call
that may wait is answered as a stream of events where the client asks for progress and accepts one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.streamable_http import check_accept_headers
from starlette.requests import Request
from starlette.types import Scope

logger = logging.getLogger(__name__)

Tell = Callable[[float, float | None, str | None], Awaitable[None]]
"""Tells the client of progress, total and words; does nothing where it did not ask, or its transport cannot."""

EVERY = 1.0
"""Seconds between two words."""


async def silent(progress: float, total: float | None, words: str | None) -> None:
    """Tells nobody."""


@asynccontextmanager
async def told(tell: Tell, words: str, within: float) -> AsyncIterator[None]:
    """While entered, tell ``words`` every second; ``within``: the seconds after which the caller gives up."""

    async def tell_on() -> None:
        passed = 0.0
        try:
            while True:
                await anyio.sleep(EVERY)
                passed += EVERY
                await tell(passed, within, words)
        except Exception as error:  # whoever no longer listens must not disturb the work
            logger.debug("No more progress is told (%s)", type(error).__name__)

    async with anyio.create_task_group() as group:
        group.start_soon(tell_on)
        yield
        group.cancel_scope.cancel()


def wants_stream(scope: Scope, message: Mapping[str, Any], tools: frozenset[str]) -> bool:
    """Whether an HTTP request calls one of ``tools``, asks for progress, and accepts a stream of events."""
    params = message.get("params")
    if message.get("method") != "tools/call" or not isinstance(params, dict) or params.get("name") not in tools:
        return False
    meta = params.get("_meta")
    return isinstance(meta, dict) and "progressToken" in meta and all(check_accept_headers(Request(scope)))
