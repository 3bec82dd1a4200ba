"""An outcome that nobody knows is settled by a signed statement of staff, once, and by nobody else (T01, T05, T51, T53;
invariants 4, 8 and 11)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from capabilities.world import START, World, signed_by
from counterfoil.authority import Requester
from counterfoil.canonical import b64
from counterfoil.desk import Desk
from counterfoil.errors import (
    BadArguments,
    CounterfoilError,
    Expired,
    LinkRefused,
    StatementRefused,
    Suspended,
    TamperDetected,
    UnknownTicket,
    WrongState,
)
from counterfoil.evidence import SignedStatement
from counterfoil.judgement import signed_statement
from counterfoil.recipients import EXECUTED, NOT_DONE, SETTLE, UNCERTAIN
from counterfoil.settlement import HAPPENED
from counterfoil.settlement_verbs import NONCE, nonce_digest, settlement_digest
from counterfoil.statements import APPROVE_NAMESPACE, DECLINE_NAMESPACE, Found, Settlement, Statement, challenge
from counterfoil.store import Secret
from counterfoil.tickets import STOPPABLE, Event, State, Ticket

Outcome = dict[str, Any]

FINDINGS: tuple[Found, ...] = ("executed", "not_executed")


def outcome(ticket: Ticket) -> Outcome:
    value: Outcome = json.loads(ticket.outcome or "{}")
    return value


async def kinds(world: World, ticket: Ticket, kind: str) -> list[str]:
    return [notice.recipient for notice in await world.store.notices(ticket.id) if notice.kind == kind]


async def forged(
    world: World, ticket: Ticket, signer: str = "fay", /, by: str = "fay", **changes: Any
) -> SignedStatement:
    """A settlement with fields that the authority never wrote, signed by the signer's own passkey, whose nonce an
    attacker with the database has put there: every other check must hold by itself. It is made of a genuine one of
    ``by``."""
    genuine = await world.finding(ticket, by)
    settlement = Settlement.from_bytes(genuine.statement).changed(
        **{"person": signer, "credential": world.passkeys[signer].credential, "nonce": b64(b"f" * 32)} | changes
    )
    body = settlement.to_bytes()
    data = {"statement": settlement_digest(body)}
    await world.store.put_secret(Secret(NONCE, nonce_digest(settlement.nonce), ticket.id, data, START + 10**6))
    return SignedStatement(body, world.passkeys[signer].sign(settlement.challenge))


SET_BACK = """
UPDATE ticket SET state = 'unknown', ended_at = NULL, outcome = '{"reason":"The connector hung."}'
WHERE state = 'executed'
"""


def edit(world: World, *statements: str) -> None:
    """What somebody with the database file can do."""
    with sqlite3.connect(world.path, timeout=60) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


async def refused(world: World, ticket: Ticket, signed: SignedStatement, kind: type[CounterfoilError]) -> str:
    """The refusal's words; and nothing was changed."""
    leaves, before = len(await world.store.leaves()), await world.now(ticket)
    with pytest.raises(kind) as caught:
        await world.authority.settle(ticket.id, signed)
    assert await world.now(ticket) == before
    assert len(await world.store.leaves()) == leaves
    assert await world.store.settlement(ticket.id) is None
    return str(caught.value)


# What happens when all is well ----------------------------------------------------------------------------------------


async def test_a_person_signs_that_it_happened_and_the_holder_is_told(world: World) -> None:
    ticket = await world.unknown()
    told = await kinds(world, ticket, UNCERTAIN)
    settled = await world.settle(ticket, "fay", "executed", "  RF-2291 ")
    assert settled.state is State.EXECUTED
    assert settled.ended_at == START
    assert outcome(settled) == {"receipt": {"reference": "RF-2291", "summary": HAPPENED}, "settled": True}
    assert await kinds(world, ticket, EXECUTED) == told
    recorded = await world.store.settlement(ticket.id)
    assert recorded is not None
    assert (recorded.person, recorded.seat, recorded.found, recorded.reference) == (
        "fay", "staff:finance", "executed", "RF-2291",
    )  # fmt: skip
    assert Settlement.from_bytes(recorded.statement).reference == "RF-2291"


