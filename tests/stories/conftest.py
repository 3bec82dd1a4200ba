"""One Chromium for a module; the example desk over a shop of its own, served whole, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect
from story_books import Books

from counterfoil.testing import OpenDesk
from northlight_served import open_northlight, open_shop
from stories.chromium import TIMEOUT, AtTheBrowser


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=TIMEOUT)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return open_shop(tmp_path)


@pytest.fixture
def books(shop: Path) -> Books:
    return Books(shop)


@pytest.fixture
async def desk(tmp_path: Path, shop: Path) -> AsyncIterator[OpenDesk]:
    async with open_northlight(tmp_path, shop) as opened:
        yield opened


@pytest.fixture
async def maria(browser: Browser) -> AsyncIterator[AtTheBrowser]:
    person = await AtTheBrowser.sits_down(browser)
    yield person
    await person.page.context.close()
