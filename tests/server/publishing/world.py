"""A log that is sealed, and the places that its checkpoints go to: real files, git, HTTP applications, witnesses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from capabilities.world import LOG_KEY
from counterfoil.checkpoints import LOG, Checkpoint, NoteKey, NoteSigner, read_checkpoint
from counterfoil_server.publishing.cosigning import Witness
from counterfoil_server.publishing.publisher import Publisher
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer
from counterfoil_server.witness import Memory, application
from server.store.world import leaf

SIGNER = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"l" * 32))
AT = 1_800_000_000


def read(note: str) -> Checkpoint:
    return read_checkpoint(note, SIGNER.key)


@dataclass
class Log:
    """A log in a folder, opened."""

    folder: Path
    store: SQLiteStore
    sealer: Sealer

    async def grow(self, leaves: int = 1, event: str = "event") -> None:
        for _ in range(leaves):
            await self.store.append_leaf(leaf(event))
        await self.sealer.seal()

    def publisher(self, **given: Any) -> Publisher:
        made = Publisher(self.sealer, self.folder / "checkpoint.cosigned", clock=lambda: AT, **{"every": 0.0} | given)
        self.sealer.on_sealed.append(made.wake)
        return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Log]:
    folder.mkdir(exist_ok=True)
    async with SQLiteStore.open(folder / "store.db", log_key=LOG_KEY) as store:
        yield Log(folder, store, await Sealer.open(store, SIGNER, folder / "checkpoint"))


async def forked(folder: Path, copied: Path, leaves: int) -> None:
    """A copy of the closed log in ``folder``, which goes on otherwise; its checkpoint fits."""
    shutil.copytree(folder, copied)
    async with opened(copied) as log:
        await log.grow(leaves, "other")


@dataclass
class Watcher:
    """A witness that can be told to hang, until it is ``released``, or to be gone. ``asked`` is set whenever it is
    asked."""

    folder: Path
    log: NoteKey = SIGNER.key
    hangs: bool = False
    gone: bool = False
    asked: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)

    def at(self) -> Witness:
        """As the log's owner knows it."""
        if not (self.folder / "seen.json").exists():
            self.folder.mkdir(exist_ok=True)
            Memory.create(self.folder, f"watcher.example/{self.folder.name}")
        memory = Memory.open(self.folder)
        served = application(memory, [self.log], clock=lambda: AT)

        async def entrance(scope: Scope, receive: Receive, send: Send) -> None:
            self.asked.set()
            if self.hangs:
                await self.released.wait()
            if self.gone:
                await PlainTextResponse("down", 502)(scope, receive, send)
                return
            await served(scope, receive, send)

        return Witness(f"http://{self.folder.name}.example/", memory.key, httpx2.ASGITransport(entrance))


@dataclass
class Shelf:
    """An HTTP target: it answers with what was put there."""

    held: bytes | None = None
    status: int = 200
    tokens: list[str | None] = field(default_factory=list)

    async def _exchange(self, request: Request) -> Response:
        self.tokens.append(request.headers.get("authorization"))
        if self.status != 200:
            return PlainTextResponse("no", self.status)
        if request.method == "PUT":
            self.held = await request.body()
            return Response(status_code=204)
        return PlainTextResponse("nothing", 404) if self.held is None else Response(self.held)

    @property
    def transport(self) -> httpx2.ASGITransport:
        app: ASGIApp = Starlette(routes=[Route("/log", self._exchange, methods=["GET", "PUT"])])
        return httpx2.ASGITransport(app)


def git_folder(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "--quiet")
    return path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task does; there is no event for it."""
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.005)
