"""What an AI asks for becomes a frozen ticket, and the answer tells nothing (T03, T04, T12, T13, T43, T45, T54)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from capabilities.world import START, Order, World, open_world, roster_leaf
from counterfoil.asking import Question
from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.errors import (
    BadArguments,
    BadJSON,
    CounterfoilError,
    Suspended,
    TooManyRequests,
    UnknownTicket,
    UnknownTool,
    WrongState,
)
from counterfoil.policy import FAILED, Requirements
from counterfoil.recipients import APPROVE, OBJECT
from counterfoil.rungs import Rung
from counterfoil.store import Caps, Counters
from counterfoil.tickets import Signals, State, Ticket

HOLDER_ONLY = Rung(holder="passkey", code=True)


def money(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"value": value, "currency": currency}


async def told(world: World, ticket: Ticket) -> set[tuple[str, str, str]]:
    return {(notice.kind, notice.recipient, notice.address) for notice in await world.store.notices(ticket.id)}


async def test_a_request_is_frozen_as_it_was_made(world: World) -> None:
    requester = Requester("agent", owner="fay", actor="ben", conversation="chat", signals=Signals(tainted=True))
    ticket = await world.request(by=requester, note="He asked nicely.")
    envelope = ticket.envelope
    assert ticket.state is State.PENDING
    assert envelope.arguments == '{"account":"A-1","amount":{"currency":"EUR","value":"49.00"},"order_id":"O-1"}'
    assert (envelope.principal, envelope.owner, envelope.actor) == ("agent", "fay", "ben")
    assert (envelope.conversation, envelope.signals.tainted, envelope.note) == ("chat", True, "He asked nicely.")
    assert (envelope.account, envelope.delivery, envelope.undoes) == ("A-1", "direct", None)
    assert (envelope.requested_at, envelope.expires_at) == (START, START + 86400)
    assert envelope.requirements == (HOLDER_ONLY,)
    assert (envelope.fact_values or {})["guard"] == "v1"
    assert envelope.policy == world.authority.judge.policy.digest
    assert envelope.tool == world.desk.operations["refund"].digest
    assert await world.now(ticket) == ticket


async def test_T04_ids_and_salts_are_random(world: World) -> None:
    world.shop.orders |= {f"X-{at}": Order("A-1") for at in range(4)}
    tickets = [await world.request(order_id=f"X-{at}") for at in range(4)]
    assert len({ticket.id for ticket in tickets}) == 4
    assert len({ticket.envelope.salt for ticket in tickets}) == 4
    assert all(len(ticket.id) == 35 and len(ticket.envelope.salt_bytes) == 32 for ticket in tickets)


async def test_T03_the_account_is_the_one_that_the_organisations_directory_found(world: World) -> None:
    async def find(hint: str) -> Any:
        return "A-1" if hint == "ann@example.com" else None

    world.shop.find = find  # type: ignore[method-assign]
    ticket = await world.request(account="ann@example.com")
    assert ticket.account == "A-1"
    assert ticket.envelope.argument_values["account"] == "ann@example.com"
    assert (await world.request(account="A-1")).account is None


# T04: whose ticket ----------------------------------------------------------------------------------------------------


async def test_T04_a_foreign_ticket_answers_like_an_unknown_one(world: World) -> None:
    ticket = await world.request()
    assert await world.authority.status("agent", ticket.id) == ticket
    said = set()
    for principal, name in (("other", ticket.id), ("agent", "cf_unknown"), ("", ticket.id), ("agent ", ticket.id)):
        for verb in (world.authority.status, world.authority.cancel):
            with pytest.raises(UnknownTicket) as caught:
                await verb(principal, name)
            said.add(str(caught.value))
    assert len(said) == 1
    assert (await world.now(ticket)).state is State.PENDING


async def test_the_requester_cancels_what_waits_and_nothing_later(world: World) -> None:
    ticket = await world.request()
    assert (await world.authority.cancel("agent", ticket.id)).state is State.CANCELLED
    with pytest.raises(WrongState):
        await world.authority.cancel("agent", ticket.id)
    other = await world.approve(await world.request(amount=money("1.00")), "ann")
    await world.authority.deliver(other.id)
    with pytest.raises(WrongState):
        await world.authority.cancel("agent", other.id)


# T12, T13: the same again, and too many -------------------------------------------------------------------------------


async def test_T12_an_equal_request_is_the_same_ticket_whatever_became_of_it(world: World) -> None:
    ticket = await world.request()
    again = await world.request(note="Please!", amount=dict(reversed(money("49.00").items())))
    assert again == ticket
    assert len(await world.store.notices()) == len(await told(world, ticket))
    await world.authority.cancel("agent", ticket.id)
    assert (await world.request()).id == ticket.id
    world.clock.at += 86400
    assert (await world.request()).id != ticket.id


async def test_T12_whoever_or_whatever_differs_makes_another_ticket(world: World) -> None:
    requesters = [Requester("agent"), Requester("other"), Requester("agent", conversation="chat")]
    tickets = [await world.request(by=requester) for requester in requesters]
    tickets.append(await world.request(amount=money("49.01")))
    assert len({ticket.id for ticket in tickets}) == 4


async def test_T13_caps_refuse_the_flooder_and_serve_others(tmp_path: Path) -> None:
    async with open_world(tmp_path, caps=Caps(per_principal=2, per_conversation=1)) as world:
        chat = Requester("agent", conversation="chat")
        first = await world.request(by=chat)
        with pytest.raises(TooManyRequests):
            await world.request(by=chat, amount=money("1.00"))
        await world.request(amount=money("2.00"))
        with pytest.raises(TooManyRequests):
            await world.request(amount=money("3.00"))
        assert (await world.request(by="other")).state is State.PENDING
        await world.authority.cancel("agent", first.id)
        assert (await world.request(amount=money("3.00"))).state is State.PENDING


async def test_T12_a_full_account_asks_its_holder_nothing_more_and_the_AI_does_not_learn_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, caps=Caps(per_account=1)) as world:
        first = await world.request()
        second = await world.request(amount=money("1.00"))
        assert public(second) == public(first)
        assert await told(world, second) == set()
        assert second.envelope.requirements == ()
        with pytest.raises(CounterfoilError):
            await world.sign(second, "ann")
        assert (await world.request(amount=money("1.00"))).id == second.id


# T54: the answer ------------------------------------------------------------------------------------------------------


def public(ticket: Ticket) -> dict[str, object]:
    """What the conversation layer may tell of a ticket that waits: nothing that depends on the account."""
    hidden = {"id", "envelope_bytes", "account", "refusal"}
    return {item.name: getattr(ticket, item.name) for item in fields(ticket) if item.name not in hidden}


def unknown_order(world: World) -> None:
    world.shop.orders.clear()


def locked(world: World) -> None:
    world.shop.locked.add("A-1")


def broken(world: World) -> None:
    world.shop.broken = True


def foreign(world: World) -> None:
    world.shop.orders["O-1"].account = "A-2"


def unsignable(world: World) -> None:
    world.shop.orders["O-1"].refundable = "\ud800"


def huge(world: World) -> None:
    world.shop.fraud = 2**60


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (unknown_order, "no order O-1"),
        (locked, "locked"),
        (broken, "could not be read"),
        (foreign, "does not belong"),
        (unsignable, "cannot be signed"),
        (huge, "cannot be signed"),
    ],
)
async def test_T54_why_nobody_can_approve_is_not_in_the_answer(
    world: World, change: Callable[[World], None], reason: str
) -> None:
    good = await world.request(amount=money("1.00"))
    change(world)
    bad = await world.request()
    assert public(bad) == public(good)
    assert reason in (bad.refusal or "")
    assert bad.envelope.requirements == ()
    view = await world.authority.view(bad.id, "ann")
    assert not view.can_approve
    assert view.can_decline
    if not world.shop.broken:
        assert await told(world, bad) == {(APPROVE, "ann", "ann@example.com"), (APPROVE, "fil", "fil@example.com")}


async def test_T54_an_unknown_account_makes_a_ticket_that_nobody_can_verify(world: World) -> None:
    good, bad = await world.request(), await world.request(account="A-9")
    assert public(bad) == public(good)
    assert bad.account is None
    assert bad.refusal == "The account is not known."
    assert await told(world, bad) == set()
    for person in ("ann", "fay", "ida"):
        with pytest.raises(CounterfoilError):
            await world.authority.view(bad.id, person)


async def test_T54_a_directory_that_fails_finds_nobody(world: World) -> None:
    async def find(hint: str) -> Any:
        raise OSError("the records of Ann Smith cannot be read")

    world.shop.find = find  # type: ignore[method-assign]
    ticket = await world.request()
    assert ticket.account is None
    assert "Ann Smith" not in str(ticket)


@pytest.mark.parametrize("found", [5, True, b"A-1", ["A-1"], "\ud800"], ids=repr)
async def test_a_directory_that_answers_what_is_no_text_finds_nobody(world: World, found: Any) -> None:
    """An envelope with a number for its account could be written, and never be read again."""

    async def find(hint: str) -> Any:
        return found

    world.shop.find = find  # type: ignore[method-assign]
    ticket = await world.request()
    assert ticket.account is ticket.envelope.account is None
    assert await world.now(ticket) == ticket


async def test_an_account_may_be_text_of_a_class_of_the_organisations_own(world: World) -> None:
    class CustomerId(str):
        """An id as some libraries have them."""

    async def find(hint: str) -> Any:
        return CustomerId(hint)

    world.shop.find = find  # type: ignore[method-assign]
    ticket = await world.request()
    assert type(ticket.account) is str
    assert (await world.approve(ticket, "ann")).state is State.APPROVED


async def test_what_could_not_be_read_again_is_not_written(world: World) -> None:
    before = await world.store.leaves()
    owner: Any = 5
    with pytest.raises(ValueError, match=r"Expected `str"):
        await world.request(by=Requester("agent", owner=owner))
    assert await world.store.leaves() == before


async def test_T43_a_request_that_touches_somebody_elses_object_cannot_be_approved(world: World) -> None:
    ticket = await world.request(order_id="O-2")
    assert ticket.account == "A-1"
    assert "does not belong" in (ticket.refusal or "")
    with pytest.raises(WrongState):
        await world.sign(ticket, "ann")


# T45: many small ones -------------------------------------------------------------------------------------------------


async def test_T45_twenty_refunds_of_49_require_what_one_of_980_requires(tmp_path: Path) -> None:
    async with open_world(tmp_path, caps=Caps(per_account=100)) as world:
        staff = []
        for at in range(20):
            world.shop.orders[f"S-{at}"] = Order("A-1")
            ticket = await world.request(order_id=f"S-{at}")
            staff.append(max((rung.staff.get("finance", 0) for rung in ticket.envelope.requirements), default=-1))
        assert staff == [0] + [1] * 9 + [2] * 10
        at_once = await world.request(by="other", amount=money("980.00"))
        assert at_once.envelope.requirements == (Rung(holder="passkey", code=True, staff={"finance": 2}),)


async def test_T45_other_currencies_are_not_smaller_amounts(world: World) -> None:
    ticket = await world.request(amount=money("49.00", "KWD"))
    assert ticket.envelope.requirements == (Rung(holder="passkey", code=True, staff={"finance": 2}),)


async def test_T45_what_ended_without_effect_is_not_counted(world: World) -> None:
    first = await world.request()
    await world.authority.cancel("agent", first.id)
    assert (await world.request(amount=money("48.00"))).envelope.requirements == (HOLDER_ONLY,)


# What is refused at once ----------------------------------------------------------------------------------------------


async def test_what_nobody_can_approve_uses_up_nothing(world: World) -> None:
    world.shop.locked.add("A-1")
    refused = await world.request(amount=money("50.00"))
    assert refused.refusal == "locked accounts get nothing"
    world.shop.locked.clear()
    assert (await world.request(amount=money("49.00"))).envelope.requirements == (HOLDER_ONLY,)


async def test_an_amount_of_nothing_is_refused(world: World) -> None:
    with pytest.raises(BadArguments, match=r"amount\.value: write more than 0\."):
        await world.request(amount=money("0.00"))
    assert await world.store.tickets() == []


async def test_an_operation_that_the_desk_does_not_have_is_refused(world: World) -> None:
    for name in ("", "Refund", "request_refund", "refund/unattended"):
        with pytest.raises(UnknownTool):
            await world.authority.request(Requester("agent"), name, b"{}")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"account":"A-1","account":"A-2"}',
        b'{"account":"A-1","share":NaN}',
        b'{"account":"A-1","share":1e400}',
        b'{"account":"A-1","share":1e20}',
        b'{"account":"\\ud800"}',
    ],
)
async def test_T23_the_door_parses_strictly_itself(world: World, raw: bytes) -> None:
    with pytest.raises(BadJSON):
        await world.authority.request(Requester("agent"), "close_account", raw)
    assert await world.store.tickets() == []


async def test_T23_a_number_keeps_its_value_where_the_schema_says_number(world: World) -> None:
    for spelled in (b"0.25", b"2.5e-1", b"0.250"):
        raw = b'{"account":"A-1","share":%b}' % spelled
        ticket = await world.authority.request(Requester("agent"), "close_account", raw)
        assert ticket.envelope.arguments == '{"account":"A-1","share":0.25}'
    assert len(await world.store.tickets()) == 1


@pytest.mark.parametrize(
    "arguments",
    [{"count": 1.5}, {"count": 1.0}, {"count": "1"}, {"more": 1}, {"note": "hello"}, {"text": None}, {"account": None}],
)
async def test_T24_wrong_arguments_make_no_ticket(world: World, arguments: dict[str, Any]) -> None:
    raw = canonical({"account": "A-1"} | arguments).replace(b'"count":1}', b'"count":1.0}')
    with pytest.raises(BadArguments):
        await world.authority.request(Requester("agent"), "send_gift", raw)
    assert await world.store.tickets() == []


async def test_a_note_has_a_greatest_length(world: World) -> None:
    await world.request(note="x" * 500)
    with pytest.raises(BadArguments):
        await world.request(note="x" * 501, amount=money("1.00"))


@pytest.mark.parametrize("scope", ["all", "operation:refund", "principal:agent", "conversation:chat"])
async def test_what_the_AI_may_know_to_be_suspended_is_refused_at_once(world: World, scope: str) -> None:
    await world.authority.suspend(scope, "a test")
    with pytest.raises(Suspended):
        await world.request(by=Requester("agent", conversation="chat"))
    await world.authority.resume(scope)
    assert (await world.request(by=Requester("agent", conversation="chat"))).state is State.PENDING


@pytest.mark.parametrize("scope", ["account:A-1", "principal-account:agent|A-1"])
async def test_T54_a_suspended_account_answers_like_any_other_and_nobody_is_told(world: World, scope: str) -> None:
    good = await world.request(amount=money("1.00"))
    await world.authority.suspend(scope, "a test")
    ticket = await world.request()
    assert public(ticket) == public(good)
    assert await told(world, ticket) == set()
    with pytest.raises(Suspended):
        await world.sign(ticket, "ann")


# Who is asked ---------------------------------------------------------------------------------------------------------


async def test_holders_and_eligible_staff_are_asked_at_their_own_channels(world: World) -> None:
    requester = Requester("agent", owner="fay")
    ticket = await world.request(by=requester, amount=money("100.00"))
    assert await told(world, ticket) == {
        (APPROVE, name, f"{name}@example.com") for name in ("ann", "fil", "fox", "ivo")
    }


async def test_where_nobody_is_enrolled_the_directorys_contact_is_told_how_to_object(world: World) -> None:
    ticket = await world.request("close_account", account="A-3")
    assert (OBJECT, "account:A-3", "A-3@example.com") in await told(world, ticket)


async def test_the_match_code_is_derived_from_a_key_that_is_not_in_the_database(world: World) -> None:
    ticket = await world.request()
    code = world.authority.match_code(ticket.id)
    assert code.isdecimal()
    assert len(code) == 6
    assert world.authority.match_code(ticket.id) == code
    codes = {world.authority.match_code(f"cf_{at}") for at in range(50)}
    assert len(codes) > 45
    assert code.encode() not in world.path.read_bytes()


async def test_T54_an_unknown_account_and_a_failing_preview_ask_policy_and_counters_as_much(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    judge = world.authority.judge
    requirements, counters = judge.policy.requirements, world.store.counters

    def policy(question: Question) -> Requirements:
        verdict = requirements(question)
        asked.append(f"policy {FAILED not in verdict.reasons}")
        return verdict

    async def counting(**arguments: Any) -> Counters:
        asked.append("counters")
        return await counters(**arguments)

    monkeypatch.setattr(type(judge.policy), "requirements", lambda _, question: policy(question))
    monkeypatch.setattr(world.store, "counters", counting)
    seen = []
    for account, order in (("A-1", "O-1"), ("nobody knows", "O-1"), ("A-1", "O-99")):
        asked.clear()
        await world.request(account=account, order_id=order)
        seen.append(list(asked))
    assert seen == [["counters", "policy True"]] * 3


async def test_whoever_joined_the_roster_since_the_last_request_is_told(world: World) -> None:
    first = await world.request("close_account", account="A-3")
    assert "new@example.com" not in {address for _, _, address in await told(world, first)}
    invitation = world.office.invite("new", roles=["identity"])
    version = len(world.office.records)
    await world.store.add_roster_record(invitation, version=version, leaf=roster_leaf(invitation))
    second = await world.request("close_account", share=0.25)
    assert "new@example.com" in {address for _, _, address in await told(world, second)}
