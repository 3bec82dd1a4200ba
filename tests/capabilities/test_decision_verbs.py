"""People look, sign, decline and object; a ticket goes on or ends (T01, T05, T08 to T12, T26, T27, T53)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from capabilities.world import START, Passkey, World, signed_by
from counterfoil.authority import Requester
from counterfoil.canonical import b64, digest
from counterfoil.decision_verbs import nonce_digest
from counterfoil.errors import (
    CodeRefused,
    CounterfoilError,
    Expired,
    LinkRefused,
    PolicyRefuses,
    StatementRefused,
    Suspended,
    UnknownTicket,
    WrongState,
)
from counterfoil.evidence import SignedStatement
from counterfoil.recipients import OBJECT
from counterfoil.rungs import Rung
from counterfoil.scopes import pair
from counterfoil.statements import Statement
from counterfoil.store import Secret
from counterfoil.tickets import State, Ticket


def money(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


async def large(world: World) -> Ticket:
    """A refund that needs the holder and two of finance."""
    return await world.request(amount=money("900.00"))


# View -----------------------------------------------------------------------------------------------------------------


async def test_T01_only_those_whom_it_concerns_see_a_ticket(world: World) -> None:
    ticket = await large(world)
    assert (await world.authority.view(ticket.id, "ann")).seat == "holder"
    assert (await world.authority.view(ticket.id, "fay")).seat == "staff:finance"
    said = set()
    for name, person in ((ticket.id, "ben"), (ticket.id, "ida"), (ticket.id, "nobody"), ("cf_unknown", "ann")):
        with pytest.raises(LinkRefused) as caught:
            await world.authority.view(name, person)
        said.add(str(caught.value))
    assert len(said) == 1


async def test_T01_an_ended_person_sees_nothing(world: World) -> None:
    ticket = await large(world)
    await world.end("person", "fay")
    with pytest.raises(LinkRefused):
        await world.authority.view(ticket.id, "fay")


async def test_a_view_says_what_the_person_may_do(world: World) -> None:
    ticket = await large(world)
    view = await world.authority.view(ticket.id, "ann")
    assert (view.needs_code, view.can_approve, view.can_decline, view.decision) == (True, True, True, None)
    assert not (await world.authority.view(ticket.id, "fay")).needs_code
    await world.approve(ticket, "ann")
    view = await world.authority.view(ticket.id, "ann")
    assert (view.can_approve, view.can_decline, view.decision) == (False, False, "approve")
    await world.decline(ticket, "fay")
    view = await world.authority.view(ticket.id, "fox")
    assert (view.can_approve, view.can_decline, view.decision) == (False, False, None)
    assert view.ticket.state is State.DECLINED


async def test_T26_a_changed_operation_is_shown_and_signed_no_more(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    operation = world.desk.operations["refund"]
    operation.title = "Give everything away"
    operation.__dict__.pop("digest", None)
    for attempt in (world.authority.view(ticket.id, "ann"), world.authority.decide(ticket.id, signed)):
        with pytest.raises(PolicyRefuses, match="changed"):
            await attempt


async def test_T26_an_operation_that_the_desk_no_longer_has_is_signed_no_more(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    del world.desk.operations["refund"]
    for attempt in (world.authority.view(ticket.id, "ann"), world.authority.decide(ticket.id, signed)):
        with pytest.raises(PolicyRefuses, match="changed"):
            await attempt


# The whole way --------------------------------------------------------------------------------------------------------


async def test_everybody_concerned_approves_and_then_the_ticket_is_approved(world: World) -> None:
    ticket = await large(world)
    for person, state in (("ann", State.PENDING), ("fay", State.PENDING), ("fox", State.APPROVED)):
        assert (await world.approve(ticket, person)).state is state
    assert (await world.authority.advance(ticket.id)).state is State.APPROVED
    with pytest.raises(WrongState):
        await world.sign(ticket, "ivo")


async def test_T05_one_person_never_fills_two_seats(world: World) -> None:
    ticket = await large(world)
    offers = [await world.sign(ticket, "fay"), await world.sign(ticket, "fay")]
    await world.authority.decide(ticket.id, offers[0])
    with pytest.raises(StatementRefused):
        await world.authority.decide(ticket.id, offers[1])
    with pytest.raises(WrongState, match="already"):
        await world.sign(ticket, "fay")


async def test_T05_the_holder_with_a_role_and_whoever_stands_behind_the_agent_are_no_staff(world: World) -> None:
    ticket = await world.request(by=Requester("agent", owner="fay", actor="fox"), amount=money("900.00"))
    assert (await world.authority.view(ticket.id, "fil")).seat == "holder"
    for person in ("fay", "fox"):
        with pytest.raises(LinkRefused):
            await world.sign(ticket, person)
    await world.approve(ticket, "fil", "ivo")
    assert (await world.now(ticket)).state is State.PENDING


async def test_the_holder_at_the_keyboard_approves_without_the_code(world: World) -> None:
    ticket = await world.request(by=Requester("agent", actor="ann"))
    assert not (await world.authority.view(ticket.id, "ann")).needs_code
    offer = await world.authority.prepare(ticket.id, "ann", world.passkeys["ann"].credential, "approve")
    signed = SignedStatement(offer.statement_bytes, world.passkeys["ann"].sign(offer.challenge))
    assert (await world.authority.decide(ticket.id, signed)).state is State.APPROVED


async def test_a_hold_starts_when_everybody_has_signed_and_the_holder_may_object(world: World) -> None:
    ticket = await world.request("close_account")
    await world.approve(ticket, "ida", "ivo")
    held = await world.now(ticket)
    assert (held.state, held.hold_until) == (State.HELD, START + 3600)
    told = [notice for notice in await world.store.notices(ticket.id) if notice.kind == OBJECT]
    assert {notice.address for notice in told} == {"ann@example.com", "fil@example.com"}
    assert (await world.authority.advance(ticket.id)).hold_until == START + 3600
    view = await world.authority.view(ticket.id, "ann")
    assert (view.can_approve, view.can_decline) == (False, True)
    assert (await world.decline(ticket, "ann")).state is State.DECLINED


async def test_a_hold_that_would_outlive_its_ticket_is_not_begun(world: World) -> None:
    for left, state in ((3601, State.HELD), (3600, State.DECLINED)):
        ticket = await world.request("close_account", share=left / 10_000)
        world.clock.at = ticket.expires_at - left
        await world.approve(ticket, "ida")
        decided = await world.approve(ticket, "ivo")
        assert decided.state is state
    assert "too late" in (decided.outcome or "")


async def test_a_holder_who_is_not_asked_can_only_decline(world: World) -> None:
    staff_only = world.with_policy(
        'permit(principal is Agent, action == Action::"close_account", resource) '
        "when { context.staff.identity >= 2 && context.waited >= 3600 };"
    )
    ticket = await staff_only.request(Requester("agent"), "close_account", b'{"account":"A-1"}')
    assert ticket.envelope.requirements == (Rung(staff={"identity": 2}, hold=3600),)
    view = await staff_only.view(ticket.id, "ann")
    assert (view.seat, view.can_approve, view.can_decline) == ("holder", False, True)
    with pytest.raises(WrongState):
        await world.sign(ticket, "ann")
    assert (await world.decline(ticket, "ann")).state is State.DECLINED


async def test_the_holder_declines_what_only_staff_can_approve(world: World) -> None:
    await world.end("credential", world.passkeys["ann"].credential)
    ticket = await world.request("close_account", account="A-2")
    assert (await world.decline(ticket, "ben")).state is State.DECLINED
    refused = await world.request(order_id="O-2")
    assert refused.envelope.requirements == ()
    assert (await world.decline(refused, "fil")).state is State.DECLINED


# One decline is final -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["ann", "fay"])
async def test_invariant_7_one_decline_is_final(world: World, person: str) -> None:
    ticket = await large(world)
    approvals = {name: await world.sign(ticket, name) for name in ("ann", "fay", "fox") if name != person}
    assert (await world.decline(ticket, person)).state is State.DECLINED
    for signed in approvals.values():
        with pytest.raises(WrongState):
            await world.authority.decide(ticket.id, signed)
    assert (await world.authority.advance(ticket.id)).state is State.DECLINED
    with pytest.raises(WrongState):
        await world.authority.mint(ticket.id)


async def test_T12_this_was_not_me_suspends_the_agent_for_the_account_and_ends_what_it_has_there(world: World) -> None:
    ticket, second = await world.request(), await world.request(amount=money("1.00"))
    elsewhere, others = await world.request("close_account", account="A-2"), await world.request(by="other")
    assert (await world.decline(ticket, "ann", disown=True)).state is State.DECLINED
    assert (await world.now(second)).state is State.REVOKED
    assert (await world.now(elsewhere)).state is State.PENDING
    assert (await world.now(others)).state is State.PENDING
    later = await world.request(amount=money("2.00"))
    with pytest.raises(Suspended):
        await world.sign(later, "ann")
    assert [suspended.scope for suspended in await world.store.suspensions()] == ["principal-account:agent|A-1"]


@pytest.mark.parametrize("verb", ["add_statement", "step"])
async def test_T12_whoever_is_disowned_is_barred_before_anything_else_is_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    ticket = await world.request()
    inner, barred = getattr(world.store, verb), []

    async def looks(*arguments: Any, **named: Any) -> Any:
        barred.append([found.scope for found in await world.store.suspensions()])
        return await inner(*arguments, **named)

    monkeypatch.setattr(world.store, verb, looks)
    if verb == "add_statement":
        await world.decline(ticket, "ann", disown=True)
    else:
        await world.authority.veto(ticket.id, disown=True)
    assert barred[0] == [pair("agent", "A-1")]


async def test_a_message_can_stop_a_ticket_and_never_approve_one(world: World) -> None:
    ticket = await world.request("close_account")
    await world.approve(ticket, "ida", "ivo")
    assert (await world.authority.veto(ticket.id, disown=True)).state is State.DECLINED
    assert await world.store.suspensions(["principal-account:agent|A-1"])
    done = await world.approve(await world.request(by="other"), "ann")
    await world.authority.deliver(done.id)
    with pytest.raises(WrongState):
        await world.authority.veto(done.id)
    with pytest.raises(UnknownTicket):
        await world.authority.veto("cf_unknown", disown=True)


async def test_disowning_a_request_for_nobody_touches_nothing_else(world: World) -> None:
    other, nobodys = await world.request(), await world.request(account="A-9")
    assert (await world.authority.veto(nobodys.id, disown=True)).state is State.DECLINED
    assert (await world.now(other)).state is State.PENDING
    assert await world.store.suspensions() == []


async def test_a_suspension_bars_approvals_and_no_objection(world: World) -> None:
    ticket = await world.request("close_account")
    await world.approve(ticket, "ida", "ivo")
    waiting = await world.request()
    signed = await world.sign(waiting, "ann")
    await world.authority.suspend("all", "an incident")
    with pytest.raises(Suspended):
        await world.authority.decide(waiting.id, signed)
    with pytest.raises(Suspended):
        await world.sign(waiting, "ann")
    assert (await world.decline(ticket, "ann")).state is State.DECLINED
    await world.authority.suspend("person:ann", "her key was stolen")
    with pytest.raises(Suspended):
        await world.sign(waiting, "ann", "decline")


@pytest.mark.parametrize(
    "scope",
    [
        "operation:refund",
        "principal:agent",
        "account:A-1",
        "principal-account:agent|A-1",
        "person:ann",
        "conversation:c",
    ],
)
async def test_every_scope_that_covers_a_ticket_bars_its_approval(world: World, scope: str) -> None:
    ticket = await world.request(by=Requester("agent", conversation="c"))
    signed = await world.sign(ticket, "ann")
    await world.authority.suspend(scope, "a test")
    with pytest.raises(Suspended):
        await world.authority.decide(ticket.id, signed)
    assert await world.store.statements(ticket.id) == []


# T08: the statement that was made, once -------------------------------------------------------------------------------


async def test_T08_only_the_statement_that_was_offered_can_be_signed(world: World) -> None:
    ticket = await world.request()
    offer = await world.authority.prepare(
        ticket.id, "ann", world.passkeys["ann"].credential, "approve", world.authority.match_code(ticket.id)
    )
    changes: list[dict[str, Any]] = [
        {"nonce": b64(b"x" * 32)},
        {"exp": offer.statement.exp - 1},
        {"iat": offer.statement.iat + 1, "exp": offer.statement.exp},
        {"decision": "decline"},
        {"person": "fil", "credential": world.passkeys["fil"].credential},
    ]
    for change in changes:
        altered = offer.statement.changed(**change)
        signer = world.passkeys[altered.person]
        with pytest.raises(StatementRefused):
            await world.authority.decide(ticket.id, signed_by(signer, altered))
    assert await world.store.statements(ticket.id) == []
    good = SignedStatement(offer.statement_bytes, world.passkeys["ann"].sign(offer.challenge))
    assert (await world.authority.decide(ticket.id, good)).state is State.APPROVED


async def planted(world: World, ticket: Ticket, *, lives: int = 600, **changes: Any) -> SignedStatement:
    """A statement that ann signed, and its nonce, written into the store by somebody who is not the authority."""
    offer = await world.authority.prepare(
        ticket.id, "ann", world.passkeys["ann"].credential, "approve", world.authority.match_code(ticket.id)
    )
    statement = offer.statement.changed(**{"nonce": b64(b"p" * 32), **changes})
    data = {"statement": digest("counterfoil-statement", statement.to_bytes())}
    expiry = world.store.now() + lives
    await world.store.put_secret(Secret("nonce", nonce_digest(statement.nonce), ticket.id, data, expiry))
    return signed_by(world.passkeys["ann"], statement)


@pytest.mark.parametrize(
    ("changes", "passes", "refusal"),
    [
        ({"code": None}, 0, StatementRefused),
        ({"code": ""}, 0, StatementRefused),
        ({"exp": START + 10}, 10, Expired),
        ({"iat": START + 5}, 0, Expired),
    ],
)
async def test_a_nonce_that_was_planted_makes_no_other_statement_count(
    world: World, changes: dict[str, Any], passes: int, refusal: type[CounterfoilError]
) -> None:
    ticket = await world.request()
    signed = await planted(world, ticket, lives=5000, **changes)
    world.clock.at += passes
    with pytest.raises(refusal):
        await world.authority.decide(ticket.id, signed)
    assert await world.store.statements(ticket.id) == []


async def test_a_planted_nonce_and_an_honest_statement_are_an_approval_by_its_signature_alone(world: World) -> None:
    ticket = await world.request()
    assert (await world.authority.decide(ticket.id, await planted(world, ticket))).state is State.APPROVED


async def test_only_the_holders_approval_holds_the_code(world: World) -> None:
    ticket = await large(world)
    decided = [
        await world.sign(ticket, "fay"),
        await world.sign(ticket, "ann", "decline"),
        await world.sign(ticket, "ann"),
    ]
    codes = [Statement.from_bytes(signed.statement).code for signed in decided]
    assert codes == [None, None, world.authority.match_code(ticket.id)]


async def test_a_signature_is_used_once(world: World) -> None:
    ticket = await large(world)
    signed = await world.sign(ticket, "ann")
    await world.authority.decide(ticket.id, signed)
    with pytest.raises(StatementRefused):
        await world.authority.decide(ticket.id, signed)
    assert len(await world.store.statements(ticket.id)) == 1


async def test_invariant_4_a_signature_for_one_ticket_does_nothing_for_another(world: World) -> None:
    one, other = await world.request(), await world.request(amount=money("1.00"))
    signed = await world.sign(one, "ann")
    with pytest.raises(StatementRefused):
        await world.authority.decide(other.id, signed)
    with pytest.raises(LinkRefused):
        await world.authority.decide("cf_unknown", signed)


@pytest.mark.parametrize("misbehaviour", [{"flags": 0x09}, {"client": {"origin": "https://evil.example"}}])
async def test_T08_a_passkey_that_did_not_verify_its_user_decides_nothing(
    world: World, misbehaviour: dict[str, Any]
) -> None:
    ticket = await world.request()
    offer = await world.authority.prepare(
        ticket.id, "ann", world.passkeys["ann"].credential, "approve", world.authority.match_code(ticket.id)
    )
    sloppy = world.passkeys["ann"].sign(offer.challenge, **misbehaviour)
    with pytest.raises(StatementRefused):
        await world.authority.decide(ticket.id, SignedStatement(offer.statement_bytes, sloppy))
    stranger = Passkey(world.passkeys["ann"].credential).sign(offer.challenge)
    with pytest.raises(StatementRefused):
        await world.authority.decide(ticket.id, SignedStatement(offer.statement_bytes, stranger))


async def test_T11_a_statement_lives_ten_minutes(world: World) -> None:
    ticket = await large(world)
    signed, late = await world.sign(ticket, "ann"), await world.sign(ticket, "fay")
    assert Statement.from_bytes(signed.statement).exp == START + 600
    world.clock.at += 599
    await world.authority.decide(ticket.id, signed)
    world.clock.at += 1
    with pytest.raises((StatementRefused, Expired)):
        await world.authority.decide(ticket.id, late)
    await world.approve(ticket, "fay")


async def test_a_credential_that_ended_after_the_offer_signs_nothing(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    await world.end("credential", world.passkeys["ann"].credential)
    with pytest.raises(StatementRefused):
        await world.authority.decide(ticket.id, signed)


async def test_who_was_ended_after_signing_counts_no_more(world: World) -> None:
    ticket = await large(world)
    await world.approve(ticket, "ann", "fay")
    await world.end("person", "fay")
    with pytest.raises(StatementRefused):
        await world.approve(ticket, "fox")
    assert (await world.now(ticket)).state is State.PENDING


# T10: the code --------------------------------------------------------------------------------------------------------


async def test_T10_three_wrong_codes_decline_the_ticket(world: World) -> None:
    ticket = await world.request()
    for wrong, left in (("", "2 tries are left"), ("12345", "1 try is left")):
        with pytest.raises(CodeRefused, match=left):
            await world.sign(ticket, "ann", code=wrong)
    assert (await world.now(ticket)).state is State.PENDING
    with pytest.raises(CodeRefused, match="three times"):
        await world.sign(ticket, "ann", code="nonsense")
    assert (await world.now(ticket)).state is State.DECLINED
    with pytest.raises(WrongState):
        await world.sign(ticket, "ann")


async def test_T10_guessing_at_the_same_moment_gives_no_more_tries(world: World) -> None:
    ticket = await world.request()
    guesses = await asyncio.gather(
        *(world.sign(ticket, "ann", code=f"{at:05d}x") for at in range(12)), return_exceptions=True
    )
    assert all(isinstance(guess, CounterfoilError) for guess in guesses)
    assert (await world.now(ticket)).state is State.DECLINED


async def test_T10_the_code_of_another_ticket_is_wrong(world: World) -> None:
    ticket, other = await world.request(), await world.request(amount=money("1.00"))
    with pytest.raises(CodeRefused):
        await world.sign(ticket, "ann", code=world.authority.match_code(other.id))


async def test_T10_declining_needs_no_code(world: World) -> None:
    ticket = await world.request()
    assert (await world.authority.decide(ticket.id, await world.sign(ticket, "ann", "decline", code=""))).ended


# T26, T27: what changes meanwhile -------------------------------------------------------------------------------------


async def test_T27_facts_that_changed_before_the_last_approval_end_the_ticket(world: World) -> None:
    ticket = await large(world)
    await world.approve(ticket, "ann", "fay")
    world.shop.orders["O-1"].version = 2
    declined = await world.approve(ticket, "fox")
    assert declined.state is State.DECLINED
    assert "facts have changed" in (declined.outcome or "")


async def test_T27_what_is_only_shown_may_change(world: World) -> None:
    ticket = await world.request()
    world.shop.fraud = 50
    assert (await world.approve(ticket, "ann")).state is State.APPROVED


async def test_T27_facts_that_cannot_be_read_any_more_end_the_ticket(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    world.shop.broken = True
    assert (await world.authority.decide(ticket.id, signed)).state is State.DECLINED


async def test_T43_an_object_that_changed_hands_ends_the_ticket(world: World) -> None:
    ticket = await world.request()
    world.shop.orders["O-1"].account = "A-2"
    assert (await world.approve(ticket, "ann")).state is State.DECLINED


async def test_T26_a_policy_of_today_that_says_no_ends_the_ticket(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    stricter = world.with_policy('@id("never") permit(principal, action, resource) when { false };'.replace(
        "permit(principal, action, resource)", 'permit(principal is Agent, action == Action::"refund", resource)'
    ))  # fmt: skip
    declined = await stricter.decide(ticket.id, signed)
    assert declined.state is State.DECLINED


async def test_T26_a_weaker_policy_does_not_weaken_what_was_frozen(world: World) -> None:
    ticket = await large(world)
    weaker = world.with_policy(
        'permit(principal is Agent, action == Action::"refund", resource) when { context.holder_passkey };'
    )
    signed = await world.sign(ticket, "ann")
    assert (await weaker.decide(ticket.id, signed)).state is State.PENDING
    assert ticket.envelope.requirements == (Rung(holder="passkey", code=True, staff={"finance": 2}),)


# Expiry ---------------------------------------------------------------------------------------------------------------


async def test_invariant_6_an_expired_ticket_takes_no_decision(world: World) -> None:
    ticket = await world.request()
    world.clock.at += 86399
    signed = await world.sign(ticket, "ann")
    world.clock.at += 1
    with pytest.raises((Expired, WrongState)):
        await world.authority.decide(ticket.id, signed)
    assert (await world.authority.status("agent", ticket.id)).state is State.EXPIRED
    with pytest.raises(WrongState):
        await world.sign(ticket, "ann")


async def test_T50_a_clock_that_is_set_back_revives_nothing(world: World) -> None:
    ticket = await world.request()
    signed = await world.sign(ticket, "ann")
    world.clock.at += 86400
    assert world.store.now() == START + 86400
    world.clock.at = START
    with pytest.raises((Expired, StatementRefused, WrongState)):
        await world.authority.decide(ticket.id, signed)
    assert (await world.authority.status("agent", ticket.id)).state is State.EXPIRED


async def test_advancing_an_unknown_ticket_is_refused(world: World) -> None:
    with pytest.raises(UnknownTicket):
        await world.authority.advance("cf_unknown")
