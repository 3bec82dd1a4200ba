"""The redemption: everything is looked at again in its one transaction, and it happens once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from counterfoil.errors import (
    CapabilityRefused,
    CounterfoilError,
    CountersMoved,
    Expired,
    Suspended,
    TamperDetected,
    WrongState,
)
from counterfoil.tickets import Event, State
from server.store.world import START, HandClock, World, counted, edit, leaf


async def test_a_redemption_claims_the_ticket_spends_the_capability_and_writes_its_leaf(world: World) -> None:
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket))
    assert await world.store.redeem(redeeming) == START
    assert await world.store.ticket(ticket.id) == replace(ticket, state=State.EXECUTING, redeemed_at=START)
    assert (await world.store.leaves())[-1].event == "redeem"
    with pytest.raises(CapabilityRefused):
        await world.store.redeem(redeeming)


async def test_a_second_capability_of_a_claimed_ticket_is_spent_with_the_first(world: World, clock: HandClock) -> None:
    ticket = await world.approved()
    first = await world.minted(ticket)
    clock.time += 100
    second = await world.minted(ticket)
    await world.store.redeem(world.redeeming(ticket, second))
    with pytest.raises(CapabilityRefused):
        await world.store.redeem(world.redeeming(ticket, first))


async def test_unknown_foreign_and_expired_capabilities_answer_alike(world: World, clock: HandClock) -> None:
    ticket, other = await world.approved(), await world.approved()
    capability, foreign = await world.minted(ticket), await world.minted(other)
    words = set()
    for redeeming in (
        replace(world.redeeming(ticket, capability), capability="unknown"),
        world.redeeming(ticket, foreign),
        world.redeeming(replace(ticket, id="tk_none"), capability),
    ):
        with pytest.raises(CapabilityRefused) as refusal:
            await world.store.redeem(redeeming)
        words.add(str(refusal.value))
    clock.time += 120
    with pytest.raises(CapabilityRefused) as refusal:
        await world.store.redeem(world.redeeming(ticket, capability))
    assert words == {str(refusal.value)}


async def test_a_capability_that_was_ended_redeems_nothing(world: World, path: Path) -> None:
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket))
    edit(path, "UPDATE capability SET ended_at = issued_at")
    with pytest.raises(CapabilityRefused):
        await world.store.redeem(redeeming)
    assert await world.state(ticket) is State.APPROVED


async def test_an_expired_ticket_is_not_redeemed(world: World, clock: HandClock) -> None:
    ticket = await world.approved(life=60)
    capability = await world.minted(ticket)
    clock.time += 60
    with pytest.raises(Expired):
        await world.store.redeem(world.redeeming(ticket, capability))


async def test_a_ticket_is_not_redeemed_while_it_is_held(world: World, clock: HandClock) -> None:
    ticket = await world.approved()
    capability = await world.minted(ticket)
    await world.step(ticket, Event.HOLD, hold_until=START + 60)
    with pytest.raises(WrongState, match="held"):
        await world.store.redeem(world.redeeming(ticket, capability))
    clock.time += 60
    await world.store.redeem(world.redeeming(ticket, capability))
    assert await world.state(ticket) is State.EXECUTING


async def test_a_live_capability_does_not_redeem_a_ticket_in_another_state(world: World, path: Path) -> None:
    ticket = await world.approved()
    capability = await world.minted(ticket)
    edit(path, "UPDATE ticket SET state = 'pending' WHERE id = ?", (ticket.id,))
    with pytest.raises(WrongState, match="pending"):
        await world.store.redeem(world.redeeming(ticket, capability))


async def test_a_suspended_scope_stops_the_redemption_until_it_is_resumed(world: World) -> None:
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket))
    await world.store.suspend("account:account-1", reason="audit", leaf=leaf("suspend"))
    with pytest.raises(Suspended):
        await world.store.redeem(redeeming)
    await world.store.resume("account:account-1", leaf=leaf("resume"))
    await world.store.redeem(redeeming)
    assert await world.state(ticket) is State.EXECUTING


async def test_a_redemption_without_scopes_is_possible(world: World) -> None:
    ticket = await world.approved()
    redeeming = world.redeeming(ticket, await world.minted(ticket), scopes=())
    await world.store.redeem(redeeming)
    assert await world.state(ticket) is State.EXECUTING


async def test_the_statements_must_be_those_of_the_evidence(world: World, path: Path) -> None:
    ticket = await world.pending()
    for person in ("ann", "bob"):
        await world.sign(ticket, person)
    await world.step(ticket, Event.APPROVE)
    capability = await world.minted(ticket)
    with pytest.raises(CountersMoved):
        await world.store.redeem(world.redeeming(ticket, capability, statements=1))
    edit(path, "DELETE FROM statement WHERE person = 'bob'")
    with pytest.raises(TamperDetected):
        await world.store.redeem(world.redeeming(ticket, capability, statements=2))


async def test_counters_that_moved_stop_the_redemption(world: World) -> None:
    ticket = await world.approved(amount="49.00")
    capability = await world.minted(ticket)
    none_yet = world.redeeming(ticket, capability, counters=counted(0, "0"))
    await world.executing(amount="49.00")
    with pytest.raises(CountersMoved):
        await world.store.redeem(none_yet)
    with pytest.raises(CountersMoved):
        await world.store.redeem(world.redeeming(ticket, capability, counters=counted(1, "49.0001")))
    await world.store.redeem(world.redeeming(ticket, capability, counters=counted(1, "49")))
    assert await world.state(ticket) is State.EXECUTING


async def test_of_two_redemptions_that_saw_the_same_counters_one_goes_through(world: World) -> None:
    tickets = [await world.approved(amount="49.00") for _ in range(2)]
    claims = [world.redeeming(ticket, await world.minted(ticket), counters=counted(0, "0")) for ticket in tickets]
    results = await asyncio.gather(*(world.store.redeem(claim) for claim in claims), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["CountersMoved", "int"]


async def test_an_envelope_never_changes(world: World, path: Path) -> None:
    await world.approved()
    with pytest.raises(Exception, match="an envelope never changes"):
        edit(path, "UPDATE envelope SET body = x'00'")


async def test_exactly_one_of_many_redemptions_at_once_wins(world: World) -> None:
    ticket = await world.approved()
    capability = await world.minted(ticket)
    attempts = (world.store.redeem(world.redeeming(ticket, capability)) for _ in range(200))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, CapabilityRefused) for result in results) == 199
    assert [each.event for each in await world.store.leaves(ticket=ticket.id)].count("redeem") == 1


async def test_a_revocation_and_a_redemption_at_once_never_both_win(world: World) -> None:
    for turn in range(40):
        ticket = await world.approved(account=f"account-{turn}")
        redeeming = world.redeeming(ticket, await world.minted(ticket))
        redeem = world.store.redeem(redeeming)
        revoke = world.store.revoke(f"ticket:{ticket.id}", reason="r", leaf=leaf("revoke_scope"), final=True)
        if turn % 2:
            redeemed, revoked = await asyncio.gather(redeem, revoke, return_exceptions=True)
        else:
            revoked, redeemed = await asyncio.gather(revoke, redeem, return_exceptions=True)
        assert not isinstance(revoked, BaseException)
        if isinstance(redeemed, CounterfoilError):
            assert (revoked.revoked, revoked.executing) == (1, 0)
            assert await world.state(ticket) is State.REVOKED
        else:
            assert (revoked.revoked, revoked.executing) == (0, 1)
            assert await world.state(ticket) is State.EXECUTING
    await world.check_everything()
