"""Fixtures of the execution layer's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.execution.workshop import Workshop, open_workshop


@pytest.fixture
def anyio_backend() -> str:
    """The server runs on asyncio."""
    return "asyncio"


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    """A connector without a lookup."""
    async with open_workshop(tmp_path) as made:
        yield made


@pytest.fixture
async def looking_workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    """A connector that can say afterwards what happened."""
    async with open_workshop(tmp_path, with_lookup=True) as made:
        yield made
