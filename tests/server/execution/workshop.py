"""A desk with connectors that can fail in every way, an authority over a real store, and the executor under test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.world import (
    EXECUTOR,
    ISSUER,
    LOG_KEY,
    Clock,
    Office,
    Passkey,
    Shop,
    staffed_office,
)
from counterfoil import Account, Desk, Execution, Facts, Money, NotExecuted, Receipt, shown
from counterfoil.authority import Authority, Requester, Secrets
from counterfoil.checkpoints import LOG, NoteKey, NoteSigner
from counterfoil.evidence import SignedStatement
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.policy import Policy
from counterfoil.store import Caps
from counterfoil.tickets import Event, Ticket
from counterfoil_server.execution.dispatcher import Dispatcher, LocalEngine
from counterfoil_server.execution.executor import Executor
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer

POLICY = """
@id("the holder signs for a day's 100 EUR")
permit(principal, action == Action::"pay", resource)
when { context.holder_passkey && context.code_typed && resource.arguments.amount.currency == "EUR" &&
       context.counters.total_24h.lessThanOrEqual(decimal("100.00")) };
@id("above that finance, too")
permit(principal, action == Action::"pay", resource)
when { context.holder_passkey && context.code_typed && context.staff.finance >= 1 };
@id("small sums by themselves, under a grant")
permit(principal, action == Action::"pay/unattended", resource)
when { resource.arguments.amount.currency == "EUR" &&
       context.counters.total_24h.lessThanOrEqual(decimal("10.00")) };
@id("the holder opens their records")
permit(principal, action == Action::"access", resource) when { context.holder_passkey && context.code_typed };
@id("the holder takes a payment back")
permit(principal, action == Action::"undo_pay", resource) when { context.holder_passkey && context.code_typed };
@id("nothing while frozen")
forbid(principal, action == Action::"pay", resource) when { resource.facts.frozen };
"""


class PayFacts(Facts):
    """What the bank knows."""

    balance: str
    frozen: bool = False
    score: int = shown(default=0)


class PaidFacts(Facts):
    """What the bank knows of a payment that was made."""

    payment: str


@dataclass
class Bank:
    """The organisation's system behind the connector. ``fails`` says how the next effect goes wrong."""

    payments: list[str] = field(default_factory=list)
    balance: str = "500.00"
    score: int = 1
    fails: str = ""
    lookup: str = "truth"
    taken_back: list[str] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    presented: list[str] = field(default_factory=list)

    async def pay(self, execution: Execution) -> Receipt:
        """Pay once, or fail as told."""
        self.entered.set()
        if execution.presented is not None:
            self.presented.append(execution.presented)
        if self.fails == "promised":
            raise NotExecuted("the bank is closed")
        if self.fails == "before":
            raise OSError("the line broke before the payment")
        self.payments.append(execution.idempotency_key)
        if self.fails == "after":
            raise OSError("the line broke after the payment")
        if self.fails == "hangs":
            await asyncio.Event().wait()
        if self.fails == "lies":
            return "paid"  # type: ignore[return-value]
        if self.fails == "chatters":
            return Receipt.model_construct(reference="R" * 50, summary="x" * 10_000_000)
        return Receipt(reference=f"R-{len(self.payments)}", summary="paid")

    async def take_back(self, receipt: Receipt) -> Receipt:
        """Take one payment back."""
        self.taken_back.append(receipt.reference)
        return Receipt(reference=f"U-{receipt.reference}")

    async def find(self, execution: Execution) -> Receipt | None:
        """What the bank's books say."""
        if self.lookup == "broken":
            raise OSError("the books cannot be read")
        if self.lookup == "hangs":
            await asyncio.Event().wait()
        return Receipt(reference="R-found") if execution.idempotency_key in self.payments else None


def bank_desk(bank: Bank, shop: Shop, *, with_lookup: bool, executor: str | None = None) -> Desk:
    """One operation, with a connector to the bank."""
    desk = Desk("Bank", directory=shop, roles=["finance", "identity"], settled_by="finance")

    @desk.operation(counts="amount", time_limit=0.2, executor=executor)
    async def pay(execution: Execution, account: Account, amount: Money) -> Receipt:
        """Pay money out."""
        return await bank.pay(execution)

    @pay.preview
    async def pay_facts(account: Account, amount: Money) -> PayFacts:
        return PayFacts(
            owners=(account,), balance=bank.balance, frozen=bank.balance == "frozen", score=bank.score, guard="1"
        )

    @pay.undo
    async def take_back(execution: Execution, receipt: Receipt) -> Receipt:
        """Take a payment back."""
        return await bank.take_back(receipt)

    @take_back.preview
    async def take_back_facts(account: Account, receipt: Receipt) -> PaidFacts:
        return PaidFacts(owners=(account,), payment=receipt.reference)

    @desk.access
    async def access_facts(account: Account) -> Facts:
        return Facts(owners=(account,))

    if with_lookup:

        @pay.lookup
        async def find_payment(execution: Execution) -> Receipt | None:
            return await bank.find(execution)

    return desk


class Proofs(Protocol):
    """What an executor is given of a sealer."""

    @property
    def proof(self) -> Callable[[int], Awaitable[str]]: ...

    @property
    def key(self) -> NoteKey: ...


