"""One Chromium for a module; a served desk for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from stories.chromium import AtTheBrowser
from stories.running_desk import RunningDesk, running_desk


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with running_desk(tmp_path) as served:
        yield served


@pytest.fixture
async def maria(browser: Browser) -> AsyncIterator[AtTheBrowser]:
    person = await AtTheBrowser.sits_down(browser)
    yield person
    await person.page.context.close()
