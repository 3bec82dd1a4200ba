"""A running mail server and an open store for the tests of notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from counterfoil_server.store.sqlite import SQLiteStore
from server.notices.mail_server import LinkMaker, MailServer, MovableClock


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    running = await MailServer().start()
    yield running
    await running.stop()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def store(tmp_path: Path, clock: MovableClock) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore.open(tmp_path / "counterfoil.db", log_key=b"k" * 32, clock=clock) as opened:
        yield opened


@pytest.fixture
def links() -> LinkMaker:
    return LinkMaker()