async def test_a_person_signs_that_it_did_not_happen_and_the_holder_is_told(world: World) -> None:
    ticket = await world.unknown()
    told = await kinds(world, ticket, UNCERTAIN)
    settled = await world.settle(ticket, "fay", "not_executed", "looked in the ledger")
    assert settled.state is State.NOT_EXECUTED
    assert await kinds(world, ticket, NOT_DONE) == told
    assert await kinds(world, ticket, EXECUTED) == []
    assert "looked in the ledger" not in (settled.outcome or "")


async def test_without_a_reference_the_outcome_has_none(world: World) -> None:
    assert "reference" not in outcome(await world.settle(await world.unknown(), reference="  "))["receipt"]


async def test_nothing_that_is_recorded_as_outcome_says_who_it_was(world: World) -> None:
    for found in FINDINGS:
        ticket = await world.unknown(order_id="O-1", amount={"value": f"{len(found)}.00", "currency": "EUR"})
        settled = await world.settle(ticket, "fay", found)
        assert "fay" not in (settled.outcome or "").lower()


async def test_invariant_8_the_step_and_the_signature_are_one_leaf(world: World) -> None:
    ticket = await world.unknown()
    before = len(await world.store.leaves())
    signed = await world.finding(ticket, "fay", "not_executed")
    await world.authority.settle(ticket.id, signed)
    [leaf] = await world.store.leaves(after=before - 1)
    assert (leaf.event, leaf.ticket) == ("find_not_executed", ticket.id)
    opened = json.loads(leaf.opening or b"")["groups"]
    assert opened == {
        "statement": settlement_digest(signed.statement),
        "seat": "staff:finance",
        "found": "not_executed",
        "person": "fay",
    }
    assert b"fay" not in leaf.body
    await world.store.verify_log()


async def test_the_settlement_stays_verifiable_from_what_is_stored(world: World) -> None:
    ticket = await world.unknown()
    await world.settle(ticket, "fay")
    with sqlite3.connect(world.path) as database:
        [(statement, assertion)] = database.execute("SELECT statement, assertion FROM settlement").fetchall()
    database.close()
    assert json.loads(assertion)["credential"] == world.passkeys["fay"].credential
    assert Settlement.from_bytes(statement).person == "fay"


# Who is asked ---------------------------------------------------------------------------------------------------------


async def test_an_unknown_outcome_asks_everybody_who_may_settle_it(world: World) -> None:
    ticket = await world.unknown()
    # fil holds the account, ida has another role, ann and ben are no staff.
    assert sorted(await kinds(world, ticket, SETTLE)) == ["fay", "fox", "ivo"]
    drafts = [notice for notice in await world.store.notices(ticket.id) if notice.kind == SETTLE]
    assert {notice.seat for notice in drafts} == {"staff:finance"}


async def test_an_outcome_that_is_known_asks_nobody(world: World) -> None:
    for event in (Event.REPORT_EXECUTED, Event.REPORT_NOT_EXECUTED):
        amount = {"value": f"{len(event)}.00", "currency": "EUR"}
        ticket = await world.approve(await world.request(amount=amount), "ann")
        await world.authority.deliver(ticket.id)
        await world.authority.report(ticket.id, event, {})
        assert await kinds(world, ticket, SETTLE) == []


async def test_an_operation_may_name_another_role_than_its_desk(world: World) -> None:
    ticket = await world.unknown("close_account")
    assert sorted(await kinds(world, ticket, SETTLE)) == ["ida", "ivo"]
    with pytest.raises(LinkRefused):
        await world.finding(ticket, "fay")
    assert (await world.settle(ticket, "ida")).state is State.EXECUTED


