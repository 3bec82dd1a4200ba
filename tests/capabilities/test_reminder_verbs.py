"""Whom the authority asks once more: those who have just got a passkey, and those who have not decided yet (T12)."""

from __future__ import annotations

import pytest

from capabilities.world import Passkey, World, join, roster_leaf
from counterfoil.canonical import b64
from counterfoil.errors import UnknownTicket, WrongState
from counterfoil.recipients import APPROVE
from counterfoil.reminder_verbs import ASKED_AT_ONCE
from counterfoil.scopes import pair
from counterfoil.tickets import Event, Ticket

LARGE = {"value": "900.00", "currency": "EUR"}
"""An amount that takes the holder and two of finance."""


async def asked(world: World, person: str) -> list[tuple[str, str | None]]:
    """Tickets and seats that somebody would be asked about if they now made a first passkey."""
    roster = await world.authority.judge.roster()
    return [(ticket, draft.seat) for ticket, draft in await world.authority.waiting_for(roster.people[person], roster)]


async def joins(world: World, person: str, *, accounts: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> None:
    """Somebody is invited and has no passkey yet."""
    record = world.office.invite(person, accounts=accounts, roles=roles)
    await world.store.add_roster_record(record, version=len(world.office.records), leaf=roster_leaf(record))


async def reminded(world: World, ticket: Ticket) -> set[str]:
    """Whom the notices written by asking again reach."""
    before = len(await world.store.notices(ticket.id))
    people = await world.authority.ask_deciders(ticket.id)
    written = (await world.store.notices(ticket.id))[: -before or None]
    assert {notice.kind for notice in written} <= {APPROVE}
    assert {notice.recipient for notice in written} == set(people)
    return set(people)


async def test_whoever_gets_a_passkey_is_asked_about_what_waits_for_their_seat(world: World) -> None:
    small, large = await world.request(), await world.request(amount=LARGE)
    await joins(world, "ada", accounts=("A-1",))
    await joins(world, "fia", roles=("finance",))
    await joins(world, "bea", accounts=("A-3",))
    assert set(await asked(world, "ada")) == {(small.id, "holder"), (large.id, "holder")}
    assert await asked(world, "fia") == [(large.id, "staff:finance")]
    assert await asked(world, "bea") == []


async def test_they_are_not_asked_about_what_others_have_decided_or_nobody_may_hear_of(world: World) -> None:
    large = await world.request(amount=LARGE)
    await joins(world, "fia", roles=("finance",))
    await world.approve(large, "fay", "fox")
    assert await asked(world, "fia") == []
    cancelled = await world.request(amount={"value": "901.00", "currency": "EUR"})
    await world.authority.cancel("agent", cancelled.id)
    assert await asked(world, "fia") == []
    await world.request(amount={"value": "902.00", "currency": "EUR"})
    assert len(await asked(world, "fia")) == 1
    await world.authority.suspend(pair("agent", "A-1"), "not them")
    assert await asked(world, "fia") == []
    await world.authority.resume(pair("agent", "A-1"))
    world.clock.at += 2 * 86400
    assert await asked(world, "fia") == []


async def test_a_new_passkey_brings_a_few_messages_at_most(world: World) -> None:
    tickets = [
        await world.request(account=account, order_id=order, by=f"agent-{number}", amount=LARGE)
        for number in range(4)
        for account, order in (("A-1", "O-1"), ("A-2", "O-2"))
    ]
    assert len(tickets) > ASKED_AT_ONCE
    await joins(world, "fia", roles=("finance",))
    assert len(await asked(world, "fia")) == ASKED_AT_ONCE


async def test_those_who_have_not_decided_are_asked_again(world: World) -> None:
    ticket = await world.request(amount=LARGE)
    assert await reminded(world, ticket) == {"ann", "fil", "fay", "fox", "ivo"}
    await world.approve(ticket, "fay", "fox")
    assert await reminded(world, ticket) == {"ann", "fil"}


async def test_nobody_is_asked_again_about_what_cannot_be_decided(world: World) -> None:
    ticket = await world.request()
    world.shop.locked.add("A-1")
    refused = await world.request(amount={"value": "48.00", "currency": "EUR"})
    with pytest.raises(WrongState, match="Nobody can approve this ticket"):
        await world.authority.ask_deciders(refused.id)
    await world.authority.cancel("agent", ticket.id)
    with pytest.raises(WrongState, match="it is cancelled"):
        await world.authority.ask_deciders(ticket.id)
    with pytest.raises(UnknownTicket):
        await world.authority.ask_deciders("cf_none")
    late = await world.request(amount={"value": "47.00", "currency": "EUR"})
    world.clock.at += 2 * 86400
    with pytest.raises(WrongState, match="it is expired"):
        await world.authority.ask_deciders(late.id)
    assert [leaf.event for leaf in await world.store.leaves(ticket=late.id)][-1] == Event.EXPIRE.value


async def test_somebody_without_a_passkey_is_not_asked_again(world: World) -> None:
    await joins(world, "fia", roles=("finance",))
    ticket = await world.request(amount=LARGE)
    assert "fia" not in await reminded(world, ticket)
    invitation, passkey = world.office.records[-1], Passkey(b64(b"passkey of fia"))
    signed = world.office.enrol(invitation, "fia", passkey)
    await join(world.store, signed.to_text())
    assert "fia" in await reminded(world, ticket)
