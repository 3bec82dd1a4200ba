"""A desk that pays, in a process that dies at one named point of a payment's way, and the process that comes after.

The parts are the real ones, over a state folder that both processes share; the money is a line in a file, written
durably, as a bank would write it.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from capabilities.world import ISSUER, Clock, Office, Passkey
from counterfoil import Account, Contact, Desk, Execution, Facts, Money, Receipt
from counterfoil.authority import Requester
from counterfoil.canonical import b64, canonical
from counterfoil.evidence import SignedStatement
from counterfoil.recipients import EXECUTED, UNCERTAIN
from counterfoil.tickets import State, Ticket
from counterfoil_server.app import Parts, open_parts
from counterfoil_server.config import Configuration, Settings
from counterfoil_server.key_files import read_signing_key

POLICY = """
@id("The holder confirms with passkey and code.")
permit (principal, action == Action::"pay", resource) when { context.holder_passkey && context.code_typed };
"""

BOOKS = "books.txt"


class Bank:
    """The organisation's own system. Methods can be replaced: that is how a process dies inside it."""

    def __init__(self) -> None:
        self.folder = Path()

    def pay(self, key: str) -> None:
        """Pay; durable when it returns."""
        with (self.folder / BOOKS).open("a") as books:
            books.write(f"{key}\n")
            books.flush()
            os.fsync(books.fileno())

    def payments(self) -> list[str]:
        """The key of every payment."""
        books = self.folder / BOOKS
        return books.read_text().split() if books.exists() else []


class Holders:
    """One holder of one account."""

    async def find(self, hint: str) -> Account | None:
        return Account(hint) if hint == "A-1" else None

    async def person(self, account: Account) -> Contact | None:
        return Contact(name="Ann", email="ann@example.com")


BANK = Bank()


def paying_desk(*, with_lookup: bool) -> Desk:
    """One operation over :data:`BANK`."""
    desk = Desk("Bank", directory=Holders(), roles=[])

    @desk.operation
    async def pay(execution: Execution, account: Account, amount: Money) -> Receipt:
        """Pay money out."""
        BANK.pay(execution.idempotency_key)
        return Receipt(reference="R-1", summary="paid")

    @pay.preview
    async def pay_facts(account: Account, amount: Money) -> Facts:
        return Facts(owners=(account,), guard="1")

    if with_lookup:

        @pay.lookup
        async def find_payment(execution: Execution) -> Receipt | None:
            return Receipt(reference="R-found") if execution.idempotency_key in BANK.payments() else None

    return desk


silent, answering = paying_desk(with_lookup=False), paying_desk(with_lookup=True)


def configuration(folder: Path, *, with_lookup: bool) -> Configuration:
    """The settings of a state folder in ``folder``."""
    desk = f"{__name__}:{'answering' if with_lookup else 'silent'}"
    (folder / "policy.cedar").write_text(POLICY)
    return Configuration(Settings(desk=desk, policy="policy.cedar", public_url=ISSUER), folder)


async def prepare(folder: Path) -> None:
    """Make the state folder, and enrol the holder, whose passkey is kept in the folder for the process that dies."""
    settings, passkey, office = configuration(folder, with_lookup=False), Passkey(b64(b"ann's")), Office()
    async with open_parts(settings, clock=Clock()) as parts:
        office.key = read_signing_key(settings.roster_key)
        office.enrol(office.invite("ann", accounts=["A-1"]), "ann", passkey)
        await office.fill(parts.store)
    pem = passkey.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "passkey.pem").write_bytes(pem)


async def request(parts: Parts) -> Ticket:
    """What an AI asks for."""
    arguments = canonical({"account": "A-1", "amount": {"value": "40.00", "currency": "EUR"}})
    return await parts.authority.request(Requester("agent"), "pay", arguments)


async def approve(parts: Parts, ticket: Ticket) -> None:
    """The holder signs."""
    passkey = Passkey(b64(b"ann's"))
    loaded = serialization.load_pem_private_key((BANK.folder / "passkey.pem").read_bytes(), password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    passkey.key = loaded
    code = parts.authority.match_code(ticket.id)
    offer = await parts.authority.prepare(ticket.id, "ann", passkey.credential, "approve", code)
    await parts.authority.decide(ticket.id, SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge)))


async def deliver(parts: Parts) -> None:
    """What the dispatcher does by itself when it is woken."""
    await parts.dispatcher.look()
    await parts.engine.settle()


# The process that dies ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Just before or after the ``nth`` call of a verb of a part."""

    part: Literal["store", "ledger", "bank"]
    verb: str
    when: Literal["before", "after"]
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.part}.{self.verb}" + (f" number {self.nth}" if self.nth > 1 else "")


def die() -> NoReturn:
    """As by a power cut: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed, and still running")


def arm(part: Any, point: Point) -> None:
    """Let the process die at the point."""
    inner: Callable[..., Any] = getattr(part, point.verb)
    calls = itertools.count(1)

    def begins() -> bool:
        here = next(calls) == point.nth
        if here and point.when == "before":
            die()
        return here

    async def dies_waiting(*arguments: Any, **named: Any) -> Any:
        here, answer = begins(), await inner(*arguments, **named)
        return die() if here else answer

    def dies(*arguments: Any, **named: Any) -> Any:
        here, answer = begins(), inner(*arguments, **named)
        return die() if here else answer

    setattr(part, point.verb, dies_waiting if inspect.iscoroutinefunction(inner) else dies)


def pay_and_die(folder: Path, with_lookup: bool, point: Point) -> None:
    """The whole way of one payment, as far as the point."""

    async def run() -> None:
        BANK.folder = folder
        async with open_parts(configuration(folder, with_lookup=with_lookup), clock=Clock()) as parts:
            arm({"store": parts.store, "ledger": parts.executor.ledger, "bank": BANK}[point.part], point)
            await approve(parts, await request(parts))
            await deliver(parts)

    asyncio.run(run())


# The process that comes after -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a restart made of it. ``told``: how many messages say that it was done, or may have been."""

    state: State | None
    payments: int
    told: int


async def restart(folder: Path, with_lookup: bool) -> Found:
    """Start again as ``serve`` does, and look at what became of the only ticket."""
    BANK.folder = folder
    async with open_parts(configuration(folder, with_lookup=with_lookup), clock=Clock()) as parts:
        await parts.dispatcher.recover()
        await deliver(parts)
        await parts.store.verify_log()
        await parts.executor.follow_log()
        tickets = await parts.store.tickets()
        assert len(tickets) <= 1
        told = [notice for notice in await parts.store.notices() if notice.kind in (EXECUTED, UNCERTAIN)]
        return Found(tickets[0].state if tickets else None, len(BANK.payments()), len(told))
