"""Tickets: requests, transitions, statements, expiry, capabilities, counters."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from counterfoil.errors import AccountBusy, Expired, StatementRefused, TooManyRequests, UnknownTicket, WrongState
from counterfoil.log import check_link
from counterfoil.store import Caps, Counters, NoticeDraft, Secret
from counterfoil.tickets import COUNTED, PLANNED, TRANSITIONS, Event, State
from counterfoil_server.store import SQLiteStore
from server.store.world import DAY, LOG_KEY, START, HandClock, World, counted, leaf, read


async def test_a_request_is_stored_with_its_notices_and_its_leaf(world: World) -> None:
    notice = NoticeDraft("approve", "person-1", "ann@example.com", "holder")
    ticket = await world.pending(notices=[notice], conversation="c")
    assert await world.store.ticket(ticket.id) == ticket
    assert [sent.recipient for sent in await world.store.notices(ticket.id)] == ["person-1"]
    found = await world.store.request_leaf(ticket.id)
    assert found is not None
    check_link(*found, LOG_KEY)
    assert found[0].values["ticket"] == ticket.id


async def test_an_unknown_ticket_is_none(world: World) -> None:
    assert await world.store.ticket("tk_none") is None
    assert await world.store.request_leaf("tk_none") is None
    assert await world.store.statements("tk_none") == []


@pytest.mark.parametrize("state", [State.PENDING, State.EXECUTED, State.DECLINED, State.EXPIRED])
async def test_the_same_request_within_a_day_is_the_same_ticket_in_every_state(
    world: World, clock: HandClock, state: State
) -> None:
    ticket = await world.in_state(state, dedupe="same")
    leaves = len(await world.store.leaves())
    clock.time += DAY - 1
    again, created = await world.store.create_ticket(world.new(dedupe="same"))
    assert (again.id, created) == (ticket.id, False)
    assert len(await world.store.leaves()) == leaves
    clock.time += 1
    assert (await world.store.create_ticket(world.new(dedupe="same")))[1]


async def test_a_new_ticket_that_is_not_pending_is_refused(world: World) -> None:
    approved = await world.approved()
    new = world.new()
    with pytest.raises(WrongState):
        await world.store.create_ticket(type(new)(approved, "other", None, None, leaf("request", approved.id)))


@pytest.mark.parametrize(
    ("caps", "same"),
    [(Caps(2, 99, 99), "principal"), (Caps(99, 2, 99), "account"), (Caps(99, 99, 2), "conversation")],
)
async def test_only_so_many_tickets_wait_at_once(world: World, caps: Caps, same: str) -> None:
    first = await world.pending(**{same: "x"}, caps=caps)
    await world.approved(**{same: "x"}, caps=caps)
    before = len(await world.store.leaves())
    with pytest.raises(TooManyRequests) as refusal:
        await world.pending(**{same: "x"}, caps=caps)
    assert isinstance(refusal.value, AccountBusy) == (same == "account")
    assert len(await world.store.leaves()) == before
    await world.pending(**{same: "other"}, caps=caps)
    await world.step(first, Event.CANCEL)
    await world.pending(**{same: "x"}, caps=caps)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", [event for event in Event if event is not Event.REDEEM])
async def test_every_step_follows_the_table_and_is_recorded(world: World, state: State, event: Event) -> None:
    ticket = await world.in_state(state)
    before = len(await world.store.leaves())
    target = TRANSITIONS.get((state, event))
    if target is None:
        with pytest.raises((WrongState, Expired), match=state.value):
            await world.step(ticket, event)
        assert await world.state(ticket) is state
        assert len(await world.store.leaves()) == before
    else:
        after = await world.step(ticket, event, outcome='{"why":"test"}')
        assert (after.state, after.outcome) == (target, '{"why":"test"}')
        assert (after.ended_at is not None) == after.ended
        assert (await world.store.leaves())[-1].event == event.value
    await world.check_everything()


async def test_a_step_cannot_claim_a_ticket(world: World) -> None:
    with pytest.raises(WrongState):
        await world.step(await world.approved(), Event.REDEEM)


async def test_a_step_of_an_unknown_ticket_is_refused(world: World) -> None:
    with pytest.raises(UnknownTicket):
        await world.step("tk_none", Event.CANCEL)


async def test_steps_set_their_times(world: World, clock: HandClock) -> None:
    ticket = await world.pending()
    clock.time += 5
    assert (await world.step(ticket, Event.APPROVE)).approved_at == START + 5
    held = await world.step(ticket, Event.HOLD, hold_until=START + 60)
    assert (held.hold_until, held.approved_at) == (START + 60, START + 5)


async def test_an_expired_ticket_cannot_be_approved_held_signed_or_minted(world: World, clock: HandClock) -> None:
    pending, approved = await world.pending(life=60), await world.approved(life=60)
    nonce = await world.nonce(pending)
    clock.time += 60
    with pytest.raises(Expired):
        await world.step(pending, Event.APPROVE)
    with pytest.raises(Expired):
        await world.step(approved, Event.HOLD, hold_until=START)
    with pytest.raises(Expired):
        await world.sign(pending, "ann", nonce=nonce)
    with pytest.raises(Expired):
        await world.minted(approved)


async def test_tickets_past_their_time_expire_with_a_leaf_each_and_old_secrets_are_forgotten(
    world: World, clock: HandClock, path: Path
) -> None:
    late = [await world.in_state(state, life=60) for state in (State.PENDING, State.APPROVED, State.HELD)]
    running, young = await world.executing(life=60), await world.pending()
    await world.store.put_secret(Secret("link", "old", "x", {}, START + 60))
    await world.store.put_secret(Secret("link", "young", "x", {}, START + 61))
    assert await world.store.expire_due() == 0
    clock.time += 60
    assert await world.store.expire_due(limit=2) == 2
    assert await world.store.expire_due() == 1
    assert [await world.state(ticket) for ticket in late] == [State.EXPIRED] * 3
    assert (await world.state(running), await world.state(young)) == (State.EXECUTING, State.PENDING)
    assert read(path, "SELECT digest FROM secret") == [("young",)]
    await world.check_everything()


async def test_one_person_fills_one_seat(world: World) -> None:
    ticket = await world.pending()
    await world.sign(ticket, "ann")
    nonce = await world.nonce(ticket)
    with pytest.raises(StatementRefused, match="already decided"):
        await world.sign(ticket, "ann", nonce=nonce)
    await world.sign(ticket, "bob", nonce=nonce)  # the refused attempt did not spend it
    assert [statement.person for statement in await world.store.statements(ticket.id)] == ["ann", "bob"]


async def test_a_nonce_is_spent_once_and_only_on_its_ticket(world: World, clock: HandClock) -> None:
    ticket, other = await world.pending(), await world.pending()
    nonce = await world.nonce(ticket)
    with pytest.raises(StatementRefused):
        await world.sign(other, "ann", nonce=nonce)
    await world.sign(ticket, "ann", nonce=nonce)
    with pytest.raises(StatementRefused):
        await world.sign(ticket, "bob", nonce=nonce)
    late = await world.nonce(ticket, life=60)
    clock.time += 60
    with pytest.raises(StatementRefused):
        await world.sign(ticket, "bob", nonce=late)


@pytest.mark.parametrize("state", list(State))
async def test_pending_tickets_are_approved_and_waiting_ones_declined(world: World, state: State) -> None:
    ticket = await world.in_state(state)
    refused = Expired if state is State.EXPIRED else WrongState
    if state is State.PENDING:
        assert (await world.sign(ticket, "ann")).state is State.PENDING
    else:
        with pytest.raises(refused):
            await world.sign(ticket, "ann")
    if state in (State.PENDING, State.APPROVED, State.HELD):
        assert (await world.sign(ticket, "bob", "decline")).state is State.DECLINED
    else:
        with pytest.raises(refused):
            await world.sign(ticket, "bob", "decline")
    await world.check_everything()


async def test_wrong_codes_are_counted(world: World) -> None:
    ticket = await world.pending()
    assert [await world.store.wrong_code(ticket.id) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(UnknownTicket):
        await world.store.wrong_code("tk_none")


async def test_only_direct_tickets_whose_hold_is_over_are_ready(world: World, clock: HandClock) -> None:
    approved, held = await world.approved(), await world.approved()
    await world.step(held, Event.HOLD, hold_until=START + 60)
    await world.approved(delivery="collected")
    await world.pending()
    await world.executing()
    assert [ticket.id for ticket in await world.store.ready()] == [approved.id]
    clock.time += 60
    assert [ticket.id for ticket in await world.store.ready()] == [approved.id, held.id]
    assert len(await world.store.ready(limit=1)) == 1
    clock.time += DAY
    assert await world.store.ready() == []


async def test_a_capability_is_answered_again_until_half_its_life_is_over(world: World, clock: HandClock) -> None:
    ticket = await world.approved()
    first = await world.minted(ticket, life=120)
    clock.time += 60
    leaves = len(await world.store.leaves())
    assert await world.minted(ticket, life=120) == first
    assert len(await world.store.leaves()) == leaves
    clock.time += 1
    assert (await world.minted(ticket, life=120)).id != first.id


@pytest.mark.parametrize(
    "state", [state for state in State if state not in (State.APPROVED, State.HELD, State.EXPIRED)]
)
async def test_only_a_redeemable_ticket_gets_a_capability(world: World, state: State) -> None:
    with pytest.raises(WrongState):
        await world.minted(await world.in_state(state))


async def test_a_held_ticket_gets_a_capability_when_its_hold_ends(world: World, clock: HandClock) -> None:
    ticket = await world.step(await world.approved(), Event.HOLD, hold_until=START + 60)
    with pytest.raises(WrongState, match="held"):
        await world.minted(ticket)
    clock.time += 60
    assert (await world.minted(ticket)).ticket == ticket.id


async def test_tickets_are_listed_newest_first_by_state_principal_and_account(world: World) -> None:
    first = await world.pending(principal="a", account="1")
    second = await world.approved(principal="b", account="1")
    third = await world.pending(principal="a", account="2")

    async def listed(**values: object) -> list[str]:
        return [ticket.id for ticket in await world.store.tickets(**values)]  # type: ignore[arg-type]

    assert await listed() == [third.id, second.id, first.id]
    assert await listed(limit=1) == [third.id]
    assert await listed(states=[State.PENDING]) == [third.id, first.id]
    assert await listed(states=[State.PENDING, State.APPROVED], limit=2) == [third.id, second.id]
    assert await listed(principal="a") == [third.id, first.id]
    assert await listed(account="1") == [second.id, first.id]
    assert await listed(principal="a", account="1", states=[State.PENDING]) == [first.id]


async def _counters(store: SQLiteStore, **values: object) -> Counters:
    asked = {
        "account": "account-1", "operation": "refund", "currency": "EUR", "since": START, "states": tuple(PLANNED),
        "excluding": "",
    }  # fmt: skip
    return await store.counters(**asked | values)  # type: ignore[arg-type]


async def test_counters_add_what_happened_or_may_happen(world: World, clock: HandClock) -> None:
    store = world.store
    await world.executing(amount="0.0001")
    last = await world.pending(amount="10.10")
    await world.in_state(State.DECLINED)
    await world.pending(currency="KWD")
    await world.pending(account="account-2")
    await world.pending(operation="other")
    # How often counts every currency; how much, only one.
    assert await _counters(store) == counted(3, "10.1001")
    assert await _counters(store, states=tuple(COUNTED)) == counted(1, "0.0001")
    assert await _counters(store, excluding=last.id) == counted(2, "0.0001")
    assert await _counters(store, since=START + 1) == counted(0, "0")
    assert await _counters(store, states=()) == counted(0, "0")
    ticket = await world.approved(amount="5.00")
    clock.time += 100
    await store.redeem(world.redeeming(ticket, await world.minted(ticket)))
    assert await _counters(store, since=START + 100) == counted(1, "5.00")
    with pytest.raises(ValueError, match="without an effect"):
        await _counters(store, states=(State.DECLINED,))


async def test_sums_of_the_largest_amounts_are_exact(world: World) -> None:
    for _ in range(12):
        await world.pending(amount="99999999999999.9999")
    assert (await _counters(world.store)).total == Decimal("99999999999999.9999") * 12


async def test_an_amount_that_would_not_be_exact_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="four decimals"):
        await world.pending(amount="0.00001")
    assert await world.store.tickets() == []
