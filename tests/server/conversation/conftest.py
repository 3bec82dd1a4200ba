from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.conversation import harbour
from server.conversation.world import World, open_world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def boats() -> harbour.Boats:
    return harbour.Boats()


@pytest.fixture
async def world(tmp_path: Path, boats: harbour.Boats) -> AsyncIterator[World]:
    async with open_world(tmp_path, harbour.build(boats), harbour.POLICY) as opened:
        yield opened
