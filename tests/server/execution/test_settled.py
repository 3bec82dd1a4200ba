"""What a person settles by hand is never run again, whatever they said, and whoever signs new orders for it (T42, T47;
invariants 2 and 11)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from counterfoil.errors import CounterfoilError, WrongState
from counterfoil.evidence import SignedStatement
from counterfoil.judgement import COUNTER_WINDOW
from counterfoil.statements import Found
from counterfoil.tickets import State, Ticket
from server.execution.test_executor import edit, forged, outcome
from server.execution.workshop import Workshop

pytestmark = pytest.mark.anyio


async def finding(workshop: Workshop, ticket: Ticket, found: Found) -> SignedStatement:
    passkey = workshop.passkeys["fay"]
    offer = await workshop.authority.prepare_settlement(ticket.id, "fay", passkey.credential, found, "B-17")
    return SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge))


async def settled(workshop: Workshop, ticket: Ticket, found: Found) -> Ticket:
    """The ticket after fay of finance signed what she found."""
    return await workshop.authority.settle(ticket.id, await finding(workshop, ticket, found))


async def left_unknown(workshop: Workshop, how: str = "before", value: str = "40.00") -> tuple[Ticket, str]:
    """A ticket whose connector failed, and its order."""
    workshop.bank.fails, workshop.bank.lookup = how, "broken"
    ticket, order = await workshop.ordered(value)
    await workshop.executor.run(ticket.id, order)
    workshop.bank.fails, workshop.bank.lookup = "", "truth"
    ticket = await workshop.now(ticket)
    assert ticket.state is State.UNKNOWN
    return ticket, order


@pytest.mark.parametrize("found", ["executed", "not_executed"])
async def test_a_settled_ticket_is_not_run_by_its_old_order_nor_by_a_new_one(workshop: Workshop, found: Found) -> None:
    ticket, order = await left_unknown(workshop)
    known = await settled(workshop, ticket, found)
    assert known.state.value == found
    with pytest.raises(WrongState):
        await workshop.authority.order(known)
    for again in (order, forged(workshop, known)):
        for executor in (workshop.executor, workshop.new_executor()):
            with suppress(CounterfoilError):
                await executor.run(ticket.id, again)
    await workshop.dispatcher.recover()
    await workshop.dispatcher.look()
    await workshop.engine.settle()
    assert workshop.bank.payments == []
    assert (await workshop.now(ticket)) == known


async def test_T45_what_somebody_calls_not_executed_goes_on_counting_for_the_executor_for_a_day(
    workshop: Workshop,
) -> None:
    """Were it otherwise, whoever settles could give the day's limit back by a lie."""
    ticket, _ = await left_unknown(workshop, value="60.00")
    await settled(workshop, ticket, "not_executed")
    ended = []
    for value in ("61.00", "62.00"):
        again, order = await workshop.ordered(value)
        await workshop.executor.run(again.id, order)
        ended.append(await workshop.now(again))
        workshop.clock.at += COUNTER_WINDOW + 1
    assert [each.state for each in ended] == [State.NOT_EXECUTED, State.EXECUTED]
    assert "own policy refuses" in outcome(ended[0])["reason"]


async def test_T42_setting_the_row_back_to_executing_runs_nothing_that_was_settled(workshop: Workshop) -> None:
    ticket, _ = await left_unknown(workshop)
    await settled(workshop, ticket, "not_executed")
    edit(workshop, "UPDATE ticket SET state = 'executing', ended_at = NULL WHERE id = ?", ticket.id)
    await workshop.dispatcher.recover()
    await workshop.engine.settle()
    assert workshop.bank.payments == []
    assert (await workshop.now(ticket)).state is State.UNKNOWN


async def test_the_executor_remembers_from_the_log_that_nothing_may_happen_any_more(workshop: Workshop) -> None:
    ticket, _ = await left_unknown(workshop)
    await settled(workshop, ticket, "not_executed")
    await workshop.executor.follow_log()
    assert workshop.ledger.stopped(ticket.id)
    # Even a ledger that lost its memory of the start would not start it.
    with workshop.ledger._transaction():
        workshop.ledger._database.execute("DELETE FROM effect")
    edit(workshop, "UPDATE ticket SET state = 'executing', ended_at = NULL WHERE id = ?", ticket.id)
    await workshop.new_executor().run(ticket.id, forged(workshop, ticket))
    assert workshop.bank.payments == []
    assert "not executed" in outcome(await workshop.now(ticket))["reason"]


async def test_a_lookup_that_comes_later_changes_nothing_and_is_written_down(
    looking_workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    workshop = looking_workshop
    ticket, _ = await left_unknown(workshop, "after")
    signed = await finding(workshop, ticket, "not_executed")
    asked, answer = asyncio.Event(), asyncio.Event()
    find = workshop.bank.find

    async def slow(execution: object) -> object:
        asked.set()
        await answer.wait()
        return await find(execution)  # type: ignore[arg-type]

    workshop.bank.find = slow  # type: ignore[method-assign,assignment]
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(workshop.dispatcher.settle())
        await asked.wait()
        known = await workshop.authority.settle(ticket.id, signed)
        answer.set()
        with caplog.at_level(logging.ERROR):
            await looking
    assert known.state is State.NOT_EXECUTED
    assert await workshop.now(ticket) == known
    assert f"Ticket {ticket.id} cannot go on: A ticket that is not_executed" in caplog.text
    assert workshop.bank.payments == [ticket.id]


async def test_what_a_lookup_settled_first_is_not_settled_by_hand(looking_workshop: Workshop) -> None:
    workshop = looking_workshop
    ticket, _ = await left_unknown(workshop, "after")
    signed = await finding(workshop, ticket, "not_executed")
    await workshop.dispatcher.settle()
    with pytest.raises(WrongState):
        await workshop.authority.settle(ticket.id, signed)
    assert (await workshop.now(ticket)).state is State.EXECUTED
