"""An office without a server: its parts, opened for a while, and everybody's browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from starlette.applications import Starlette

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.recipients import APPROVE
from counterfoil.tickets import State
from counterfoil_server import config
from counterfoil_server.app import Parts, open_parts
from counterfoil_server.notices.transports import Mailbox
from counterfoil_server.testing import PageClient, PageRefused, SoftwareAuthenticator
from server.cli.office import Office


@dataclass
class Stopped:
    """The desk without a server: its parts, and everybody's browsers."""

    office: Office
    authenticators: dict[str, SoftwareAuthenticator]

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[Parts]:
        async with open_parts(config.load(self.office.folder / "counterfoil.toml"), transport=Mailbox()) as parts:
            yield parts

    @asynccontextmanager
    async def browser(self, parts: Parts, name: str) -> AsyncIterator[PageClient]:
        transport = httpx2.ASGITransport(app=Starlette(routes=parts.verification.routes()))
        authenticator = self.authenticators.setdefault(name, SoftwareAuthenticator())
        async with PageClient(self.office.public_url, authenticator, transport) as client:
            yield client

    async def enrol(self, parts: Parts, name: str, url: str) -> None:
        async with self.browser(parts, name) as client:
            await client.enrol(url)

    async def pays(self, parts: Parts, name: str, amount: str) -> State:
        """Ask for a payment from A-1, let somebody approve it, and carry it out; answers where it ends."""
        arguments = {"account": "A-1", "amount": {"value": amount, "currency": "EUR"}}
        ticket = await parts.authority.request(Requester("bot"), "pay", canonical(arguments))
        links = [notice for notice in await parts.store.notices(ticket.id) if notice.kind == APPROVE]
        for notice in links:
            url = (await parts.verification.make_link(notice)).url or ""
            async with self.browser(parts, name) as client:
                try:
                    await client.open_and_decide(url, "approve", parts.authority.match_code(ticket.id))
                except PageRefused:
                    continue
        await parts.dispatcher.look()
        await parts.engine.settle()
        found = await parts.store.ticket(ticket.id)
        assert found is not None
        return found.state


def paid(office: Office) -> int:
    """How many payments there were."""
    file = office.folder / "paid.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0
