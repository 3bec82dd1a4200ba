"""Revoke, suspend, resume: what was stopped never starts (invariant 3)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from capabilities.world import World
from counterfoil.authority import Requester
from counterfoil.canonical import parse_strict, unb64
from counterfoil.errors import CounterfoilError, Suspended, UnknownName, WrongState
from counterfoil.store import Revoked
from counterfoil.tickets import Event, State, Ticket


async def approved(world: World) -> tuple[Ticket, str]:
    ticket = await world.approve(await world.request(by=Requester("agent", conversation="chat")), "ann")
    return ticket, await world.authority.mint(ticket.id)


def id_of(capability: str) -> str:
    claims = parse_strict(unb64(capability.split(".")[1]))
    assert isinstance(claims, dict)
    return str(claims["jti"])


SCOPES = [
    "all", "ticket", "capability", "account:A-1", "operation:refund", "principal:agent", "conversation:chat",
    "person:ann", "key", "principal-account:agent|A-1",
]  # fmt: skip


@pytest.mark.parametrize("scope", SCOPES)
async def test_invariant_3_what_was_revoked_never_starts(world: World, scope: str) -> None:
    ticket, capability = await approved(world)
    names = {
        "ticket": f"ticket:{ticket.id}",
        "capability": f"capability:{id_of(capability)}",
        "key": f"key:{world.authority.keys.current.id}",
    }
    assert await world.authority.revoke(names.get(scope, scope), "a test") == Revoked(1, 0, 0)
    assert (await world.now(ticket)).state is State.REVOKED
    for attempt in (
        world.authority.redeem(ticket.id, capability),
        world.authority.mint(ticket.id),
        world.authority.deliver(ticket.id),
    ):
        with pytest.raises(CounterfoilError):
            await attempt
    assert "redeem" not in [leaf.event for leaf in await world.store.leaves(ticket=ticket.id)]


async def test_what_runs_or_ran_cannot_be_revoked_and_is_counted(world: World) -> None:
    ticket, capability = await approved(world)
    await world.authority.redeem(ticket.id, capability)
    assert await world.authority.revoke("account:A-1", "too late") == Revoked(0, 1, 0)
    await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {})
    assert await world.authority.revoke("account:A-1", "too late") == Revoked(0, 0, 1)
    assert (await world.now(ticket)).state is State.EXECUTED


@pytest.mark.parametrize("scope", ["principal:agent", "conversation:chat", "person:ann"])
async def test_some_scopes_are_barred_for_good(world: World, scope: str) -> None:
    await world.authority.revoke(scope, "stolen")
    with pytest.raises(WrongState):
        await world.authority.resume(scope)
    await world.authority.suspend(scope, "again")
    with pytest.raises(WrongState):
        await world.authority.resume(scope)
    with pytest.raises(Suspended):
        await world.approve(await world.request(by=Requester("agent", conversation="chat")), "ann")


@pytest.mark.parametrize("scope", ["account:A-1", "operation:refund", "all"])
async def test_other_scopes_take_new_requests_after_a_revocation(world: World, scope: str) -> None:
    await world.request()
    await world.authority.revoke(scope, "a clean-up")
    later = await world.approve(await world.request(amount={"value": "1.00", "currency": "EUR"}), "ann")
    assert later.state is State.APPROVED


async def test_resuming_what_was_not_suspended_changes_nothing(world: World) -> None:
    assert await world.authority.resume("account:A-1") is False
    await world.authority.suspend("account:A-1", "a test")
    assert await world.authority.resume("account:A-1") is True


@pytest.mark.parametrize("verb", ["revoke", "suspend"])
async def test_what_is_no_scope_is_refused(world: World, verb: str) -> None:
    with pytest.raises(UnknownName):
        await getattr(world.authority, verb)("nonsense", "a test")
    assert await world.store.suspensions() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::4])
async def test_invariant_3_a_race_of_approval_decline_revocation_and_redemption_has_one_outcome(
    world: World, order: tuple[int, ...]
) -> None:
    large = {"value": "400.00", "currency": "EUR"}
    ticket = await world.approve(await world.request(amount=large), "ann")
    approval = await world.sign(ticket, "fay")
    refusal = await world.sign(ticket, "fox", "decline")
    runners: list[Callable[[], Awaitable[object]]] = [
        lambda: world.authority.decide(ticket.id, approval),
        lambda: world.authority.decide(ticket.id, refusal),
        lambda: world.authority.revoke(f"ticket:{ticket.id}", "a race"),
        lambda: deliver_soon(world, ticket),
    ]
    results = await asyncio.gather(*(runners[at]() for at in order), return_exceptions=True)
    assert all(isinstance(result, CounterfoilError) or not isinstance(result, BaseException) for result in results)
    revoked = results[order.index(2)]
    assert isinstance(revoked, Revoked)
    final = await world.now(ticket)
    happened = [leaf.event for leaf in await world.store.leaves(ticket=ticket.id)]
    assert (final.state is State.REVOKED) is (revoked.revoked == 1)
    assert (final.state is State.EXECUTING) is ("redeem" in happened)
    assert (final.state is State.DECLINED) is ("decline" in happened)
    assert sum(event in ("redeem", "decline", "revoke") for event in happened) == 1
    assert await world.store.verify_log() > 0


async def deliver_soon(world: World, ticket: Ticket) -> object:
    """Deliver as soon as it is approved, unless something else came first."""
    while True:
        state = (await world.now(ticket)).state
        if state is State.APPROVED:
            return await world.authority.deliver(ticket.id)
        if state is not State.PENDING:
            raise WrongState()
        await asyncio.sleep(0)
