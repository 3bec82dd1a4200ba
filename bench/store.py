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

TICKETS = 2000
PARTS = 10
AT_ONCE = 64


async def store_ratio(folder: Path) -> float:
    """Redemptions per second over raw updates per second, 64 at once; the median of the parts."""
    folder.mkdir(parents=True)
    async with open_store(folder / "store.db", HandClock()) as store:
        claims = await asyncio.gather(*(_claim(World(store), number) for number in range(TICKETS)))
        raw = RawStore(folder / "store.db", folder / "raw.db")
        rates: dict[str, list[float]] = {"raw": [], "ours": []}
        for first in range(0, TICKETS, TICKETS // PARTS):
            part = claims[first : first + TICKETS // PARTS]
            rates["raw"].append(await _rate([partial(raw.claim, claim.ticket.id) for claim in part]))
            rates["ours"].append(await _rate([partial(store.redeem, claim) for claim in part]))
        raw.close()
    return statistics.median(rates["ours"]) / statistics.median(rates["raw"])


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


async def _rate(calls: Sequence[Callable[[], Awaitable[Any]]]) -> float:
    """Calls per second with :data:`AT_ONCE` under way."""
    waiting = iter(calls)

    async def worker() -> None:
        for call in waiting:
            await call()

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return len(calls) / (time.perf_counter() - begun)