async def test_where_the_desk_names_nobody_nobody_is_asked_and_nobody_may(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    world.desk.settled_by = None
    assert "by hand" in await refused(world, ticket, signed, StatementRefused)
    with pytest.raises(LinkRefused):
        await world.authority.settlement_view(ticket.id, "fay")
    assert await world.authority.settlers(ticket) == (None, ())
    assert await world.authority.ask_settlers(ticket.id) == ()
    other = await world.unknown(amount={"value": "1.00", "currency": "EUR"})
    assert await kinds(world, other, SETTLE) == []


async def test_they_can_be_asked_again_while_the_outcome_is_unknown(world: World) -> None:
    ticket = await world.unknown()
    assert sorted(await world.authority.ask_settlers(ticket.id)) == ["fay", "fox", "ivo"]
    assert len(await kinds(world, ticket, SETTLE)) == 6
    await world.settle(ticket)
    with pytest.raises(WrongState, match="is executed"):
        await world.authority.ask_settlers(ticket.id)
    with pytest.raises(UnknownTicket):
        await world.authority.ask_settlers("cf_none")


# T05: who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["ann", "ben", "ida", "fil", "nobody"])
async def test_T05_only_eligible_staff_see_it_or_are_offered_a_statement(world: World, person: str) -> None:
    ticket = await world.unknown()
    credential = world.passkeys["fay"].credential
    with pytest.raises(LinkRefused):
        await world.authority.settlement_view(ticket.id, person)
    with pytest.raises(LinkRefused):
        await world.authority.prepare_settlement(ticket.id, person, credential, "executed")


@pytest.mark.parametrize(
    ("person", "words"), [("ida", "role finance"), ("ann", "role finance"), ("fil", "stand behind")]
)
async def test_T05_a_settlement_of_anybody_else_is_refused(world: World, person: str, words: str) -> None:
    ticket = await world.unknown()
    assert words in await refused(world, ticket, await forged(world, ticket, person), StatementRefused)


@pytest.mark.parametrize("behind", [Requester("agent", owner="fox"), Requester("agent", actor="fox")])
async def test_T05_whoever_stands_behind_the_request_never_settles_it(world: World, behind: Requester) -> None:
    ticket = await world.unknown(by=behind)
    assert "fox" not in await kinds(world, ticket, SETTLE)
    with pytest.raises(LinkRefused):
        await world.finding(ticket, "fox")
    assert "stand behind" in await refused(world, ticket, await forged(world, ticket, "fox"), StatementRefused)
    assert (await world.settle(ticket, "fay")).state is State.EXECUTED


async def approved_by_staff_and_unknown(world: World, amount: str = "400.00") -> Ticket:
    """A refund so large that fay of finance approved it too, of which nobody knows what came."""
    asked = await world.request(amount={"value": amount, "currency": "EUR"})
    ticket = await world.approve(asked, "ann", "fay")
    assert await world.authority.deliver(ticket.id) is not None
    return await world.authority.report(ticket.id, Event.REPORT_UNKNOWN, {"reason": "The connector hung."})


async def test_invariant_5_who_approved_as_staff_neither_settles_nor_is_asked(world: World) -> None:
    ticket = await approved_by_staff_and_unknown(world)
    assert sorted(await kinds(world, ticket, SETTLE)) == ["fox", "ivo"]
    assert await world.authority.settlers(ticket) == ("finance", ("fox", "ivo"))
    for found in FINDINGS:
        with pytest.raises(LinkRefused):
            await world.finding(ticket, "fay", found)
    signed = await forged(world, ticket, "fay", by="fox")
    assert "approved it yourself" in await refused(world, ticket, signed, StatementRefused)
    assert (await world.settle(ticket, "fox")).state is State.EXECUTED


async def test_T40_nor_after_erasing_that_they_approved(world: World) -> None:
    ticket = await approved_by_staff_and_unknown(world)
    edit(world, "DELETE FROM statement WHERE person = 'fay'")
    with pytest.raises(TamperDetected):
        await world.settle(ticket, "fay", "not_executed")
    assert (await world.now(ticket)).state is State.UNKNOWN


async def test_T45_who_approved_does_not_give_the_days_limit_back_alone(world: World) -> None:
    """Of 500 EUR a day that one of finance may approve, fay approved 400 and would like to approve 400 again."""
    ticket = await approved_by_staff_and_unknown(world)
    with pytest.raises(LinkRefused):
        await world.settle(ticket, "fay", "not_executed")
    again = await world.request(amount={"value": "401.00", "currency": "EUR"})
    again = await world.approve(again, "ann", "fay")
    assert [rung.staff for rung in again.envelope.requirements] == [{"finance": 2}]
    assert again.state is State.PENDING


@pytest.mark.parametrize("seat", ["holder", "staff:identity", "staff:", "finance"])
async def test_invariant_4_another_seat_settles_nothing(world: World, seat: str) -> None:
    ticket = await world.unknown()
    person = {"holder": "ann", "staff:identity": "ida"}.get(seat, "fay")
    assert "this role" in await refused(world, ticket, await forged(world, ticket, person, seat=seat), StatementRefused)


async def test_somebody_who_left_meanwhile_settles_nothing(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    await world.end("person", "fay")
    await refused(world, ticket, signed, StatementRefused)
    with pytest.raises(LinkRefused):
        await world.authority.settlement_view(ticket.id, "fay")


async def test_a_suspended_person_settles_nothing_and_a_suspended_account_is_no_bar(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    await world.authority.suspend("person:fay", "left")
    await refused(world, ticket, signed, Suspended)
    with pytest.raises(Suspended):
        await world.finding(ticket, "fay")
    await world.authority.suspend("account:A-1", "odd")
    assert (await world.settle(ticket, "fox")).state is State.EXECUTED


# The statement --------------------------------------------------------------------------------------------------------


async def test_a_settlement_counts_once(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    await world.authority.settle(ticket.id, signed)
    with pytest.raises(WrongState):
        await world.authority.settle(ticket.id, signed)


async def test_a_settlement_that_the_authority_never_made_is_refused(world: World) -> None:
    ticket = await world.unknown()
    genuine = Settlement.from_bytes((await world.finding(ticket, "fay")).statement)
    for changes in ({"nonce": b64(b"x" * 32)}, {"found": "not_executed"}, {"reference": "RF-1"}):
        changed = genuine.changed(**changes)
        signed = SignedStatement(changed.to_bytes(), world.passkeys["fay"].sign(changed.challenge))
        assert "used before" in await refused(world, ticket, signed, StatementRefused)


async def test_a_nonce_of_another_ticket_or_of_a_decision_is_none(world: World) -> None:
    ticket = await world.unknown()
    other = await world.unknown(amount={"value": "1.00", "currency": "EUR"})
    signed = await forged(world, ticket)
    nonce = nonce_digest(b64(b"f" * 32))
    data = {"statement": settlement_digest(signed.statement)}
    await world.store.put_secret(Secret(NONCE, nonce, other.id, data, START + 600))
    await refused(world, ticket, signed, StatementRefused)
    await world.store.take_secret(NONCE, nonce)
    await world.store.put_secret(Secret("nonce", nonce, ticket.id, data, START + 600))
    await refused(world, ticket, signed, StatementRefused)


async def test_T11_a_settlement_lives_ten_minutes(world: World) -> None:
    ticket = await world.unknown()
    late = await world.finding(ticket, "fay")
    kept = await forged(world, ticket)
    world.clock.at += 600
    await refused(world, ticket, late, StatementRefused)
    assert "too late" in await refused(world, ticket, kept, Expired)
    assert (await world.settle(ticket, "fay")).state is State.EXECUTED


async def test_its_times_lie_after_the_effect_could_begin_and_no_longer_than_ten_minutes_apart(world: World) -> None:
    approved = await world.approve(await world.request(), "ann")
    world.clock.at += 60
    assert await world.authority.deliver(approved.id) is not None
    ticket = await world.authority.report(approved.id, Event.REPORT_UNKNOWN, {})
    assert (ticket.requested_at, ticket.redeemed_at) == (START, START + 60)
    for iat, exp in ((START + 59, START + 600), (START + 60, START + 661), (START + 61, START + 61)):
        signed = await forged(world, ticket, iat=iat, exp=exp)
        assert "times" in await refused(world, ticket, signed, StatementRefused)


async def test_a_settlement_of_the_future_is_refused(world: World) -> None:
    ticket = await world.unknown()
    signed = await forged(world, ticket, iat=START + 1, exp=START + 500)
    await refused(world, ticket, signed, Expired)
    world.clock.at += 1
    assert (await world.authority.settle(ticket.id, signed)).state is State.EXECUTED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"issuer": "https://other.example"}, "another request"),
        ({"envelope": "other"}, "another request"),
        ({"display": "other"}, "was to be shown"),
        ({"person": "fox"}, "this person"),
        ({"credential": "b3RoZXI"}, "this person"),
    ],
)
async def test_invariant_4_a_settlement_is_for_one_ticket_one_page_and_one_person(
    world: World, changes: dict[str, str], words: str
) -> None:
    ticket = await world.unknown()
    assert words in await refused(world, ticket, await forged(world, ticket, **changes), StatementRefused)


