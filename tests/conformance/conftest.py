"""The pinned clients, and a Counterfoil server for them to talk to."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from conformance import fixture_desk
from conformance.node import FOLDER, MODULES, NPM, VERIFIER, run_node
from server.conversation.world import World, open_world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def install(folder: Path) -> None:
    """Install what the folder's lock names, exactly; again when the lock changes, and once for all test processes."""
    stamp = folder / "node_modules" / ".installed"
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            code, _, errors = await run_node(NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
            assert code == 0, errors
            stamp.write_text(wanted)


@pytest.fixture
async def modules() -> Path:
    """The installed clients."""
    await install(FOLDER)
    return MODULES


@pytest.fixture
async def verifier() -> Path:
    """The folder of the verifier in JavaScript, with what it needs installed."""
    await install(VERIFIER)
    return VERIFIER


class TokenAdded:
    """Adds the principal's token to every request: the suite cannot send headers of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.token = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization = (b"authorization", f"Bearer {self.token}".encode())
        await self._app({**scope, "headers": [*scope["headers"], authorization]}, receive, send)


@pytest.fixture
async def open_server(tmp_path: Path) -> AsyncIterator[World]:
    """A server that takes every caller for the one principal it has."""
    added: list[TokenAdded] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        added.append(TokenAdded(app))
        return added[0]

    async with open_world(tmp_path, fixture_desk.build(), fixture_desk.POLICY, wrap=wrap) as world:
        added[0].token = world.token
        yield world


@pytest.fixture
async def closed_server(tmp_path: Path) -> AsyncIterator[World]:
    """A server as it is deployed: each caller brings its token."""
    async with open_world(tmp_path, fixture_desk.build(), fixture_desk.POLICY) as world:
        yield world
