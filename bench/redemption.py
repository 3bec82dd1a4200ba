"""The figures of the trusted core in process: commits of a request, the redeem verb, and what redemption adds."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.store import store_ratio
from capabilities.world import World, open_world
from counterfoil import leaves, tokens
from counterfoil.assertions import verify_assertion
from counterfoil.judgement import signed_statement
from counterfoil.statements import Statement
from counterfoil.store import Caps, Counters, Redeeming
from counterfoil.tickets import Event, State, Ticket

REQUESTS = 50
ROUNDS = 3
REDEMPTIONS = 150
PLENTY = Caps(per_principal=10**9, per_account=10**9, per_conversation=10**9)


async def measure() -> dict[str, float]:
    """request_commits, store_redeem_ratio and redeem_overhead."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("requests", "redemptions"):
            (folder / part).mkdir()
        async with open_world(folder / "requests", caps=PLENTY) as world:
            commits = await request_commits(world)
        async with open_world(folder / "redemptions", caps=PLENTY) as world:
            overhead = await redeem_overhead(world)
        ratios = [await store_ratio(folder / f"round{number}") for number in range(ROUNDS)]
    return {
        "request_commits": commits,
        "store_redeem_ratio": statistics.median(ratios),
        "redeem_overhead": overhead,
    }


async def request_commits(world: World) -> float:
    """Durable commits per request, one after the other."""
    before = world.store.commits
    for number in range(REQUESTS):
        await world.request(amount={"value": f"1.{number:02d}", "currency": "EUR"})
    return (world.store.commits - before) / REQUESTS


@dataclass(frozen=True)
class Approved:
    """A ticket that can be redeemed, and what is needed for it."""

    ticket: Ticket
    capability: str
    claim: Redeeming


async def approved(world: World, number: int) -> Approved:
    """A gift approved by its holder's passkey, and minted for."""
    ticket = await world.request("send_gift", text=f"gift {number}")
    ticket = await world.approve(ticket, "ann")
    capability = await world.authority.mint(ticket.id)
    claims, _ = tokens.read_capability(
        capability, world.authority.keys.verification_keys, issuer=world.authority.issuer, now=world.store.now()
    )
    return Approved(ticket, capability, _claim(ticket, claims.jti, statements=1))


def _claim(ticket: Ticket, capability: str, statements: int) -> Redeeming:
    return Redeeming(
        capability=capability,
        ticket=ticket,
        statements=statements,
        counters=None,
        currency=None,
        counter_since=0,
        scopes=("everything", f"ticket:{ticket.id}", f"capability:{capability}", "account:A-1", "principal:agent"),
        leaf=leaves.stepped(Event.REDEEM, ticket.id, envelope=ticket.digest),
    )


async def redeem_overhead(world: World) -> float:
    """``authority.redeem`` over the sum of the signatures, verifications, policy and store verb it consists of."""
    prepared = [await approved(world, number) for number in range(2 * REDEMPTIONS)]
    whole: list[float] = []
    parts: list[float] = []
    for number in range(REDEMPTIONS):
        whole.append(await timed(_redeem(world, prepared[2 * number])))
        parts.append(await timed(_parts(world, prepared[2 * number + 1])))
    return statistics.median(whole) / statistics.median(parts)


async def timed(call: Awaitable[Any]) -> float:
    """Seconds until it is done."""
    begun = time.perf_counter()
    await call
    return time.perf_counter() - begun


async def _redeem(world: World, each: Approved) -> None:
    await world.authority.redeem(each.ticket.id, each.capability, presenter="agent")


async def _parts(world: World, each: Approved) -> None:
    """Only the cryptography, the policy and the transaction; nothing that puts them together."""
    authority, judge = world.authority, world.authority.judge
    tokens.read_capability(
        each.capability, authority.keys.verification_keys, issuer=authority.issuer, now=world.store.now()
    )
    stored = await world.store.statements(each.ticket.id)
    signed = signed_statement(stored[0])
    credential = (await judge.roster()).credentials[stored[0].credential]
    verify_assertion(
        signed.assertion,
        challenge=Statement.from_bytes(signed.statement).challenge,
        public_key=credential.public_key,
        backup_eligible=credential.backup_eligible,
        party=judge.trust.party,
    )
    envelope = each.ticket.envelope
    operation = judge.operation(envelope)
    assert not judge.policy.counts(operation.name)
    counters = Counters(0, Decimal(0))
    question = judge.question(operation, envelope, envelope.fact_values or {}, counters)
    judge.policy.allows(question, envelope.requirements[0])
    redeemed_at = await world.store.redeem(each.claim)
    await authority.order(replace(each.ticket, state=State.EXECUTING, redeemed_at=redeemed_at))
