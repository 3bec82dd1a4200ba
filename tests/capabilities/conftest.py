"""What the tests of the core share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from capabilities.world import World, open_world


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An authority over a real store, and everybody around it."""
    async with open_world(tmp_path) as opened:
        yield opened
