from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.payments.bureau import Bureau, Service, open_bureau


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bureau(tmp_path: Path) -> AsyncIterator[Bureau]:
    """An authority with its feed; the service does not run yet."""
    async with open_bureau(tmp_path) as found:
        yield found


@pytest.fixture
async def service(bureau: Bureau) -> AsyncIterator[Service]:
    """The service."""
    async with bureau.serving() as found:
        yield found
