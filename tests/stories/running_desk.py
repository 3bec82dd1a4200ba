"""The example desk, served whole over HTTP on a port of its own, with a mailbox and a clock that tests can move on."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import uvicorn
from story_books import Books

from counterfoil.testing import Assistant
from counterfoil_server.app import Demo, Parts, application, open_parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.config import Configuration, Settings
from counterfoil_server.notices.messages import Message
from counterfoil_server.notices.transports import Kept, Mailbox

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "support_desk"
PATIENCE = 60.0
"""Seconds for what usually takes milliseconds."""


class MovableClock:
    """The real clock, and whatever a test adds to it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def move(self, seconds: float) -> None:
        """Let this much time pass at once."""
        self._ahead += seconds


@dataclass
class RunningDesk:
    """A served desk."""

    parts: Parts
    base_url: str
    mailbox: Mailbox
    clock: MovableClock
    books: Books
    stack: AsyncExitStack
    read: dict[str, int] = field(default_factory=dict)
    """The number of the newest message that each address has read."""

    async def invite(self, name: str, email: str, *, accounts: Sequence[str] = (), roles: Sequence[str] = ()) -> str:
        """Invite a person; answers the enrolment URL."""
        invited = Invited(name, tuple(accounts), tuple(roles), (email,))
        call = self.parts.administration.call
        return (await invitations.invite(call, self.parts.configuration, invited)).url

    async def assistant(self, mode: str = "auto", name: str = "assistant") -> Assistant:
        """A connected MCP client with a credential of its own."""
        added = await self.parts.administration.call("principals_add", {"name": name})
        client = Assistant.connected(f"{self.base_url}/mcp", added["token"], mode)
        return await self.stack.enter_async_context(client)

    async def message(self, to: str, subject: str, text: str = "") -> Message:
        """The newest message to this address that it has not read, whose subject and text hold these words."""

        def fits(kept: Kept) -> bool:
            unread = kept.to == to and kept.number > self.read.get(to, 0)
            return unread and subject in kept.message.subject and text in kept.message.text

        kept = await self.mailbox.wait_for(fits, PATIENCE)
        self.read[to] = kept.number
        return kept.message

    async def ticket(self, ticket: str) -> dict[str, Any]:
        """What an administrator sees of a ticket."""
        shown: dict[str, Any] = await self.parts.administration.call("tickets_show", {"ticket": ticket})
        return shown

    async def state_becomes(self, ticket: str, state: str) -> None:
        """Wait until the ticket is in this state."""
        with anyio.fail_after(PATIENCE):
            while (await self.ticket(ticket))["state"] != state:  # noqa: ASYNC110 - the server has no event for it
                await anyio.sleep(0.02)

    def pass_time(self, seconds: float) -> None:
        """Move the clock on, and let the workers look at it."""
        self.clock.move(seconds)
        self.parts.dispatcher.wake()
        if self.parts.delivery is not None:
            self.parts.delivery.wake()


def configuration(folder: Path, port: int) -> Configuration:
    """The example's own settings and policy over a shop of this test's own."""
    module = f"northlight_{uuid4().hex}"
    (folder / f"{module}.py").write_text(
        f"from pathlib import Path\n\nfrom desk import build\n\ndesk = build(Path({str(folder / 'shop.db')!r}))\n"
    )
    shutil.copy(EXAMPLE / "policy.cedar", folder)
    settings = Settings(desk=f"{module}:desk", policy="policy.cedar", public_url=f"http://localhost:{port}", port=port)
    return Configuration(settings, folder)


@asynccontextmanager
async def running_desk(folder: Path) -> AsyncIterator[RunningDesk]:
    """Serve until left."""
    import seed

    with socket.create_server(("127.0.0.1", 0)) as listener:
        seed.create(folder / "shop.db")
        async with serving(configuration(folder, listener.getsockname()[1]), listener, MovableClock()) as served:
            yield served


@asynccontextmanager
async def serving(settings: Configuration, listener: socket.socket, clock: MovableClock) -> AsyncIterator[RunningDesk]:
    """Serve the desk of these settings, whose shop is in the same folder, until left."""
    mailbox = Mailbox()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings, transport=mailbox, clock=clock))
        app = application(parts, demo=Demo("12345678", mailbox))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(server.serve, [listener])
        with anyio.fail_after(PATIENCE):
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await anyio.sleep(0.01)
        async with AsyncExitStack() as clients:
            books = Books(settings.folder / "shop.db")
            yield RunningDesk(parts, settings.settings.public_url, mailbox, clock, books, clients)
        server.should_exit = True
