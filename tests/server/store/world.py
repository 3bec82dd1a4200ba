"""Callers of the store: they make tickets, sign, mint and redeem with real values, and edit the file."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from counterfoil.log import GENESIS, Leaf, LeafDraft, check_link
from counterfoil.store import (
    Capability,
    Caps,
    Counters,
    NewTicket,
    NoticeDraft,
    Redeeming,
    Secret,
    Step,
    StoredStatement,
)
from counterfoil.tickets import COUNTED, STOPPABLE, TRANSITIONS, Event, State, Ticket
from counterfoil_server.store import SQLiteStore

LOG_KEY = bytes(range(32))
START = 1_800_000_000
DAY = 24 * 3600


class HandClock:
    """A clock that only the test moves, forwards or back."""

    def __init__(self) -> None:
        self.time = float(START)

    def __call__(self) -> float:
        return self.time


def open_store(path: Path, clock: HandClock) -> SQLiteStore:
    """Open the file with the key that all tests use."""
    return SQLiteStore.open(path, log_key=LOG_KEY, clock=clock)


def edit(path: Path, sql: str, parameters: Sequence[Any] = ()) -> int:
    """Change the file the way someone with a shell would; answers how many rows were changed."""
    with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        return connection.execute(sql, parameters).rowcount


def read(path: Path, sql: str) -> list[Any]:
    """Look into the file."""
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        return connection.execute(sql).fetchall()


def leaf(event: str, ticket: str | None = None, **groups: Any) -> LeafDraft:
    """A leaf of any event."""
    return LeafDraft(event, ticket, groups)


def state_of_leaves(leaves: Sequence[Leaf]) -> State:
    """Where a ticket stands if one follows the transition table through its leaves."""
    state = State.PENDING
    for each in leaves:
        if each.event in {event.value for event in Event}:
            state = TRANSITIONS[state, Event(each.event)]
    return state


class World:
    """The store's callers."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store

    def new(
        self, *, account: str | None = "account-1", principal: str = "agent", operation: str = "refund",
        conversation: str | None = None, delivery: str = "direct", amount: str | None = "12.50", currency: str = "EUR",
        dedupe: str | None = None, life: int = DAY, notices: Sequence[NoticeDraft] = (), caps: Caps | None = None,
    ) -> NewTicket:  # fmt: skip
        """A request as the authority hands it in."""
        identity, now = f"tk_{secrets.token_hex(8)}", self.store.now()
        ticket = Ticket(
            identity, State.PENDING, secrets.token_bytes(300), principal, account, operation, conversation, delivery,
            now, now + life,
        )  # fmt: skip
        return NewTicket(
            ticket, dedupe or identity, currency, None if amount is None else Decimal(amount),
            leaf("request", identity, envelope=ticket.digest), notices, caps or Caps(10**6, 10**6, 10**6),
        )  # fmt: skip

    async def pending(self, **values: Any) -> Ticket:
        """A new ticket."""
        ticket, created = await self.store.create_ticket(self.new(**values))
        assert created
        return ticket

    async def step(self, ticket: Ticket | str, event: Event, **values: Any) -> Ticket:
        """Take one transition."""
        identity = ticket if isinstance(ticket, str) else ticket.id
        return await self.store.step(identity, Step(event, leaf(event.value, identity), **values))

    async def approved(self, **values: Any) -> Ticket:
        """An approved ticket."""
        return await self.step(await self.pending(**values), Event.APPROVE)

    async def minted(
        self, ticket: Ticket, *, name: str | None = None, life: int = 120, key: str = "key-1"
    ) -> Capability:
        """A capability of an approved ticket."""
        now = self.store.now()
        capability = Capability(name or f"cap_{secrets.token_hex(8)}", ticket.id, key, now, now + life)
        return await self.store.mint(capability, leaf("mint", ticket.id, capability=capability.id))

    def redeeming(self, ticket: Ticket, capability: Capability, **values: Any) -> Redeeming:
        """What a redemption claims when all is well."""
        claims: dict[str, Any] = {
            "capability": capability.id, "ticket": ticket, "statements": 0,
            "counters": None, "currency": "EUR", "counter_since": self.store.now() - DAY,
            "scopes": ("everything", f"ticket:{ticket.id}", f"account:{ticket.account}"),
            "leaf": leaf("redeem", ticket.id, capability=capability.id),
        }  # fmt: skip
        return Redeeming(**claims | values)

    async def executing(self, **values: Any) -> Ticket:
        """A ticket that was redeemed."""
        ticket = await self.approved(**values)
        redeemed_at = await self.store.redeem(self.redeeming(ticket, await self.minted(ticket)))
        return replace(ticket, state=State.EXECUTING, redeemed_at=redeemed_at)

    async def in_state(self, state: State, **values: Any) -> Ticket:
        """A ticket that came into ``state`` by the steps of the table."""
        if state in (State.EXECUTING, State.EXECUTED, State.NOT_EXECUTED, State.UNKNOWN):
            ticket = await self.executing(**values)
        elif state in (State.APPROVED, State.HELD):
            ticket = await self.approved(**values)
        else:
            ticket = await self.pending(**values)
        events = {
            State.HELD: Event.HOLD, State.EXECUTED: Event.REPORT_EXECUTED, State.UNKNOWN: Event.REPORT_UNKNOWN,
            State.NOT_EXECUTED: Event.REPORT_NOT_EXECUTED, State.DECLINED: Event.DECLINE, State.EXPIRED: Event.EXPIRE,
            State.CANCELLED: Event.CANCEL, State.REVOKED: Event.REVOKE,
        }  # fmt: skip
        hold = {"hold_until": self.store.now()} if state is State.HELD else {}
        return await self.step(ticket, events[state], **hold) if state in events else ticket

    async def nonce(self, ticket: Ticket, *, life: int = 600) -> str:
        """The digest of a nonce for one statement on the ticket."""
        digest = secrets.token_hex(8)
        await self.store.put_secret(Secret("nonce", digest, ticket.id, {}, self.store.now() + life))
        return digest

    async def sign(self, ticket: Ticket, person: str, decision: str = "approve", nonce: str | None = None) -> Ticket:
        """Record a person's statement; a decline takes its step."""
        statement = StoredStatement(
            ticket.id, "holder", person, f"credential of {person}", decision, b"signed bytes", "{}", self.store.now()
        )
        step = Step(Event.DECLINE, leaf("decline", ticket.id)) if decision == "decline" else None
        return await self.store.add_statement(
            statement, nonce=nonce or await self.nonce(ticket), leaf=leaf("statement", ticket.id), step=step
        )

    async def state(self, ticket: Ticket | str) -> State:
        """Where a ticket stands now."""
        found = await self.store.ticket(ticket if isinstance(ticket, str) else ticket.id)
        assert found is not None
        return found.state

    async def check_everything(self) -> int:
        """The log verifies, and every ticket stands where its leaves say; answers how many tickets there are."""
        await self.store.verify_log()
        tickets = await self.store.tickets(limit=10**6)
        for ticket in tickets:
            assert state_of_leaves(await self.store.leaves(ticket=ticket.id)) is ticket.state
        for name, effect in self.store._readers.lookup("SELECT state, effect FROM ticket"):
            state = State(name)
            assert effect == (1 if state in STOPPABLE else 2 if state in COUNTED else None)
        return len(tickets)


def counted(count: int, total: str) -> Counters:
    """Counters as the authority holds them."""
    return Counters(count, Decimal(total))


def check_chain(leaves: Sequence[Leaf]) -> None:
    """Verify a log from its first leaf with nothing but the key."""
    previous = GENESIS
    for index, each in enumerate(leaves):
        assert each.index == index
        check_link(each, previous, LOG_KEY)
        previous = each.mac
