"""A small bookshop with its desk, its people and its pages: real parts, a clock that the tests move."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import uvicorn
from starlette.applications import Starlette

from capabilities.world import roster_leaf
from counterfoil import recipients
from counterfoil.assertions import RelyingParty
from counterfoil.authority import Authority, Requester, Secrets
from counterfoil.canonical import canonical
from counterfoil.desk import Desk
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.policy import Policy
from counterfoil.roster import End, Invitation, RosterTrust, secret_key_of, sign_record
from counterfoil.rungs import Rung
from counterfoil.store import Notice
from counterfoil.tickets import Event, Signals, Ticket
from counterfoil.values import Account, Change, Contact, Execution, Facts, Money, NotExecuted, Receipt, fact, shown
from counterfoil_server.store import SQLiteStore
from counterfoil_server.testing import PageClient, SoftwareAuthenticator
from counterfoil_server.verification import DeliveredLink, Verification

ORIGIN = "http://localhost:8700"
ANA, BO, FAY = "ana", "bo", "fay"
"""Ana holds account A-1, Bo holds A-2, Fay works in finance."""

ACCOUNTS = {ANA: "A-1", BO: "A-2"}

POLICY = """
@id("Up to 50 EUR: the account holder confirms with the code from the chat.")
permit (principal, action == Action::"refund", resource)
when {
  context.holder_passkey && context.code_typed &&
  resource.arguments.amount.value.lessThanOrEqual(decimal("50.00"))
};
@id("More: the account holder, and one colleague in finance.")
permit (principal, action == Action::"refund", resource)
when { context.holder_passkey && context.code_typed && context.staff.finance >= 1 };
@id("A refund is never more than what was paid.")
forbid (principal, action == Action::"refund", resource)
when { resource.arguments.amount.value.greaterThan(resource.facts.paid.value) };
@id("A new address: one colleague in finance, and an hour in which to object.")
permit (principal, action == Action::"change_address", resource)
when { context.staff.finance >= 1 && context.waited >= 3600 };
"""


class MovableClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = float(int(time.time()))

    def __call__(self) -> float:
        return self.seconds


class RefundFacts(Facts):
    order: str = fact(label="The order", about="order_id")
    paid: Money = fact(label="Paid for it")
    balance: Change = fact(label="Left of what was paid")
    fraud: int = shown(label="Fraud score", to="staff")


class AddressFacts(Facts):
    address: Change = fact(label="Notices go to")


class Customers:
    async def find(self, hint: str) -> Account | None:
        return Account(hint) if hint in ACCOUNTS.values() else None

    async def person(self, account: Account) -> Contact | None:
        name = next((person for person, held in ACCOUNTS.items() if held == account), None)
        return Contact(name=name.title(), email=f"{name}@old.example") if name else None


def bookshop() -> Desk:
    """Refunds, and changes of the address that notices go to."""
    desk = Desk("Harbour Books", directory=Customers(), roles=["finance"], settled_by="finance")

    @desk.operation(counts="amount")
    async def refund(execution: Execution, account: Account, order_id: str, amount: Money) -> Receipt:
        """Refund an order to the card it was paid with."""
        raise NotExecuted("These tests execute nothing.")

    @refund.preview
    async def refund_facts(account: Account, order_id: str, amount: Money) -> RefundFacts:
        paid = Money(value="120.00", currency="EUR")
        left = Change(before="120.00 EUR", after=f"{paid.amount - amount.amount} EUR")
        return RefundFacts(owners=(account,), order="“The Sea, the Sea”, delivered", paid=paid, balance=left, fraud=7)

    @desk.operation(title="Change the address", ladder=[Rung(staff={"finance": 1}, hold=3600)])
    async def change_address(execution: Execution, account: Account, address: str) -> Receipt:
        """Send notices to another address."""
        raise NotExecuted("These tests execute nothing.")

    @change_address.preview
    async def address_facts(account: Account, address: str) -> AddressFacts:
        return AddressFacts(owners=(account,), address=Change(before="ana@old.example", after=address))

    desk.check()
    return desk


@dataclass
class World:
    """Everything a test needs; made by :func:`open_world`."""

    store: SQLiteStore
    authority: Authority
    verification: Verification
    clock: MovableClock
    roster_key: SigningKey
    origin: str
    app: Starlette
    decided: list[int] = field(default_factory=list)
    clients: list[PageClient] = field(default_factory=list)

    async def record(self, make: Callable[[int, str], Invitation | End]) -> None:
        """Append a record to the roster."""
        roster = await self.authority.judge.roster()
        version = roster.version + 1
        text = sign_record(self.roster_key, make(version, roster.head))
        await self.store.add_roster_record(text, version=version, leaf=roster_leaf(text))

    async def invite(
        self, person: str, *, roles: Sequence[str] = (), channels: Sequence[str] | None = None, life: int = 86400
    ) -> str:
        """The address of a fresh invitation."""
        secret, now = secrets.token_bytes(32), self.store.now()
        await self.record(
            lambda version, previous: Invitation(
                version=version, previous=previous, person=person, name=f"{person.title()} Ek",
                accounts=(ACCOUNTS[person],) if person in ACCOUNTS else (), roles=tuple(roles),
                channels=tuple(channels if channels is not None else [f"{person}@new.example"]),
                secret_key=secret_key_of(secret), iat=now, exp=now + life,
            )
        )  # fmt: skip
        return self.verification.enrolment_url(secret)

    def client(self, authenticator: SoftwareAuthenticator | None = None) -> PageClient:
        """A browser that talks to the application without a socket."""
        transport = httpx2.ASGITransport(app=self.app)
        opened = PageClient(self.origin, authenticator or SoftwareAuthenticator(), transport)
        self.clients.append(opened)
        return opened

    async def enrolled(self, person: str, *, roles: Sequence[str] = ()) -> PageClient:
        """A browser of somebody with a passkey."""
        client = self.client()
        await client.enrol(await self.invite(person, roles=roles))
        return client

    async def request(
        self, amount: str = "20.00", *, account: str = "A-1", note: str | None = None, tainted: bool = False,
        order: str = "4711", actor: str | None = None,
    ) -> Ticket:  # fmt: skip
        """A requested refund."""
        arguments = {"account": account, "order_id": order, "amount": {"value": amount, "currency": "EUR"}}
        requester = Requester("assistant", actor=actor, signals=Signals(tainted=tainted))
        return await self.authority.request(requester, "refund", canonical(arguments), note)

    async def unknown(self, amount: str = "20.00", **about: Any) -> Ticket:
        """A refund that Ana approved, whose effect was started, and nobody knows what came of it. Ana's browser is the
        first that opened one."""
        ticket = await self.request(amount, **about)
        code = self.authority.match_code(ticket.id)
        await self.clients[0].open_and_decide(await self.link(ticket), "approve", code)
        assert await self.authority.deliver(ticket.id) is not None
        return await self.authority.report(ticket.id, Event.REPORT_UNKNOWN, {"reason": "The connector hung."})

    async def settling(self, ticket: Ticket, person: str = FAY) -> str:
        """The person's link to say what became of it."""
        return (await self.deliver(ticket, recipients.SETTLE))[person].url or ""

    async def request_address(self, address: str = "eve@evil.example") -> Ticket:
        """A requested change of address, which staff approve and the holder may object to."""
        arguments = canonical({"account": "A-1", "address": address})
        return await self.authority.request(Requester("assistant"), "change_address", arguments)

    async def deliver(self, ticket: Ticket, kind: str = recipients.APPROVE) -> dict[str, DeliveredLink]:
        """The links of the ticket's queued messages of this kind, by recipient, made as at delivery."""
        return {
            notice.recipient: await self.verification.make_link(notice)
            for notice in await self.store.notices(ticket.id)
            if notice.kind == kind
        }

    async def links(self, ticket: Ticket) -> dict[str, str]:
        """Everybody's link to decide, by person."""
        return {person: delivered.url or "" for person, delivered in (await self.deliver(ticket)).items()}

    async def link(self, ticket: Ticket, person: str = ANA) -> str:
        """The person's link to decide."""
        return (await self.links(ticket))[person]

    async def objection(self, ticket: Ticket) -> tuple[str, str]:
        """A link to object, and its code."""
        delivered = next(iter((await self.deliver(ticket, recipients.OBJECT)).values()))
        assert delivered.url is not None
        assert delivered.code is not None
        return delivered.url, delivered.code

    async def state(self, ticket: Ticket) -> str:
        """Where the ticket stands."""
        found = await self.store.ticket(ticket.id)
        assert found is not None
        return found.state.value

    async def notices(self, kind: str, ticket: Ticket | None = None) -> list[Notice]:
        """The messages of this kind."""
        every = await self.store.notices(ticket.id if ticket else None)
        return [notice for notice in every if notice.kind == kind]