async def test_invariant_4_a_settlement_of_another_ticket_is_refused(world: World) -> None:
    ticket = await world.unknown()
    other = await world.unknown(amount={"value": "1.00", "currency": "EUR"})
    assert "another request" in await refused(world, ticket, await world.finding(other, "fay"), StatementRefused)


async def test_a_passkey_has_to_sign_it(world: World) -> None:
    ticket = await world.unknown()
    settlement = Settlement.from_bytes((await world.finding(ticket, "fay")).statement)
    other = world.passkeys["fox"].sign(settlement.challenge, credential=world.passkeys["fay"].credential)
    await refused(world, ticket, SignedStatement(settlement.to_bytes(), other), StatementRefused)


@pytest.mark.parametrize("namespace", [APPROVE_NAMESPACE, DECLINE_NAMESPACE, "git", ""])
async def test_T51_a_signature_of_another_meaning_settles_nothing(world: World, namespace: str) -> None:
    ticket = await world.unknown()
    body = (await world.finding(ticket, "fay")).statement
    signed = SignedStatement(body, world.passkeys["fay"].sign(challenge(namespace, body)))
    assert "signed something else" in await refused(world, ticket, signed, StatementRefused)


async def test_T51_an_approval_settles_nothing_and_a_settlement_approves_nothing(world: World) -> None:
    ticket = await world.unknown()
    for stored in await world.store.statements(ticket.id):
        assert "cannot be read" in await refused(world, ticket, signed_statement(stored), StatementRefused)
    pending = await world.request(amount={"value": "90.00", "currency": "EUR"})
    with pytest.raises(StatementRefused, match="cannot be read"):
        await world.authority.decide(pending.id, await world.finding(ticket, "fay"))
    statement = Statement(
        issuer="i", envelope="e", display="d", seat="holder", person="ann", credential="c", decision="approve",
        code=None, nonce="n", iat=1, exp=2,
    )  # fmt: skip
    await refused(world, ticket, signed_by(world.passkeys["ann"], statement), StatementRefused)


