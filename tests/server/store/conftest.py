"""What the tests of the store share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from counterfoil_server.store import SQLiteStore
from server.store.world import HandClock, World, open_store


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    """A clock that only the test moves."""
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database file is."""
    return tmp_path / "counterfoil.db"


@pytest.fixture
async def store(path: Path, clock: HandClock) -> AsyncIterator[SQLiteStore]:
    """A new store."""
    async with open_store(path, clock) as opened:
        yield opened


@pytest.fixture
def world(store: SQLiteStore) -> World:
    """What callers of the store do, in one word each."""
    return World(store)
