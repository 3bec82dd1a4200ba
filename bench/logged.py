"""What the log adds to a request and to its redemption.

``log_overhead``: the time of requests and redemptions, one after the other, with the sealing of every leaf they wrote,
over the same time without what the log's own code took in it: putting leaves together, digests and MACs, their rows,
the seal of the log's end, and the sealing. What a leaf's bytes add to a commit that happens anyway is not told apart.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.redemption import PLENTY, timed
from capabilities.world import World, open_world
from counterfoil.checkpoints import LOG, NoteSigner
from counterfoil.log import LeafDraft
from counterfoil_server.store.chain import Chain
from counterfoil_server.store.sealer import Sealer

ROUNDS = 10
TICKETS = 50
"""Requests, and as many redemptions, between two times that the log is sealed."""


async def measure() -> dict[str, float]:
    """log_overhead."""
    with tempfile.TemporaryDirectory() as name:
        async with open_world(Path(name), caps=PLENTY) as world:
            signer = NoteSigner.of("bench.example/log", LOG, Ed25519PrivateKey.generate())
            sealer = await Sealer.open(world.store, signer, Path(name) / "checkpoint")
            return {"log_overhead": await log_overhead(world, sealer)}


async def log_overhead(world: World, sealer: Sealer) -> float:
    """The median over rounds."""
    ratios: list[float] = []
    for number in range(ROUNDS):
        with _clocked() as log:
            whole = 0.0
            asked = []
            for each in range(TICKETS):
                begun = time.perf_counter()
                asked.append(await world.request("send_gift", text=f"gift {number} {each}"))
                whole += time.perf_counter() - begun
        spent = log.seconds
        capabilities = []
        for ticket in asked:
            await world.approve(ticket, "ann")
            capabilities.append((ticket.id, await world.authority.mint(ticket.id)))
        with _clocked() as log:
            for ticket_id, capability in capabilities:
                whole += await timed(_redeem(world, ticket_id, capability))
        spent += log.seconds
        sealing = await timed(sealer.seal())
        ratios.append((whole + sealing) / (whole - spent))
    return statistics.median(ratios)


async def _redeem(world: World, ticket: str, capability: str) -> None:
    await world.authority.redeem(ticket, capability, presenter="agent")


@dataclass
class _Spent:
    """Seconds in the log's own code."""

    seconds: float = 0.0


@contextmanager
def _clocked() -> Iterator[_Spent]:
    """Add up what the log's own code takes while entered."""
    spent = _Spent()
    places: list[tuple[type, str]] = [
        (LeafDraft, "__post_init__"),
        (Chain, "append"),
        (Chain, "insert"),
        (Chain, "head_seal"),
    ]
    former: list[Callable[..., Any]] = [getattr(owner, name) for owner, name in places]
    for (owner, name), function in zip(places, former, strict=True):
        setattr(owner, name, _timed(function, spent))
    try:
        yield spent
    finally:
        for (owner, name), function in zip(places, former, strict=True):
            setattr(owner, name, function)


def _timed(function: Callable[..., Any], spent: _Spent) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent.seconds += time.perf_counter() - begun

    return call