# What is shown --------------------------------------------------------------------------------------------------------


async def test_the_page_shows_the_request_and_what_is_known(world: World) -> None:
    ticket = await world.unknown()
    view = await world.authority.settlement_view(ticket.id, "fay")
    assert (view.seat, view.can_settle, view.settled) == ("staff:finance", True, None)
    assert view.content["idempotency_key"] == ticket.id
    assert view.content["started_at"] == ticket.redeemed_at
    assert view.content["reason"] == "The connector hung."
    request = view.content["request"]
    assert request["operation"] == "Refund"
    assert {entry["label"] for entry in request["facts"]} >= {"Fraud score", "Locked"}
    amount = next(entry for entry in request["arguments"] if entry["label"] == "Amount")
    assert (amount["known"][0]["before"], amount["known"][0]["after"]) == ("1000.00", "less")


async def test_T21_what_hides_in_the_reason_is_spelled_out(world: World) -> None:
    ticket = await world.approve(await world.request(), "ann")
    assert await world.authority.deliver(ticket.id) is not None
    await world.authority.report(ticket.id, Event.REPORT_UNKNOWN, {"reason": "Failed: \u202egnuh rotcennoc"})
    view = await world.authority.settlement_view(ticket.id, "fay")
    assert view.content["reason"] == "Failed: \\u{202E}gnuh rotcennoc"


