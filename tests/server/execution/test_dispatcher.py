"""The dispatcher: approved tickets reach the executor at once, after holds, and after crashes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from counterfoil import Execution, Receipt
from counterfoil.errors import StoreFailed
from counterfoil.store import NewTicket
from counterfoil.tickets import Event, State, Ticket
from counterfoil_server.execution.dispatcher import Dispatcher, LocalEngine
from server.execution.workshop import Workshop
from server.full_disk import full_disk

pytestmark = pytest.mark.anyio


def started(workshop: Workshop, ticket: Ticket) -> None:
    """The effect was begun by a process of which nothing else is known."""
    assert workshop.ledger.start(
        issuer=workshop.executor.issuer, ticket=ticket.id, account="A-1", operation="pay",
        currency="EUR", amount=None, at=workshop.store.now(),
    )  # fmt: skip


async def test_an_approved_ticket_is_executed_at_the_next_look(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    await workshop.dispatcher.look()
    await workshop.engine.settle()
    assert (await workshop.now(ticket)).state is State.EXECUTED


async def test_a_running_dispatcher_goes_on_when_woken(workshop: Workshop) -> None:
    running = asyncio.create_task(workshop.dispatcher.run())
    ticket = await workshop.approved()
    workshop.dispatcher.wake()
    await asyncio.wait_for(workshop.bank.entered.wait(), 60)
    await workshop.engine.settle()
    running.cancel()
    assert (await workshop.now(ticket)).state is State.EXECUTED


async def test_T45_tickets_requested_side_by_side_cannot_exceed_the_days_sum_together(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_judged, create = asyncio.Barrier(3), workshop.store.create_ticket

    async def together(new: NewTicket) -> tuple[Ticket, bool]:
        await all_judged.wait()
        return await create(new)

    with monkeypatch.context() as patch:
        patch.setattr(workshop.store, "create_ticket", together)
        requested = await asyncio.gather(*(workshop.requested(value) for value in ("60.00", "60.01", "60.02")))
    # Asked for at the same moment, none saw the others: each requires only the holder.
    tickets = [await workshop.signed(ticket, "ann") for ticket in requested]
    assert [ticket.state for ticket in tickets] == [State.APPROVED] * 3
    await workshop.dispatcher.look()
    await workshop.engine.settle()
    states = sorted([(await workshop.now(ticket)).state for ticket in tickets])
    assert states == [State.DECLINED, State.DECLINED, State.EXECUTED]
    assert len(workshop.bank.payments) == 1
    await workshop.dispatcher.look()
    assert sorted([(await workshop.now(ticket)).state for ticket in tickets]) == states


async def test_an_order_lost_in_a_crash_is_issued_again_while_there_is_time(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    executor = workshop.new_executor()
    engine = LocalEngine(executor)
    await Dispatcher(workshop.authority, executor, engine).recover()
    await engine.settle()
    assert (await workshop.now(ticket)).state is State.EXECUTED
    assert workshop.bank.payments == [ticket.id]


async def test_an_order_found_too_late_is_not_executed(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    workshop.clock.at += 10_000
    executor = workshop.new_executor()
    engine = LocalEngine(executor)
    await Dispatcher(workshop.authority, executor, engine).recover()
    await engine.settle()
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_T47_an_effect_found_started_is_unknown_and_never_run_again(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    started(workshop, ticket)
    for _ in range(2):
        executor = workshop.new_executor()
        engine = LocalEngine(executor)
        await Dispatcher(workshop.authority, executor, engine).recover()
        await engine.settle()
    assert (await workshop.now(ticket)).state is State.UNKNOWN
    assert workshop.bank.payments == []


@pytest.mark.parametrize(("happened", "state"), [(True, State.EXECUTED), (False, State.NOT_EXECUTED)])
async def test_a_lookup_settles_an_effect_found_started(
    looking_workshop: Workshop, happened: bool, state: State
) -> None:
    workshop = looking_workshop
    ticket, _ = await workshop.ordered()
    started(workshop, ticket)
    if happened:
        workshop.bank.payments.append(ticket.id)
    executor = workshop.new_executor()
    await Dispatcher(workshop.authority, executor, LocalEngine(executor)).recover()
    assert (await workshop.now(ticket)).state is state
    assert len(workshop.bank.payments) == happened


async def test_an_outcome_in_the_ledger_that_was_never_reported_is_reported(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    started(workshop, ticket)
    workshop.ledger.finish(
        issuer=workshop.executor.issuer, ticket=ticket.id, event=Event.REPORT_EXECUTED.value,
        outcome='{"receipt":{"reference":"R-7"}}', at=workshop.store.now(),
    )  # fmt: skip
    executor = workshop.new_executor()
    await Dispatcher(workshop.authority, executor, LocalEngine(executor)).recover()
    ended = await workshop.now(ticket)
    assert ended.state is State.EXECUTED
    assert "R-7" in (ended.outcome or "")


async def test_an_unknown_outcome_in_the_ledger_that_was_never_reported_is_reported(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    started(workshop, ticket)
    workshop.ledger.finish(
        issuer=workshop.executor.issuer, ticket=ticket.id, event=Event.REPORT_UNKNOWN.value,
        outcome='{"reason":"the line broke"}', at=workshop.store.now(),
    )  # fmt: skip
    executor = workshop.new_executor()
    await Dispatcher(workshop.authority, executor, LocalEngine(executor)).recover()
    assert (await workshop.now(ticket)).state is State.UNKNOWN


async def test_an_outcome_that_a_full_disk_did_not_take_is_kept_and_told_when_there_is_space(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await workshop.approved()
    pay = workshop.bank.pay
    with ExitStack() as disk:

        async def pays_while_the_disk_fills_up(execution: Execution) -> Receipt:
            receipt = await pay(execution)
            disk.enter_context(full_disk())
            return receipt

        monkeypatch.setattr(workshop.bank, "pay", pays_while_the_disk_fills_up)
        await workshop.dispatcher.look()
        await workshop.engine.settle()
        assert workshop.bank.payments == [ticket.id]
        with pytest.raises(StoreFailed):
            await workshop.dispatcher.settle()
        assert (await workshop.now(ticket)).state is State.EXECUTING
    await workshop.dispatcher.settle()
    ended = await workshop.now(ticket)
    assert ended.state is State.EXECUTED
    assert "R-1" in (ended.outcome or "")
    assert workshop.bank.payments == [ticket.id]


async def test_a_refusal_that_a_full_disk_did_not_take_is_made_again(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    workshop.bank.balance = "frozen"
    await workshop.executor.follow_log()
    with full_disk(), pytest.raises(StoreFailed):
        await workshop.executor.run(ticket.id, order)
    await workshop.dispatcher.settle()
    await workshop.engine.settle()
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_a_start_on_a_full_disk_recovers_when_there_is_space(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, _ = await workshop.ordered()
    started(workshop, ticket)
    expire_due, looked = workshop.store.expire_due, asyncio.Event()

    async def looks() -> int:
        looked.set()
        return await expire_due()

    monkeypatch.setattr(workshop.store, "expire_due", looks)
    with full_disk():
        running = asyncio.create_task(workshop.dispatcher.run())
        await asyncio.wait_for(looked.wait(), 60)
        assert (await workshop.now(ticket)).state is State.EXECUTING
    looked.clear()
    workshop.dispatcher.wake()
    await asyncio.wait_for(looked.wait(), 60)
    running.cancel()
    assert (await workshop.now(ticket)).state is State.UNKNOWN


async def test_a_decision_whose_process_died_before_going_on_is_completed(workshop: Workshop) -> None:
    ticket = await workshop.approved("40.00")
    assert ticket.state is State.APPROVED
    await workshop.dispatcher.recover()
    await workshop.dispatcher.look()
    await workshop.engine.settle()
    assert (await workshop.now(ticket)).state is State.EXECUTED


async def test_expired_tickets_are_ended(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    workshop.clock.at += 90_000
    await workshop.dispatcher.look()
    await workshop.engine.settle()
    assert (await workshop.now(ticket)).state is State.EXPIRED
    assert workshop.bank.payments == []


async def test_3_after_revoke_answered_revoked_nothing_starts(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    answers = await asyncio.gather(workshop.authority.revoke(f"ticket:{ticket.id}", "stop"), workshop.dispatcher.look())
    await workshop.engine.settle()
    ended = await workshop.now(ticket)
    assert answers[0].revoked + answers[0].executing + answers[0].done == 1
    assert (ended.state is State.REVOKED) == bool(answers[0].revoked)
    assert len(workshop.bank.payments) == (ended.state is State.EXECUTED)


async def test_T13_tickets_that_cannot_be_redeemed_do_not_hold_up_the_others(workshop: Workshop) -> None:
    dispatcher = Dispatcher(workshop.authority, workshop.executor, workshop.engine, ready_at_once=3)
    for number in range(3):
        await workshop.signed(await workshop.requested(f"{number}.01", "noisy"), "ann")
    await workshop.authority.suspend("principal:noisy", "too loud")
    quiet = await workshop.approved()
    await dispatcher.look()
    await dispatcher.look()
    await workshop.engine.settle()
    assert (await workshop.now(quiet)).state is State.EXECUTED
