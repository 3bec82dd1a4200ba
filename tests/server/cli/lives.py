"""Tickets of the office with a life behind them, played through its real parts; and edits of what was stored."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette

from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.recipients import APPROVE
from counterfoil_server import config
from counterfoil_server.app import Parts, open_parts
from counterfoil_server.cli import invitations
from counterfoil_server.cli.invitations import Invited
from counterfoil_server.notices.transports import Mailbox
from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from server.cli.office import Office

HOSTILE_NOTE = "Please hurry\x1b[2J \u202edna <script>alert(1)</script>"
AMOUNT = {"value": "20.00", "currency": "EUR"}


async def paid(office: Office, note: str = HOSTILE_NOTE, name: str = "Ana") -> tuple[str, str]:
    """A payment that Ana approved and that was executed; answers the ticket and Ana's id."""
    async with open_parts(config.load(office.folder / "counterfoil.toml"), transport=Mailbox()) as parts:
        return await pay(parts, office, note, name)


async def talked(
    office: Office, *turns: tuple[str, str], ago: float = 0, account: str = "A-1", decided: bool = True
) -> tuple[str, str]:
    """A chat of which its host tells, with a payment asked for after its first turn, so many seconds ago; ``decided``:
    Ana approved it, and it was executed. Answers the ticket and the conversation."""
    settings = config.load(office.folder / "counterfoil.toml")
    async with open_parts(settings, transport=Mailbox(), clock=lambda: time.time() - ago) as parts:
        conversation = (await parts.authority.start_conversation("bot")).id
        await tell(parts, conversation, *turns[:1])
        if decided:
            ticket, _ = await pay(parts, office, "Please.", "Ana", conversation)
        else:
            arguments = canonical({"account": account, "amount": AMOUNT})
            ticket = (await parts.authority.request(Requester("bot", conversation=conversation), "pay", arguments)).id
        if turns[1:]:
            await tell(parts, conversation, *turns[1:])
        return ticket, conversation


async def tell(parts: Parts, conversation: str, *turns: tuple[str, str]) -> None:
    """What a host does: post what was said."""
    known = {found.id for found in await parts.store.principals()}
    if "bot" in known:
        token = TOKENS[parts.configuration.state]
    else:
        added = await parts.administration.call("principals_add", {"name": "bot"})
        token = TOKENS[parts.configuration.state] = added["token"]
    transport = httpx2.ASGITransport(app=parts.conversation.turns_app(parts.store))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        said = {"turns": [{"role": role, "text": text, "at": 1_800_000_000} for role, text in turns]}
        answer = await http.post(
            f"/conversations/{conversation}/turns", json=said, headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200, answer.text


TOKENS: dict[Path, str] = {}
"""The token of the principal ``bot`` in each state folder."""


async def pay(parts: Parts, office: Office, note: str, name: str, conversation: str | None = None) -> tuple[str, str]:
    transport = httpx2.ASGITransport(app=Starlette(routes=parts.verification.routes()))
    async with PageClient(office.public_url, SoftwareAuthenticator(), transport) as ana:
        invited = Invited(name, ("A-1",), (), ("ana@office.example",))
        made = await invitations.invite(parts.administration.call, parts.configuration, invited)
        await ana.enrol(made.url)
        arguments = {"account": "A-1", "amount": AMOUNT}
        ticket = await parts.authority.request(
            Requester("bot", conversation=conversation), "pay", canonical(arguments), note=note
        )
        [notice] = [found for found in await parts.store.notices(ticket.id) if found.kind == APPROVE]
        link = (await parts.verification.make_link(notice)).url or ""
        await ana.open_and_decide(link, "approve", parts.authority.match_code(ticket.id))
        delivered = await parts.authority.deliver(ticket.id)
        assert delivered is not None
        await parts.executor.run(ticket.id, delivered[1])
        return ticket.id, made.person


async def asked(office: Office, account: str = "A-1") -> str:
    """A payment that nobody has decided."""
    async with open_parts(config.load(office.folder / "counterfoil.toml"), transport=Mailbox()) as parts:
        arguments = {"account": account, "amount": AMOUNT}
        return (await parts.authority.request(Requester("bot"), "pay", canonical(arguments))).id


def edit(office: Office, sql: str, parameters: Sequence[Any] = ()) -> int:
    """Change the database as somebody with a shell would; answers how many rows were changed."""
    with closing(sqlite3.connect(office.state / "counterfoil.db", timeout=60)) as database, database:
        database.execute("DROP TRIGGER IF EXISTS envelope_is_frozen")
        return database.execute(sql, parameters).rowcount
