"""What each test gets: the shop's desk, opened for this test alone, with orders of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from counterfoil.testing import OpenDesk, open_desk
from desk import made_up_orders, store


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenDesk]:
    monkeypatch.setattr(store, "orders", made_up_orders())
    async with open_desk(Path(__file__).with_name("counterfoil.toml"), tmp_path) as opened:
        yield opened
