"""The store's redeem verb against raw group-committed updates of a copy of the same file, taken in turn.

The claims are those that an authority makes: each for an account of its own, with the account's counters, the scopes
that could forbid it, and a leaf of two field groups. Nobody judged these tickets; only the verb is measured.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.raw import RawStore
from counterfoil import leaves
from counterfoil.store import Redeeming
from counterfoil.tickets import Event
from server.store.world import HandClock, World, counted, open_store

TICKETS = 3840
PART = 128
"""Tickets that one of the two claims before it is the other's turn; who begins alternates."""
AT_ONCE = 64

Call = Callable[[], Awaitable[Any]]


async def store_ratio(folder: Path) -> float:
    """Redemptions per second over raw updates per second, 64 at once; the median over pairs of parts."""
    folder.mkdir(parents=True)
    async with open_store(folder / "store.db", HandClock()) as store:
        claims = await asyncio.gather(*(_claim(World(store), number) for number in range(TICKETS)))
        raw = RawStore(folder / "store.db", folder / "raw.db")
        ratios = []
        for turn, first in enumerate(range(0, TICKETS, PART)):
            part = claims[first : first + PART]
            calls: dict[str, list[Call]] = {
                "raw": [partial(raw.claim, claim.ticket.id) for claim in part],
                "ours": [partial(store.redeem, claim) for claim in part],
            }
            rates = {name: await _rate(calls[name]) for name in sorted(calls, reverse=turn % 2 == 1)}
            ratios.append(rates["ours"] / rates["raw"])
        raw.close()
    return statistics.median(ratios)


async def _claim(world: World, number: int) -> Redeeming:
    ticket = await world.approved(account=f"account-{number}", amount="12.50", currency="EUR")
    capability = await world.minted(ticket)
    scopes = ("everything", *(f"{kind}:{number}" for kind in ("ticket", "account", "capability", "person", "key")))
    return world.redeeming(
        ticket,
        capability,
        counters=counted(0, "0"),
        scopes=scopes,
        leaf=leaves.stepped(Event.REDEEM, ticket.id, capability=capability.id, envelope=ticket.digest),
    )


async def _rate(calls: Sequence[Call]) -> float:
    """Calls per second with :data:`AT_ONCE` under way."""
    waiting = iter(calls)

    async def worker() -> None:
        for call in waiting:
            await call()

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return len(calls) / (time.perf_counter() - begun)
