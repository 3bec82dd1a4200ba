"""A signer that fails, hangs or answers nonsense: nothing is lost, nothing runs twice, nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from counterfoil import tokens
from counterfoil.errors import SignerFailed
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.tickets import Event, State, Ticket
from counterfoil_server.execution.dispatcher import Dispatcher, LocalEngine
from remote_key import RemoteKey
from server.execution.test_dispatcher import started
from server.execution.workshop import Workshop, authority_over

pytestmark = pytest.mark.anyio

WRONG = ["fails", "hangs", "raw", "another key"]


def signed_by(workshop: Workshop, answers: Iterable[str]) -> RemoteKey:
    """Let the authority sign with a service that answers so; whoever hangs is given a moment only."""
    remote = RemoteKey.answering(answers)
    workshop.authority.keys = KeyRing(remote, SigningKey.generate())
    workshop.authority.times = replace(workshop.authority.times, signature=0.01)
    return remote


async def look(workshop: Workshop) -> bool:
    """Whether a look went to its end."""
    try:
        await workshop.dispatcher.look()
    except SignerFailed:
        return False
    finally:
        await workshop.engine.settle()
    return True


async def events(workshop: Workshop, ticket: Ticket) -> list[str]:
    return [leaf.event for leaf in await workshop.store.leaves(ticket=ticket.id)]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_capability_that_could_not_be_signed_is_there_for_the_next_look(workshop: Workshop, wrong: str) -> None:
    ticket = await workshop.approved()
    remote = signed_by(workshop, [wrong] * 3)
    for _ in range(3):
        assert not await look(workshop)
        assert (await workshop.now(ticket)).state is State.APPROVED
    assert await look(workshop)
    assert (await workshop.now(ticket)).state is State.EXECUTED
    assert (await events(workshop, ticket)).count("mint") == 1
    assert remote.asked == 5  # one good signature each for the capability and the order


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_order_that_could_not_be_signed_is_asked_for_at_each_look(workshop: Workshop, wrong: str) -> None:
    ticket = await workshop.approved()
    signed_by(workshop, ["good", *[wrong] * 3])
    for _ in range(3):
        assert not await look(workshop)
        assert (await workshop.now(ticket)).state is State.EXECUTING
        assert workshop.bank.payments == []
    assert await look(workshop)
    assert (await workshop.now(ticket)).state is State.EXECUTED
    assert workshop.bank.payments == [ticket.id]
    assert (await events(workshop, ticket)).count("redeem") == 1
    assert await workshop.authority.unsigned() == []


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_order_that_nobody_signs_in_time_ends_as_not_executed(workshop: Workshop, wrong: str) -> None:
    ticket = await workshop.approved()
    remote = signed_by(workshop, ["good", *[wrong] * 100])
    assert not await look(workshop)
    workshop.clock.at += workshop.authority.times.run
    assert not await look(workshop)
    assert (await workshop.now(ticket)).state is State.EXECUTING  # up to the last second
    workshop.clock.at += 1
    assert not await look(workshop)
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    assert "No order could be signed in time" in (ended.outcome or "")
    # The service comes back, and with it an order of this ticket: it is not run.
    remote.answers.clear()
    claims = tokens.OrderClaims(
        iss=workshop.authority.issuer, aud=workshop.executor.name, jti=f"order-{ticket.id}", ticket=ticket.id,
        envelope=ticket.digest, redeemed_at=workshop.store.now(), run_by=workshop.store.now() + 300,
    )  # fmt: skip
    await workshop.engine.submit(ended, tokens.sign(remote.key, tokens.ORDER_TYPE, claims.members()))
    assert await look(workshop)
    assert workshop.bank.payments == []
    assert await workshop.authority.unsigned() == []


async def test_what_was_started_all_the_same_is_not_given_up(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    signed_by(workshop, ["good", *["fails"] * 100])
    assert not await look(workshop)
    started(workshop, ticket)
    workshop.clock.at += 10_000
    await workshop.executor.give_up(await workshop.now(ticket), SignerFailed())
    assert (await workshop.now(ticket)).state is State.EXECUTING
    assert await look(workshop)
    assert (await workshop.now(ticket)).state is State.UNKNOWN


async def test_while_nobody_signs_nothing_more_is_claimed_and_nobody_is_asked_twice(workshop: Workshop) -> None:
    tickets = [await workshop.approved(f"{number}.00") for number in range(1, 5)]
    remote = signed_by(workshop, ["good", *["fails"] * 3])
    for asked in (2, 3, 4):
        assert not await look(workshop)
        assert remote.asked == asked
        states = [(await workshop.now(ticket)).state for ticket in tickets]
        assert sorted(states) == [State.APPROVED] * 3 + [State.EXECUTING]
    assert await look(workshop)
    assert [(await workshop.now(ticket)).state for ticket in tickets] == [State.EXECUTED] * 4


async def test_a_restart_asks_again_for_every_redeemed_ticket_and_settles_the_others(workshop: Workshop) -> None:
    tickets = [await workshop.approved(f"{number}.00") for number in range(1, 4)]
    remote = signed_by(workshop, [])
    for ticket in tickets:
        remote.answers += ["good", "fails"]
        with pytest.raises(SignerFailed):
            await workshop.authority.deliver(ticket.id)
    started(workshop, tickets[1])
    restarted = authority_over(workshop.authority.judge, workshop.authority.keys)
    assert await restarted.unsigned() == []
    remote.answers = ["fails"]
    executor = workshop.new_executor()
    engine = LocalEngine(executor)
    dispatcher = Dispatcher(restarted, executor, engine)
    with pytest.raises(SignerFailed):
        await dispatcher.recover()
    await engine.settle()  # of two that need an order one was asked for, and in vain
    states = [(await workshop.now(ticket)).state for ticket in tickets]
    assert states == [State.EXECUTING, State.UNKNOWN, State.EXECUTING]
    await dispatcher.recover()
    await engine.settle()
    states = [(await workshop.now(ticket)).state for ticket in tickets]
    assert states == [State.EXECUTED, State.UNKNOWN, State.EXECUTED]


async def test_the_unsigned_are_told_by_a_verb_and_nobody_outside_changes_which_they_are(workshop: Workshop) -> None:
    tickets = [await workshop.approved(f"{number}.00") for number in range(1, 4)]
    remote = signed_by(workshop, [])
    for ticket in tickets:
        remote.answers += ["good", "fails"]
        with pytest.raises(SignerFailed):
            await workshop.authority.deliver(ticket.id)
    told = await workshop.authority.unsigned()
    assert [ticket.id for ticket in told] == sorted(ticket.id for ticket in tickets)
    told.clear()
    ended = sorted(ticket.id for ticket in tickets)[1]
    await workshop.authority.report(ended, Event.REPORT_NOT_EXECUTED, {"reason": "given up"})
    assert [ticket.id for ticket in await workshop.authority.unsigned()] == sorted(
        ticket.id for ticket in tickets if ticket.id != ended
    )


async def test_whoever_gives_up_waiting_for_an_order_leaves_it_to_be_asked_for(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    remote = signed_by(workshop, ["good", "hangs"])
    workshop.authority.times = replace(workshop.authority.times, signature=60)
    delivering = asyncio.create_task(workshop.authority.deliver(ticket.id))
    await asyncio.wait_for(remote.hung.wait(), 60)
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
    assert await look(workshop)
    assert (await workshop.now(ticket)).state is State.EXECUTED


async def test_a_running_dispatcher_waits_a_failing_signer_out(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    remote = signed_by(workshop, ["fails", "good", "fails", "hangs"])
    running = asyncio.create_task(workshop.dispatcher.run())
    await asyncio.wait_for(workshop.bank.entered.wait(), 60)
    await workshop.engine.settle()
    running.cancel()
    assert remote.asked == 5
    assert (await workshop.now(ticket)).state is State.EXECUTED
