"""What many callers get from one batch is what they would have got one after the other.

The writer takes much for granted in a batch and runs it again where it was wrong. Here the same calls, drawn at random,
are made on two copies of one file: all at once, and each when the one before it was answered. Answers and files must
be the same.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from counterfoil.errors import UnknownName
from counterfoil.settlement_verbs import NONCE
from counterfoil.store import Capability, Secret, Step, StoredSettlement, StoredStatement
from counterfoil.tickets import Event, State, Ticket
from counterfoil_server.store.redemption import redeem
from counterfoil_server.store.settling import settle
from counterfoil_server.store.stopping import resume, revoke, suspend
from counterfoil_server.store.ticket_verbs import create, expire, mint_capability, record_statement, take_step
from counterfoil_server.store.writer import Transaction
from server.store.test_store_writer import in_one_batch
from server.store.world import HandClock, World, counted, leaf, open_store, read

Work = Callable[[Transaction], Any]

STATES = (State.PENDING, State.APPROVED, State.HELD, State.EXECUTING, State.UNKNOWN)
COUNTERS = (None, None, counted(0, "0"), counted(1, "12.50"), counted(2, "25.00"), counted(2, "12.50"))


class Callers:
    """Calls on the tickets of one file, drawn at random."""

    def __init__(self, world: World, tickets: Sequence[tuple[Ticket, str, Capability | None]], seed: int) -> None:
        self.world, self.tickets = world, tickets
        self.random = random.Random(seed)  # noqa: S311 - what is drawn is to be drawn again

    def draw(self) -> Work:
        """One call; redemptions come as often as all others together."""
        others = (
            self.step, self.step, self.stop, self.settle, self.sign, self.mint, self.request, self.look,
            self.fail, self.fail, lambda: partial(expire, limit=1),
        )  # fmt: skip
        return self.redeem() if self.random.random() < 0.5 else self.random.choice(others)()

    def redeem(self) -> Work:
        choice = self.random.choice
        ticket, _, capability = choice([each for each in self.tickets if each[2] is not None])
        assert capability is not None
        return partial(
            redeem,
            redeeming=self.world.redeeming(
                ticket, capability, counters=choice(COUNTERS), currency=choice(("EUR", "EUR", "USD", None)),
                statements=choice((0, 0, 0, 1)), undoes=choice((None, None, None, "undone")),
            ),
        )  # fmt: skip

    def step(self) -> Work:
        ticket, event = self.ticket(), self.random.choice([event for event in Event if event is not Event.REDEEM])
        return partial(take_step, ticket=ticket.id, step=Step(event, leaf(event.value, ticket.id)))

    def stop(self) -> Work:
        ticket = self.ticket()
        scope = self.random.choice((f"ticket:{ticket.id}", f"ticket:{ticket.id}", f"account:{ticket.account}"))
        return self.random.choice(
            (
                partial(revoke, scope=scope, reason="odd", leaf=leaf("revoke"), final=self.random.random() < 0.5),
                partial(suspend, scope=scope, reason="odd", leaf=leaf("suspend")),
                partial(resume, scope=scope, leaf=leaf("resume")),
            )
        )

    def settle(self) -> Work:
        ticket, nonce, _ = self.random.choice(self.tickets)
        found = StoredSettlement(ticket.id, "finance", "cleo", "c", "executed", "r", b"signed", "{}", 0)
        step = Step(Event.REPORT_EXECUTED, leaf("report_executed", ticket.id))
        return partial(settle, settlement=found, nonce=nonce, scopes=("everything",), step=step)

    def sign(self) -> Work:
        ticket, nonce, _ = self.random.choice(self.tickets)
        statement = StoredStatement(ticket.id, "holder", "ann", "c", "approve", b"signed", "{}", 0)
        return partial(record_statement, statement=statement, nonce=nonce, leaf=leaf("statement", ticket.id), step=None)

    def mint(self) -> Work:
        ticket, now = self.ticket(), self.world.store.now()
        capability = Capability(f"cap_{self.random.random()}", ticket.id, "key-1", now, now + 120)
        return partial(mint_capability, capability=capability, leaf=leaf("mint", ticket.id))

    def request(self) -> Work:
        return partial(create, new=self.world.new(dedupe=self.random.choice("ab")))

    def look(self) -> Work:
        return lambda transaction: transaction.rows("SELECT id, state, effect, redeemed_at FROM ticket ORDER BY number")

    def fail(self) -> Work:
        ticket, how = self.ticket(), self.random.randrange(5)

        def work(transaction: Transaction) -> None:
            transaction.write_leaf(leaf("lost"))
            if how == 1:
                transaction.change("UPDATE ticket SET wrong_codes = 9 WHERE id = ?", (ticket.id,))
            elif how == 2:
                transaction.claim("UPDATE ticket SET wrong_codes = 9 WHERE id = ?", (ticket.id,))
            elif how == 3:
                transaction.change("UPDATE ticket SET state = NULL WHERE id = ?", (ticket.id,))
            elif how == 4:
                transaction.claim("UPDATE ticket SET wrong_codes = ? WHERE id = ?", (1 << 70, ticket.id))
                return
            raise UnknownName(ticket.id)

        return work

    def ticket(self) -> Ticket:
        return self.random.choice(self.tickets)[0]


async def filled(path: Path, clock: HandClock) -> list[tuple[Ticket, str, Capability | None]]:
    """Make a file with tickets of two accounts, for each a nonce and, where it can be redeemed, a capability."""
    found: list[tuple[Ticket, str, Capability | None]] = []
    async with open_store(path, clock) as store:
        world = World(store)
        for account in ("account-1", "account-2"):
            for state in (*STATES, State.APPROVED, State.APPROVED):
                ticket = await world.in_state(state, account=account)
                redeemable = state in (State.APPROVED, State.HELD)
                nonce = f"nonce of {ticket.id}"
                kind = NONCE if state is State.UNKNOWN else "nonce"
                await store.put_secret(Secret(kind, nonce, ticket.id, {}, store.now() + 600))
                found.append((ticket, nonce, await world.minted(ticket) if redeemable else None))
        assert await store.create_ticket(world.new(account="account-2"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def told(result: Any) -> Any:
    """An answer, so that two of the same are equal."""
    return (type(result), str(result)) if isinstance(result, BaseException) else result


def content(path: Path) -> dict[str, list[Any]]:
    """The rows of every table; of leaves what does not depend on their random salts."""
    tables = [name for (name,) in read(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {"leaf": "number, ticket, event", "head": "leaves"}
    return {name: read(path, f"SELECT {columns.get(name, '*')} FROM {name} ORDER BY 1") for name in tables}


@pytest.mark.parametrize("first", range(0, 40, 10))
async def test_calls_of_one_batch_end_as_they_would_one_after_the_other(
    tmp_path: Path, clock: HandClock, first: int
) -> None:
    tickets = await filled(tmp_path / "begun.db", clock)
    succeeded = 0
    for seed in range(first, first + 10):
        together, apart = (tmp_path / f"{seed}-{name}.db" for name in ("together", "apart"))
        for copy in (together, apart):
            shutil.copy(tmp_path / "begun.db", copy)
        async with open_store(together, clock) as one, open_store(apart, clock) as other:
            callers = Callers(World(one), tickets, seed)
            for size in (2, 3, 5, 30):
                calls = [callers.draw() for _ in range(size)]
                at_once = await in_one_batch(one, *calls)
                in_turn = [(await asyncio.gather(other._write(call), return_exceptions=True))[0] for call in calls]
                assert [*map(told, at_once)] == [*map(told, in_turn)], f"seed {seed}"
                succeeded += sum(not isinstance(result, BaseException) for result in at_once)
            await World(one).check_everything()
        assert content(together) == content(apart), f"seed {seed}"
    assert succeeded > 100
