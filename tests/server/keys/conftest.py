"""The gym's desk, whose authority has keys of its own in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from counterfoil.testing import OpenDesk, open_desk
from server.testing.gym import POLICY, Gym, gym_desk


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def gym() -> Gym:
    return Gym()


@pytest.fixture
async def desk(tmp_path: Path, gym: Gym) -> AsyncIterator[OpenDesk]:
    settings = {"trust_client_isolation": True}
    async with open_desk(gym_desk(gym), tmp_path, policy=POLICY, settings=settings) as opened:
        yield opened