async def test_what_was_shown_must_still_be_so_when_it_is_signed(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    edit(world, 'UPDATE ticket SET outcome = \'{"reason":"something else"}\'')
    assert "was to be shown" in await refused(world, ticket, signed, StatementRefused)


async def test_a_request_that_was_edited_in_the_database_is_neither_shown_nor_settled(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay")
    edit(world, "UPDATE ticket SET account = 'A-2'")
    with pytest.raises(TamperDetected):
        await world.authority.settlement_view(ticket.id, "fay")
    with pytest.raises(TamperDetected):
        await world.authority.settle(ticket.id, signed)
    assert (await world.now(ticket)).state is State.UNKNOWN


async def test_T40_a_row_that_was_set_back_to_unknown_is_neither_shown_nor_settled(world: World) -> None:
    ticket = await world.unknown()
    fay, fox = await world.finding(ticket, "fay"), await world.finding(ticket, "fox", "not_executed")
    await world.authority.settle(ticket.id, fay)
    never_unknown = await in_state(world, State.EXECUTED, amount="1.00")
    edit(world, SET_BACK)
    for each in (ticket, never_unknown):
        assert (await world.now(each)).state is State.UNKNOWN
        with pytest.raises(TamperDetected):
            await world.finding(each, "fox", "not_executed")
    with pytest.raises(TamperDetected):
        await world.authority.settle(ticket.id, fox)
    assert (await world.now(ticket)).state is State.UNKNOWN


@pytest.mark.parametrize(
    "mended",
    [
        "UPDATE leaf SET event = 'report_unknown' WHERE event = 'report_executed'",
        "UPDATE leaf SET body = CAST(replace(body, 'report_executed', 'report_unknown') AS BLOB)",
        "DELETE FROM leaf WHERE event = 'report_executed'",
        "DELETE FROM leaf WHERE event = 'redeem'",
        "UPDATE leaf SET ticket = NULL",
    ],
)
async def test_T40_nor_where_its_leaves_were_edited_to_agree(world: World, mended: str) -> None:
    ticket = await in_state(world, State.EXECUTED)
    edit(world, SET_BACK, mended)
    with pytest.raises(TamperDetected):
        await world.settle(ticket, "fay", "not_executed")
    assert await world.store.settlement(ticket.id) is None


async def test_T40_another_tickets_leaf_makes_no_outcome_unknown(world: World) -> None:
    ticket = await in_state(world, State.EXECUTING)
    await world.unknown(amount={"value": "1.00", "currency": "EUR"})
    filed = f"UPDATE leaf SET ticket = '{ticket.id}' WHERE event = 'report_unknown'"
    edit(world, SET_BACK.replace("'executed'", "'executing'"), filed)
    assert [leaf.event for leaf in await world.store.leaves(ticket=ticket.id)][-2:] == ["redeem", "report_unknown"]
    with pytest.raises(TamperDetected):
        await world.settle(ticket, "fay", "not_executed")


async def test_what_is_settled_while_somebody_looks_at_it_is_no_forgery(world: World) -> None:
    as_it_was_read = await world.unknown()
    await world.settle(as_it_was_read)
    with pytest.raises(WrongState, match="settled already"):
        await world.authority._check_untouched(as_it_was_read)


@pytest.mark.parametrize("removed", [False, True])
async def test_a_request_whose_operation_changed_can_still_be_settled(world: World, removed: bool) -> None:
    ticket = await world.unknown()
    if removed:
        del world.desk.operations["refund"]
    else:
        world.desk.operations["refund"].__dict__["digest"] = "changed since"
    request = (await world.authority.settlement_view(ticket.id, "fay")).content["request"]
    assert request["operation"] == "Refund"
    assert ("Amount", "49.00 EUR") in [(entry["label"], entry["value"]) for entry in request["arguments"]]
    assert {entry["label"] for entry in request["facts"]} == {"Order", "Account age", "Locked", "Fraud"}
    assert {entry["label"]: (entry["before"], entry["after"]) for entry in request["changes"]} == {
        "Refundable": ("1000.00", "less"),
        "Address": ("Old Street 1", "Old Street 1"),
    }
    assert request["account"] == "A-1"
    assert (await world.settle(ticket, "fay")).state is State.EXECUTED


async def test_T21_letters_that_look_alike_are_warned_of_also_where_the_operation_changed(world: World) -> None:
    world.shop.orders["p\u0430ypal"] = world.shop.orders["O-1"]
    amount = {"value": "20.00", "currency": "EUR"}
    tickets = [await world.unknown(order_id=order, amount=amount) for order in ("O-1", "p\u0430ypal")]
    del world.desk.operations["refund"]
    warnings = []
    for ticket in tickets:
        entries = (await world.authority.settlement_view(ticket.id, "fay")).content["request"]["arguments"]
        warnings.append({entry["label"]: entry.get("warning") for entry in entries}["Order id"])
    assert warnings[0] is None
    assert "look alike" in warnings[1]


async def test_a_changed_settler_voids_no_ticket(world: World) -> None:
    pending = await world.request()
    world.desk.settled_by = "identity"
    world.desk.operations["refund"].settled_by = "identity"
    del world.desk.operations["refund"].__dict__["digest"]
    ticket = await world.approve(pending, "ann")
    assert await world.authority.deliver(ticket.id) is not None


@pytest.mark.parametrize("text", ["x" * 201, "RF\u202e1", "a\nb", "tab\there"])
async def test_a_reference_that_people_cannot_read_is_refused(world: World, text: str) -> None:
    ticket = await world.unknown()
    with pytest.raises(BadArguments):
        await world.finding(ticket, "fay", "executed", text)


async def test_a_reference_is_signed_in_one_spelling(world: World) -> None:
    ticket = await world.unknown()
    settled = await world.settle(ticket, "fay", "executed", " Zu\u0308rich 7 ")
    assert outcome(settled)["receipt"]["reference"] == "Z\u00fcrich 7"


# When -----------------------------------------------------------------------------------------------------------------


async def in_state(world: World, state: State, amount: str = "49.00") -> Ticket:
    ticket = await world.request(amount={"value": amount, "currency": "EUR"})
    if state is State.PENDING:
        return ticket
    ticket = await world.approve(ticket, "ann")
    if state is State.APPROVED:
        return ticket
    await world.authority.deliver(ticket.id)
    ends = {State.EXECUTED: Event.REPORT_EXECUTED, State.NOT_EXECUTED: Event.REPORT_NOT_EXECUTED}
    if state in ends:
        await world.authority.report(ticket.id, ends[state], {})
    return await world.now(ticket)


@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED, State.EXECUTING, State.EXECUTED, State.NOT_EXECUTED])
async def test_only_an_unknown_outcome_is_settled(world: World, state: State) -> None:
    signed = await world.finding(await world.unknown(amount={"value": "1.00", "currency": "EUR"}), "fay")
    ticket = await in_state(world, state)
    assert ticket.state is state
    early = LinkRefused if state in STOPPABLE else WrongState
    with pytest.raises(early) as caught:
        await world.finding(ticket, "fay")
    assert await refused(world, ticket, signed, early) == str(caught.value)
    if early is WrongState:
        assert ("carried out at this moment" in str(caught.value)) is (state is State.EXECUTING)
        assert ("settled already" in str(caught.value)) is (state is not State.EXECUTING)