@asynccontextmanager
async def open_world(folder: Path, origin: str = ORIGIN) -> AsyncIterator[World]:
    """The bookshop with an empty roster, at this origin."""
    clock, roster_key, log_key = MovableClock(), SigningKey.generate(), secrets.token_bytes(32)
    host = httpx2.URL(origin).host
    desk = bookshop()
    async with SQLiteStore.open(folder / "counterfoil.db", log_key=log_key, clock=clock) as store:
        trust = RosterTrust({roster_key.id: roster_key.public}, 0, RelyingParty(host, frozenset({origin})))
        judge = Judge(desk=desk, policy=Policy.load(POLICY, desk), store=store, trust=trust, log_key=log_key)
        authority = Authority(
            issuer=origin, tenant="default", executor="embedded", judge=judge,
            keys=KeyRing(SigningKey.generate(), SigningKey.generate()),
            secrets=Secrets(secrets.token_bytes(32), secrets.token_bytes(32), log_key),
        )  # fmt: skip
        decided: list[int] = []
        verification = Verification(
            authority, public_url=origin, organisation=desk.name, on_decided=lambda: decided.append(store.now())
        )
        app = Starlette(routes=verification.routes())
        world = World(store, authority, verification, clock, roster_key, origin, app, decided)
        yield world
        for client in world.clients:
            await client.http.aclose()


def listening_socket() -> tuple[socket.socket, str]:
    """A socket on loopback that queues connections from now on, and the origin that browsers call it by."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening, f"http://localhost:{listening.getsockname()[1]}"


@asynccontextmanager
async def serving(app: Starlette, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the application on a listening socket."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        try:
            yield
        finally:
            server.should_exit = True