@dataclass
class Workshop:
    """Everything around one executor."""

    folder: Path
    bank: Bank
    clock: Clock
    store: SQLiteStore
    authority: Authority
    executor: Executor
    engine: LocalEngine
    dispatcher: Dispatcher
    ledger: Ledger
    office: Office
    passkeys: dict[str, Passkey]
    stolen_ring: KeyRing
    sealer: Sealer

    async def requested(
        self, value: str = "40.00", requester: str = "agent", conversation: str | None = None
    ) -> Ticket:
        """What an AI asks for: a payment from ann's account."""
        arguments = {"account": "A-1", "amount": {"value": value, "currency": "EUR"}}
        by = Requester(requester, conversation=conversation)
        return await self.authority.request(by, "pay", json.dumps(arguments).encode())

    async def granted(self) -> tuple[Ticket, str]:
        """The access that ann gave to a new conversation, carried out; and the conversation."""
        handle = (await self.authority.start_conversation("agent")).id
        asked = await self.authority.request(Requester("agent", conversation=handle), "access", b'{"account":"A-1"}')
        return await self.carried_out(await self.signed(asked, "ann")), handle

    async def carried_out(self, ticket: Ticket) -> Ticket:
        """The approved ticket after its redemption and its executor."""
        delivered = await self.authority.deliver(ticket.id)
        assert delivered is not None
        await self.executor.run(ticket.id, delivered[1])
        return await self.now(ticket)

    async def undoing(self, ticket: Ticket, conversation: str | None = None) -> Ticket:
        """What an AI asks for: the undo of a payment."""
        by = Requester("agent", conversation=conversation)
        return await self.authority.request(by, "undo_pay", json.dumps({"ticket": ticket.id}).encode())

    async def signed(self, ticket: Ticket, *people: str) -> Ticket:
        """The ticket after these people approved it."""
        for person in people:
            passkey = self.passkeys[person]
            code = self.authority.match_code(ticket.id)
            offer = await self.authority.prepare(ticket.id, person, passkey.credential, "approve", code)
            signed = SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge))
            ticket = await self.authority.decide(ticket.id, signed)
        return ticket

    async def approved(self, value: str = "40.00", *people: str) -> Ticket:
        """A payment that its people approved."""
        return await self.signed(await self.requested(value), *(people or ("ann",)))

    async def ordered(self, value: str = "40.00", *people: str) -> tuple[Ticket, str]:
        """A redeemed ticket and its order."""
        ticket = await self.approved(value, *people)
        delivered = await self.authority.deliver(ticket.id)
        assert delivered is not None
        return delivered

    async def now(self, ticket: Ticket) -> Ticket:
        """The ticket as it stands."""
        found = await self.store.ticket(ticket.id)
        assert found is not None
        return found

    def new_executor(self) -> Executor:
        """An executor as a restarted process has it: the same ledger, nothing in memory."""
        return executor_over(self.store, self.authority, self.ledger, self.executor.judge, self.sealer)


def authority_over(judge: Judge, keys: KeyRing) -> Authority:
    return Authority(
        issuer=ISSUER,
        tenant="bank",
        executor=EXECUTOR,
        judge=judge,
        keys=keys,
        secrets=Secrets(b"d" * 32, b"c" * 32, LOG_KEY),
        caps=Caps(1000, 1000, 1000),
        client_isolation=True,
    )


def executor_over(store: SQLiteStore, authority: Authority, ledger: Ledger, judge: Judge, sealer: Proofs) -> Executor:
    """An executor that trusts the office, the authority's keys and the log's."""

    async def report(ticket: str, event: Event, outcome: dict[str, object]) -> None:
        await authority.report(ticket, event, outcome)

    own = Judge(desk=judge.desk, policy=judge.policy, store=store, trust=judge.trust, log_key=LOG_KEY)
    return Executor(
        name=EXECUTOR,
        issuer=ISSUER,
        judge=own,
        authority_keys=lambda: authority.keys.verification_keys,
        ledger=ledger,
        log_key=LOG_KEY,
        report=report,
        proof=sealer.proof,
        sealed_by=sealer.key,
    )


@asynccontextmanager
async def open_workshop(
    folder: Path, *, with_lookup: bool = False, clock: Clock | None = None, outside: str | None = None,
    desk: Desk | None = None, policy: str = POLICY,
) -> AsyncIterator[Workshop]:  # fmt: skip
    """A workshop over fresh files in ``folder``. ``outside``: the executor outside that payments are addressed to;
    ``desk``, ``policy``: in place of the bank's."""
    bank, shop, clock = Bank(), Shop(), clock or Clock()
    desk = desk or bank_desk(bank, shop, with_lookup=with_lookup, executor=outside)
    desk.check()
    office, passkeys = staffed_office()
    ledger = Ledger(folder / "ledger.db")
    try:
        async with SQLiteStore.open(folder / "counterfoil.db", log_key=LOG_KEY, clock=clock) as store:
            await office.fill(store)
            judge = Judge(
                desk=desk, policy=Policy.load(policy, desk), store=store, trust=office.trust(), log_key=LOG_KEY
            )
            ring = KeyRing(SigningKey.generate(), SigningKey.generate())
            authority = authority_over(judge, ring)
            signer = NoteSigner.of("bank.example/log", LOG, Ed25519PrivateKey.generate())
            sealer = await Sealer.open(store, signer, folder / "checkpoint")
            executor = executor_over(store, authority, ledger, judge, sealer)
            engine = LocalEngine(executor)
            yield Workshop(
                folder, bank, clock, store, authority, executor, engine,
                Dispatcher(authority, executor, engine), ledger, office, passkeys, ring,
                sealer,
            )  # fmt: skip
    finally:
        ledger.close()
