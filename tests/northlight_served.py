"""The example desk, served whole to a test, over a shop of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import seed
from desk import build

from counterfoil.testing import OpenDesk, open_desk

POLICY = Path(__file__).resolve().parents[1] / "examples" / "support_desk" / "policy.cedar"


def open_shop(folder: Path) -> Path:
    """The database of a new shop."""
    seed.create(folder / "shop.db")
    return folder / "shop.db"


@asynccontextmanager
async def open_northlight(folder: Path, shop: Path) -> AsyncIterator[OpenDesk]:
    """Serve the desk over this shop until left."""
    async with open_desk(build(shop), folder, policy=POLICY, settings={"trust_client_isolation": True}) as desk:
        yield desk
