"""Whether a store that has kept everything for years is slower than a young one.

``growth_ratio``: the median time of a request, a redemption and a status with a million stored tickets over that with a
thousand, taken in turn; the largest of the three. The stored tickets are copies of one that was executed, with ids,
accounts, envelopes and leaves of their own, written by the store's own writer.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.redemption import PLENTY, timed
from capabilities.world import World, open_world
from counterfoil.tickets import Event
from counterfoil_server.store.writer import Transaction

FEW, MANY = 1_000, 1_000_000
PART = 50_000
"""Tickets that are written in one transaction."""
ACCOUNTS = 100_000
LEAVES = 5
"""Leaves of each stored ticket."""
ROUNDS = 150

NUMBERS = "WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last) "


async def measure() -> dict[str, float]:
    """growth_ratio."""
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            worlds = []
            for size in (FEW, MANY):
                (Path(name) / str(size)).mkdir()
                world = await stack.enter_async_context(open_world(Path(name) / str(size), caps=PLENTY))
                await fill(world, size)
                worlds.append(world)
            return {"growth_ratio": await growth_ratio(*worlds)}


async def fill(world: World, size: int) -> None:
    """Add so many executed tickets to the store."""
    ticket = await world.approve(await world.request("send_gift", text="the first"), "ann")
    await world.authority.redeem(ticket.id, await world.authority.mint(ticket.id), presenter="agent")
    await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": {"reference": "R", "summary": ""}})
    for first in range(1, size + 1, PART):
        await world.store._write(_Copies(ticket.id, first, min(first + PART - 1, size)))


@dataclass(frozen=True)
class _Copies:
    """Writes copies of the ticket, numbered from ``first`` to ``last``."""

    ticket: str
    first: int
    last: int

    def __call__(self, transaction: Transaction) -> None:
        connection = transaction._connection
        columns = [row[1] for row in connection.execute("PRAGMA table_info (ticket)")]
        own = {
            "number": "1000 + i",
            "id": "'cf_copy' || i",
            "account": f"'C-' || (i % {ACCOUNTS})",
            "dedupe": "'copy' || i",
            "redeemed_at": "redeemed_at - i % 100000000",
            "requested_at": "requested_at - i % 100000000",
        }
        values = ", ".join(own.get(name, name) for name in columns)
        of = {"first": self.first, "last": self.last, "ticket": self.ticket}
        connection.execute(
            f"{NUMBERS} INSERT INTO ticket ({', '.join(columns)}) SELECT {values} FROM n, ticket WHERE id = :ticket",  # noqa: S608
            of,
        )
        connection.execute(
            f"{NUMBERS} INSERT INTO envelope (ticket, body) SELECT 1000 + i, body FROM n, envelope"  # noqa: S608
            " WHERE ticket = (SELECT number FROM ticket WHERE id = :ticket)",
            of,
        )
        self._leaves(transaction, of)

    def _leaves(self, transaction: Transaction, of: dict[str, Any]) -> None:
        """Leaves that follow the last one; only the very last is looked at again, when a store is opened."""
        chain, connection = transaction._chain, transaction._connection
        begin, _ = chain.mark
        connection.execute(
            f"{NUMBERS} INSERT INTO leaf (number, ticket, event, body, mac, opening)"  # noqa: S608
            f" SELECT {begin} + (i - :first) * {LEAVES} + place, 'cf_copy' || i, event, body, mac, opening"
            f" FROM n, (SELECT row_number() OVER (ORDER BY number) - 1 AS place, * FROM leaf"
            f" WHERE leaf.ticket = :ticket ORDER BY number LIMIT {LEAVES})",
            of,
        )
        (mac,) = connection.execute("SELECT mac FROM leaf ORDER BY number DESC LIMIT 1").fetchone()
        chain.mark = (begin + (self.last - self.first + 1) * LEAVES, mac)


async def growth_ratio(few: World, many: World) -> float:
    """The largest ratio of the three verbs."""
    times: dict[tuple[str, int], list[float]] = {}
    for number in range(ROUNDS):
        for which, world in enumerate((few, many) if number % 2 else (many, few)):
            size = which if number % 2 else 1 - which
            for verb, seconds in (await _one(world, number)).items():
                times.setdefault((verb, size), []).append(seconds)
    return max(
        statistics.median(times[verb, 1]) / statistics.median(times[verb, 0])
        for verb in ("request", "redeem", "status")
    )


async def _one(world: World, number: int) -> dict[str, float]:
    """Seconds of each verb, for one ticket."""
    made: list[Any] = []

    async def keep(call: Awaitable[Any]) -> None:
        made.append(await call)

    spent = {"request": await timed(keep(world.request("send_gift", text=f"gift {number}")))}
    [ticket] = made
    await world.approve(ticket, "ann")
    capability = await world.authority.mint(ticket.id)
    spent["redeem"] = await timed(world.authority.redeem(ticket.id, capability, presenter="agent"))
    spent["status"] = await timed(world.authority.status("agent", ticket.id))
    return spent