@pytest.mark.parametrize("first", [lambda fay, fox: (fay, fox), lambda fay, fox: (fox, fay)])
async def test_of_two_people_at_the_same_moment_one_settles_and_the_other_is_told(
    world: World, first: Callable[[Any, Any], tuple[Any, Any]]
) -> None:
    ticket = await world.unknown()
    fay = await world.finding(ticket, "fay", "executed")
    fox = await world.finding(ticket, "fox", "not_executed")
    answers = await asyncio.gather(
        *(world.authority.settle(ticket.id, signed) for signed in first(fay, fox)), return_exceptions=True
    )
    [won] = [answer for answer in answers if isinstance(answer, Ticket)]
    [lost] = [answer for answer in answers if not isinstance(answer, Ticket)]
    assert isinstance(lost, WrongState)
    recorded = await world.store.settlement(ticket.id)
    assert recorded is not None
    assert recorded.found == won.state.value
    assert [leaf.event for leaf in await world.store.leaves(ticket=ticket.id)].count(f"find_{won.state.value}") == 1
    assert await world.now(ticket) == won


async def test_of_a_person_and_a_lookup_at_the_same_moment_one_settles(world: World) -> None:
    ticket = await world.unknown()
    signed = await world.finding(ticket, "fay", "not_executed")
    found = await asyncio.gather(
        world.authority.report(ticket.id, Event.FIND_EXECUTED, {"receipt": {"reference": "R-1"}}),
        world.authority.settle(ticket.id, signed),
        return_exceptions=True,
    )
    assert sorted(isinstance(answer, WrongState) for answer in found) == [False, True]
    by_person = await world.store.settlement(ticket.id) is not None
    assert (await world.now(ticket)).state is (State.NOT_EXECUTED if by_person else State.EXECUTED)
    view = await world.authority.settlement_view(ticket.id, "fox")
    assert not view.can_settle
    with pytest.raises(WrongState, match="settled already"):
        await world.finding(ticket, "fox")


async def test_a_ticket_that_nobody_knows_is_refused_like_a_foreign_one(world: World) -> None:
    signed = await world.finding(await world.unknown(), "fay")
    with pytest.raises(LinkRefused):
        await world.authority.settle("cf_none", signed)
    with pytest.raises(LinkRefused):
        await world.authority.settlement_view("cf_none", "fay")


async def test_a_desk_names_settlers_among_its_own_roles(world: World) -> None:
    for desk in (
        Desk("A", directory=world.shop, roles=["finance"], settled_by="legal"),
        Desk("B", directory=world.shop, settled_by="finance"),
    ):
        with pytest.raises(CounterfoilError, match="no role that the desk lists"):
            desk.check()
    world.desk.operations["refund"].settled_by = "legal"
    with pytest.raises(CounterfoilError, match="legal"):
        world.desk.check()
