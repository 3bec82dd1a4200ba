"""Everybody is enrolled once; each test gets a copy of the desk, and one Chromium serves a module."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser

from server.verification.browser import chromium
from threats.siege import Prepared, Siege, besieged, prepare


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield anyio.run(prepare, tmp_path_factory.mktemp("prepared"), listener)


@pytest.fixture
async def siege(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Siege]:
    async with besieged(prepared, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened
