"""An approved ticket becomes an order, once (T25, T27 to T30, T45, T50, T53; invariants 1 to 4, 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

from capabilities.world import EXECUTOR, ISSUER, PARTY, START, World
from counterfoil.authority import Authority, Requester
from counterfoil.canonical import b64, canonical, parse_strict, unb64
from counterfoil.errors import (
    CapabilityRefused,
    CounterfoilError,
    Expired,
    PolicyRefuses,
    StatementRefused,
    Suspended,
    UnknownTicket,
    WrongState,
)
from counterfoil.judgement import signed_statement
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.proof import Proven, verify_envelope, verify_evidence
from counterfoil.recipients import EXECUTED, NOT_DONE, UNCERTAIN
from counterfoil.rungs import Rung
from counterfoil.tickets import Event, State, Ticket
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, CapabilityClaims, read_capability, sign
from held_keys import held

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


async def proven(world: World, ticket: Ticket, order: str) -> Proven:
    """What an executor makes of the order with its own trust."""
    body = ticket.envelope_bytes
    keys = world.authority.keys.verification_keys
    claims, envelope = verify_envelope(order, body, issuer=ISSUER, executor=EXECUTOR, keys=keys, now=world.store.now())
    return verify_evidence(
        claims,
        envelope,
        [signed_statement(stored) for stored in await world.store.statements(ticket.id)],
        roster=world.office.roster(),
        party=PARTY,
        display_of=world.authority.judge.display_digests(envelope),
    )


async def approved(world: World, operation: str = "refund", **arguments: Any) -> Ticket:
    return await world.approve(await world.request(operation, **arguments), "ann")


def claims_of(world: World, capability: str) -> CapabilityClaims:
    keys = world.authority.keys.verification_keys
    return read_capability(capability, keys, issuer=ISSUER, now=world.store.now())[0]


async def events(world: World, ticket: Ticket) -> list[str]:
    return [leaf.event for leaf in await world.store.leaves(ticket=ticket.id)]


# The whole life -------------------------------------------------------------------------------------------------------


async def test_a_ticket_is_delivered_directly_and_executed_once(world: World) -> None:
    ticket = await approved(world)
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    redeemed, order = delivered
    assert (redeemed.state, redeemed.redeemed_at) == (State.EXECUTING, START)
    assert (await proven(world, redeemed, order)).reached == Rung(holder="passkey", code=True)
    done = await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": {"reference": "R-1"}})
    assert done.state is State.EXECUTED
    assert await events(world, ticket) == ["request", "statement", "approve", "mint", "redeem", "report_executed"]
    with pytest.raises(WrongState):
        await world.authority.deliver(ticket.id)


async def test_a_collected_capability_is_presented_by_its_principal(world: World) -> None:
    ticket = await approved(world, "send_gift")
    capability = await world.authority.mint(ticket.id)
    for presenter in (None, "other", "", "Agent"):
        with pytest.raises(CapabilityRefused):
            await world.authority.redeem(ticket.id, capability, presenter=presenter)
    with pytest.raises(CapabilityRefused):
        await world.authority.deliver(ticket.id)
    redeemed, order = await world.authority.redeem(ticket.id, capability, presenter="agent")
    assert redeemed.state is State.EXECUTING
    await proven(world, redeemed, order)


async def test_a_direct_capability_is_presented_by_nobody_else(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    with pytest.raises(CapabilityRefused):
        await world.authority.redeem(ticket.id, capability, presenter="agent")
    assert (await world.now(ticket)).state is State.APPROVED


# Mint -----------------------------------------------------------------------------------------------------------------


async def test_nothing_is_minted_before_everybody_signed(world: World) -> None:
    ticket = await world.request(amount={"value": "900.00", "currency": "EUR"})
    for person in ("ann", "fay"):
        await world.approve(ticket, person)
        with pytest.raises(WrongState):
            await world.authority.mint(ticket.id)
    await world.approve(ticket, "fox")
    assert await world.authority.mint(ticket.id)
    with pytest.raises(UnknownTicket):
        await world.authority.mint("cf_unknown")


async def test_minting_again_answers_the_capability_that_lives(world: World) -> None:
    ticket = await approved(world)
    first = await world.authority.mint(ticket.id)
    again = await asyncio.gather(*(world.authority.mint(ticket.id) for _ in range(5)))
    assert {claims_of(world, text) for text in [first, *again]} == {claims_of(world, first)}
    assert (await events(world, ticket)).count("mint") == 1
    world.clock.at += 120
    assert claims_of(world, await world.authority.mint(ticket.id)).jti != CapabilityClaims.of(
        parse_strict(unb64(first.split(".")[1]))
    ).jti  # fmt: skip


async def test_a_capability_lives_two_minutes(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    claims = claims_of(world, capability)
    assert (claims.iat, claims.exp) == (START, START + 120)
    world.clock.at += 120
    with pytest.raises(CapabilityRefused):
        await world.authority.redeem(ticket.id, capability)


async def test_a_hold_ends_before_anything_is_minted(world: World) -> None:
    ticket = await world.request("close_account")
    await world.approve(ticket, "ida", "ivo")
    world.clock.at += 3599
    assert await world.store.ready() == []
    with pytest.raises(WrongState):
        await world.authority.mint(ticket.id)
    world.clock.at += 1
    assert [ready.id for ready in await world.store.ready()] == [ticket.id]
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    assert (await proven(world, *delivered)).reached == Rung(staff={"identity": 2}, hold=3600)


async def test_T50_a_clock_set_back_does_not_shorten_or_revive_anything(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    world.clock.at += 121
    world.store.now()
    world.clock.at = START
    with pytest.raises(CapabilityRefused):
        await world.authority.redeem(ticket.id, capability)
    world.clock.at = START + 86400
    world.store.now()
    world.clock.at = START
    with pytest.raises((Expired, WrongState)):
        await world.authority.mint(ticket.id)


async def test_invariant_6_an_expired_ticket_is_not_redeemed(world: World) -> None:
    ticket = await approved(world)
    world.clock.at += 86390
    capability = await world.authority.mint(ticket.id)
    world.clock.at += 10
    with pytest.raises(Expired):
        await world.authority.redeem(ticket.id, capability)
    assert (await world.authority.status("agent", ticket.id)).state is State.EXPIRED


# T28, T29: once -------------------------------------------------------------------------------------------------------


async def test_T29_a_second_redemption_fails_for_every_spelling(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    head, body, signature = capability.split(".")
    rs = unb64(signature)
    twin = b64(rs[:32] + (P256_ORDER - int.from_bytes(rs[32:], "big")).to_bytes(32, "big"))
    assert SECP256R1().key_size == 256
    spellings = [
        capability,
        f"{head}.{body}.{twin}",
        f"{capability}=",
        f"{head}.{body}=.{signature}",
        capability + "\n",
        sign(held(world.authority.keys.current), CAPABILITY_TYPE, claims_of(world, capability).members()),
    ]
    await world.authority.redeem(ticket.id, spellings[1])
    for text in spellings:
        with pytest.raises((CapabilityRefused, WrongState)):
            await world.authority.redeem(ticket.id, text)
    assert (await events(world, ticket)).count("redeem") == 1


async def test_T28_of_many_redemptions_at_once_one_succeeds(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    results = await asyncio.gather(
        *(world.authority.redeem(ticket.id, capability) for _ in range(8)),
        *(world.authority.deliver(ticket.id) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert all(isinstance(result, tuple | CounterfoilError) for result in results)
    assert (await events(world, ticket)).count("redeem") == 1


async def test_every_failure_of_the_capability_reads_the_same(world: World) -> None:
    one, other = await approved(world), await approved(world, amount={"value": "1.00", "currency": "EUR"})
    capability, foreign = await world.authority.mint(one.id), await world.authority.mint(other.id)
    claims = claims_of(world, capability).members()
    key = held(world.authority.keys.current)
    attempts = [
        (one.id, foreign),
        (other.id, capability),
        ("cf_unknown", capability),
        (one.id, ""),
        (one.id, await world.authority.order((await world.authority.redeem(other.id, foreign))[0])),
        (one.id, sign(SigningKey.generate(), CAPABILITY_TYPE, claims)),
        (one.id, sign(key, CAPABILITY_TYPE, claims | {"jti": "never minted"})),
        (one.id, sign(key, CAPABILITY_TYPE, claims | {"sub": "other"})),
        (one.id, sign(key, CAPABILITY_TYPE, claims | {"envelope": other.digest})),
        (one.id, sign(key, CAPABILITY_TYPE, claims | {"ticket": other.id})),
        (one.id, sign(key, CAPABILITY_TYPE, claims | {"jti": claims_of(world, foreign).jti})),
        (one.id, sign(key, ORDER_TYPE, claims)),
        ("cf_unknown", sign(key, CAPABILITY_TYPE, claims | {"ticket": "cf_unknown"})),
    ]
    said = set()
    for name, text in attempts:
        with pytest.raises(CapabilityRefused) as caught:
            await world.authority.redeem(name, text)
        said.add(str(caught.value))
    assert len(said) == 1
    assert (await world.authority.redeem(one.id, capability))[0].state is State.EXECUTING


async def test_invariant_4_equal_requests_of_two_principals_share_nothing(world: World) -> None:
    tickets = [await world.request("send_gift", by=name) for name in ("agent", "other")]
    for ticket in tickets:
        await world.approve(ticket, "ann")
    capabilities = [await world.authority.mint(ticket.id) for ticket in tickets]
    for ticket, capability, presenter in (
        (tickets[0], capabilities[0], "other"),
        (tickets[0], capabilities[1], "agent"),
        (tickets[0], capabilities[1], "other"),
        (tickets[1], capabilities[0], "agent"),
    ):
        with pytest.raises(CapabilityRefused):
            await world.authority.redeem(ticket.id, capability, presenter=presenter)


# What is judged again at redemption -----------------------------------------------------------------------------------


async def test_a_policy_of_today_that_says_no_ends_the_ticket_at_redemption(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    forbids = world.with_policy(
        '@id("closed today") forbid(principal, action == Action::"refund", resource);'
        'permit(principal is Agent, action == Action::"refund", resource) when { context.holder_passkey };'
    )
    with pytest.raises(PolicyRefuses, match="closed today"):
        await forbids.redeem(ticket.id, capability)
    with pytest.raises(PolicyRefuses):
        await forbids.mint(ticket.id)
    assert (await world.now(ticket)).state is State.APPROVED
    assert await forbids.deliver(ticket.id) is None
    declined = await world.now(ticket)
    assert declined.state is State.DECLINED
    assert "closed today" in (declined.outcome or "")


async def test_a_stronger_requirement_that_was_frozen_is_not_weakened_by_the_policy_of_today(world: World) -> None:
    ticket = await world.request(amount={"value": "900.00", "currency": "EUR"})
    await world.approve(ticket, "ann", "fay")
    weaker = world.with_policy(
        'permit(principal is Agent, action == Action::"refund", resource) when { context.holder_passkey };'
    )
    with pytest.raises(WrongState):
        await weaker.mint(ticket.id)
    assert (await weaker.advance(ticket.id)).state is State.PENDING


@pytest.mark.parametrize(("what", "name"), [("person", "ann"), ("credential", "")])
async def test_who_was_ended_after_signing_redeems_nothing(world: World, what: str, name: str) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    await world.end(what, name or world.passkeys["ann"].credential)
    for attempt in (world.authority.mint(ticket.id), world.authority.redeem(ticket.id, capability)):
        with pytest.raises(StatementRefused):
            await attempt
    with pytest.raises(StatementRefused):
        await world.authority.deliver(ticket.id)


def at_most_a_day(amount: str) -> str:
    """A policy by which the holder alone may have so much a day."""
    return (
        'permit(principal is Agent, action == Action::"refund", resource) when { context.holder_passkey && '
        f'context.code_typed && context.counters.total_24h.lessThanOrEqual(decimal("{amount}")) }};'
    )


async def approved_at_once(world: World) -> tuple[Authority, Ticket, Ticket]:
    """Two refunds of 49 EUR, asked for and approved when nothing was counted yet; and the authority of a policy that
    allows 50 a day."""
    lenient, stricter = world.with_policy(at_most_a_day("98.00")), world.with_policy(at_most_a_day("50.00"))
    body = canonical({"account": "A-1", "order_id": "O-1", "amount": {"value": "49.00", "currency": "EUR"}})
    first, second = [await lenient.request(Requester(name), "refund", body) for name in ("agent", "other")]
    for ticket in (first, second):
        await world.approve(ticket, "ann")
    return stricter, first, second


async def test_T45_small_refunds_approved_at_once_do_not_add_up_to_a_large_one(world: World) -> None:
    """The policy of redemption counts what was redeemed since."""
    stricter, first, second = await approved_at_once(world)
    delivered = await asyncio.gather(*(stricter.deliver(ticket.id) for ticket in (first, second)))
    assert sorted(result is None for result in delivered) == [False, True]
    states = {(await world.now(ticket)).state for ticket in (first, second)}
    assert states == {State.EXECUTING, State.DECLINED}


@pytest.mark.parametrize("event", [Event.REPORT_EXECUTED, Event.REPORT_UNKNOWN])
async def test_T45_a_redemption_counts_what_happened_and_what_may_have_happened(world: World, event: Event) -> None:
    stricter, first, second = await approved_at_once(world)
    assert await stricter.deliver(first.id) is not None
    await stricter.report(first.id, event, {})
    assert await stricter.deliver(second.id) is None
    assert (await world.now(second)).state is State.DECLINED


async def test_T45_what_had_no_effect_frees_the_counter_and_what_may_have_had_one_does_not(world: World) -> None:
    for event, free in ((Event.REPORT_NOT_EXECUTED, True), (Event.REPORT_UNKNOWN, False)):
        by = f"agent {event.value}"
        ticket = await world.approve(await world.request(by=by), "ann")
        await world.authority.deliver(ticket.id)
        await world.authority.report(ticket.id, event, {})
        following = await world.request(by=by, amount={"value": "2.00", "currency": "EUR"})
        holder_only = (Rung(holder="passkey", code=True),)
        assert (following.envelope.requirements == holder_only) is free
        await world.authority.cancel(by, following.id)


@pytest.mark.parametrize(
    "scope",
    ["all", "operation:refund", "principal:agent", "account:A-1", "principal-account:agent|A-1", "person:ann", "ticket",
     "capability", "key"],
)  # fmt: skip
async def test_T28_whatever_is_suspended_is_not_redeemed_until_it_is_resumed(world: World, scope: str) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    name = {
        "ticket": f"ticket:{ticket.id}",
        "capability": f"capability:{claims_of(world, capability).jti}",
        "key": f"key:{world.authority.keys.current.id}",
    }.get(scope, scope)
    await world.authority.suspend(name, "a test")
    with pytest.raises(Suspended):
        await world.authority.redeem(ticket.id, capability)
    if scope != "capability":
        with pytest.raises(Suspended):
            await world.authority.mint(ticket.id)
    await world.authority.resume(name)
    assert (await world.authority.redeem(ticket.id, capability))[0].state is State.EXECUTING


async def test_a_capability_of_a_key_that_left_the_ring_is_worth_nothing(world: World) -> None:
    ticket = await approved(world)
    capability = await world.authority.mint(ticket.id)
    ring = world.authority.keys.rotated(SigningKey.generate())
    once = world.with_keys(ring)
    assert (await once.mint(ticket.id)).split(".")[0] == capability.split(".")[0]
    gone = world.with_keys(ring.rotated(SigningKey.generate()))
    with pytest.raises(CapabilityRefused):
        await gone.redeem(ticket.id, capability)
    unrelated = world.with_keys(KeyRing(SigningKey.generate(), SigningKey.generate()))
    for authority in (gone, unrelated):
        with pytest.raises(CapabilityRefused):
            await authority.mint(ticket.id)
    assert (await once.redeem(ticket.id, capability))[0].state is State.EXECUTING


# Orders and reports ---------------------------------------------------------------------------------------------------


async def test_an_order_exists_only_while_its_ticket_is_executing(world: World) -> None:
    ticket = await approved(world)
    with pytest.raises(WrongState):
        await world.authority.order(ticket)
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    redeemed, order = delivered
    assert order.split(".")[1] == (await world.authority.order(redeemed)).split(".")[1]
    done = await world.authority.report(ticket.id, Event.REPORT_NOT_EXECUTED, {"reason": "closed"})
    with pytest.raises(WrongState):
        await world.authority.order(done)


@pytest.mark.parametrize(
    "event", sorted(set(Event) - {event for event in Event if event.value.startswith(("report", "find"))})
)
async def test_a_report_is_no_other_way_to_any_step(world: World, event: Event) -> None:
    ticket = await approved(world) if event is not Event.APPROVE else await world.request()
    with pytest.raises(WrongState):
        await world.authority.report(ticket.id, event, {})
    assert await world.now(ticket) == ticket


async def test_only_what_executes_is_reported_and_only_what_is_unknown_is_found_out(world: World) -> None:
    ticket = await approved(world)
    for event in (Event.REPORT_EXECUTED, Event.FIND_EXECUTED):
        with pytest.raises(WrongState):
            await world.authority.report(ticket.id, event, {})
    await world.authority.deliver(ticket.id)
    assert (await world.authority.report(ticket.id, Event.REPORT_UNKNOWN, {})).state is State.UNKNOWN
    with pytest.raises(WrongState):
        await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {})
    assert (await world.authority.report(ticket.id, Event.FIND_NOT_EXECUTED, {})).state is State.NOT_EXECUTED
    with pytest.raises(WrongState):
        await world.authority.report(ticket.id, Event.FIND_EXECUTED, {})
    with pytest.raises(UnknownTicket):
        await world.authority.report("cf_unknown", Event.REPORT_EXECUTED, {})


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ([Event.REPORT_EXECUTED], [EXECUTED]),
        ([Event.REPORT_UNKNOWN], [UNCERTAIN]),
        ([Event.REPORT_UNKNOWN, Event.FIND_EXECUTED], [UNCERTAIN, EXECUTED]),
        ([Event.REPORT_UNKNOWN, Event.FIND_NOT_EXECUTED], [UNCERTAIN, NOT_DONE]),
        ([Event.REPORT_NOT_EXECUTED], []),
    ],
)
async def test_T53_the_holder_is_told_of_every_execution(world: World, path: list[Event], told: list[str]) -> None:
    ticket = await approved(world)
    await world.authority.deliver(ticket.id)
    for event in path:
        await world.authority.report(ticket.id, event, {})
    sent = [(notice.kind, notice.address) for notice in await world.store.notices(ticket.id)]
    assert sorted(each for each in sent if each[0] in (EXECUTED, UNCERTAIN, NOT_DONE)) == sorted(
        (kind, address) for kind in told for address in ("ann@example.com", "fil@example.com")
    )


async def test_T53_the_old_and_the_new_channel_are_told(world: World) -> None:
    ticket = await approved(world)
    await world.authority.deliver(ticket.id)
    world.shop.email = "thief@example.com"
    await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {})
    sent = {notice.address for notice in await world.store.notices(ticket.id) if notice.kind == EXECUTED}
    assert sent == {"ann@example.com", "fil@example.com", "thief@example.com"}


async def test_T53_records_that_fail_do_not_stop_a_report(world: World) -> None:
    ticket = await approved(world)
    await world.authority.deliver(ticket.id)
    world.shop.broken = True
    assert (await world.authority.report(ticket.id, Event.REPORT_EXECUTED, {})).state is State.EXECUTED
    sent = {notice.address for notice in await world.store.notices(ticket.id) if notice.kind == EXECUTED}
    assert sent == {"ann@example.com", "fil@example.com"}


async def test_the_order_names_the_executor_that_was_frozen(world: World) -> None:
    ticket = await approved(world)
    world.authority.executor = "executor:evil"
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    claims = parse_strict(unb64(delivered[1].split(".")[1]))
    assert isinstance(claims, dict)
    assert claims["aud"] == EXECUTOR
    assert (claims["redeemed_at"], claims["run_by"]) == (START, START + 300)
