"""People who enrol and sign at an office, over its real pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from starlette.applications import Starlette

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.recipients import APPROVE
from counterfoil.tickets import Event
from counterfoil_server import config
from counterfoil_server.app import Parts, open_parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.notices.transports import Mailbox
from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from server.cli.office import Office


@asynccontextmanager
async def opened(office: Office) -> AsyncIterator[Parts]:
    """The office's parts, in this process."""
    async with open_parts(config.load(office.folder / "counterfoil.toml"), transport=Mailbox()) as parts:
        yield parts


@asynccontextmanager
async def browser(parts: Parts, office: Office) -> AsyncIterator[PageClient]:
    """A browser with an authenticator of its own."""
    transport = httpx2.ASGITransport(app=Starlette(routes=parts.verification.routes()))
    async with PageClient(office.public_url, SoftwareAuthenticator(), transport) as client:
        yield client


async def enrolled(parts: Parts, client: PageClient, invited: Invited) -> str:
    """Invite somebody, and enrol them in that browser; answers their id."""
    made = await invitations.invite(parts.administration.call, parts.configuration, invited)
    await client.enrol(made.url)
    return made.person


async def link(parts: Parts, ticket: str, kind: str) -> str:
    """The link of the ticket's one message of this kind."""
    [notice] = [found for found in await parts.store.notices(ticket) if found.kind == kind]
    return (await parts.verification.make_link(notice)).url or ""


ANA = Invited("Ana", ("A-1",), (), ("ana@office.example",))


async def payment(
    parts: Parts, ana: PageClient, decision: str = "approve", *, amount: str = "20.00", known: bool = True
) -> str:
    """A payment that Ana decided, and that was carried out if she approved; answers the ticket. ``known``: whether its
    end is known."""
    arguments = {"account": "A-1", "amount": {"value": amount, "currency": "EUR"}}
    ticket = (await parts.authority.request(Requester("bot"), "pay", canonical(arguments))).id
    url = await link(parts, ticket, APPROVE)
    if decision == "approve":
        await ana.open_and_decide(url, "approve", parts.authority.match_code(ticket))
        delivered = await parts.authority.deliver(ticket)
        assert delivered is not None
        if known:
            await parts.executor.run(ticket, delivered[1])
        else:
            await parts.authority.report(ticket, Event.REPORT_UNKNOWN, {"reason": "The connector hung."})
    else:
        await ana.open_and_decide(url, decision)
    return ticket
