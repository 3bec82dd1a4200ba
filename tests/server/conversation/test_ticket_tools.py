"""What became of a ticket, cancelling it, and redeeming it where that is the AI's to do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.client.session import ClientSession

from counterfoil.tickets import Event
from counterfoil_server.conversation import tickets
from server.conversation import harbour
from server.conversation.harbour import Boats
from server.conversation.world import ERAS, World, call, open_world, words


async def requested(session: ClientSession, tool: str = "request_open_gate", **arguments: Any) -> str:
    result = await call(session, tool, account="B-1", **arguments)
    assert not result.is_error, words(result)
    return str(result.structured_content["ticket"])


@pytest.mark.parametrize("era", ERAS)
async def test_a_ticket_is_cancelled_once_and_stays_so(world: World, era: str) -> None:
    async with world.client(era) as session:
        ticket = await requested(session)
        pending = await call(session, "ticket_status", ticket=ticket)
        assert pending.structured_content["status"] == "pending"
        assert pending.structured_content["executed"] is False
        assert pending.structured_content["waiting_for"] == [
            "the account holder confirms with their passkey and the code from the chat"
        ]
        cancelled = await call(session, "cancel_ticket", ticket=ticket)
        assert cancelled.structured_content["status"] == "cancelled"
        assert await call(session, "cancel_ticket", ticket=ticket) == cancelled
        assert await call(session, "ticket_status", ticket=ticket) == cancelled


async def test_that_an_outcome_is_looked_into_is_said_only_where_somebody_is_named(world: World) -> None:
    async with world.client("2025-06-18") as session:
        ticket = await requested(session)
        await world.claim(ticket)
        await world.step(ticket, Event.REPORT_UNKNOWN)
        assert "looked into" not in words(await call(session, "ticket_status", ticket=ticket))
        world.authority.judge.desk.settled_by = "finance"
        told = words(await call(session, "ticket_status", ticket=ticket))
        assert "It may or may not have happened. It is being looked into. Tell the user exactly that." in told


@pytest.mark.parametrize(
    ("events", "outcome", "executed", "said"),
    [
        ((Event.APPROVE,), None, False, "It was confirmed. Nothing has been done yet."),
        ((Event.REDEEM,), None, None, "how it ends is not known yet"),
        ((Event.REDEEM, Event.REPORT_EXECUTED), '{"receipt":{"reference":"G-7"}}', True, "Reference: G-7"),
        ((Event.REDEEM, Event.REPORT_NOT_EXECUTED), '{"reason":"The tide is too low."}', False, "The tide is too low."),
        (
            (Event.REDEEM, Event.REPORT_UNKNOWN), '{"reason":"It hung."}', None,
            "It may or may not have happened. Tell the user exactly that. Do not request it again",
        ),
        ((Event.DECLINE,), '{"reason":"Fraud score 97."}', False, "It was declined: nothing was done"),
        ((Event.EXPIRE,), None, False, "It expired before it was confirmed"),
        ((Event.REVOKE,), '{"reason":"The holder disowned it."}', False, "It was stopped: nothing was done"),
    ],
)  # fmt: skip
async def test_every_state_says_first_what_is_done_and_what_is_not(
    world: World, events: tuple[Event, ...], outcome: str | None, executed: bool | None, said: str
) -> None:
    async with world.client("2025-06-18") as session:
        ticket = await requested(session)
        if events[0] is Event.REDEEM:
            await world.claim(ticket)
            events = events[1:]
        await world.step(ticket, *events, outcome=outcome)
        result = await call(session, "ticket_status", ticket=ticket)
        assert not result.is_error
        assert result.structured_content["executed"] is executed
        assert said in words(result)
        assert "97" not in result.model_dump_json()
        assert "disowned" not in result.model_dump_json()


async def test_why_the_executor_refused_is_not_for_the_ai(world: World) -> None:
    async with world.client() as session:
        ticket = await requested(session)
        outcome = '{"code":"policy_refuses","reason":"Nothing is done for a boat that is arrested."}'
        await world.claim(ticket)
        await world.step(ticket, Event.REPORT_NOT_EXECUTED, outcome=outcome)
        result = await call(session, "ticket_status", ticket=ticket)
    assert result.structured_content["outcome"] == {"reason": "It was refused just before it was carried out."}
    assert "arrested" not in result.model_dump_json()


@pytest.mark.parametrize("event", [Event.REPORT_EXECUTED, Event.REPORT_UNKNOWN])
async def test_what_was_started_cannot_be_cancelled(world: World, event: Event) -> None:
    async with world.client() as session:
        ticket = await requested(session)
        await world.claim(ticket)
        await world.step(ticket, event)
        result = await call(session, "cancel_ticket", ticket=ticket)
    assert result.is_error
    assert words(result).startswith("It cannot be cancelled any more.")


@pytest.mark.parametrize("era", ERAS)
async def test_a_confirmed_ticket_is_redeemed_with_its_capability(world: World, boats: Boats, era: str) -> None:
    await world.enrol("maria", "B-1")
    async with world.client(era) as session:
        ticket = await requested(session)
        assert "capability" not in (await call(session, "ticket_status", ticket=ticket)).structured_content
        await world.approve(ticket, "maria")
        status = (await call(session, "ticket_status", ticket=ticket)).structured_content
        assert status["status"] == "approved"
        assert status["capability_expires_at"] > status["requested_at"]
        done = await call(session, "redeem_ticket", ticket=ticket, capability=status["capability"])
        assert done.structured_content["status"] == "executed"
        assert done.structured_content["executed"] is True
        assert done.structured_content["outcome"] == {"reference": "G-7", "summary": "The gate was opened once."}
        assert boats.done == [ticket]
        again = await call(session, "redeem_ticket", ticket=ticket, capability=status["capability"])
        assert again.is_error
        assert boats.done == [ticket]


async def test_an_operation_that_is_delivered_directly_gives_no_capability(world: World) -> None:
    await world.enrol("maria", "B-1")
    async with world.client() as session:
        ticket = await requested(session, "request_refund_fee", amount={"value": "1.00", "currency": "EUR"}, nights=1)
        await world.approve(ticket, "maria")
        status = await call(session, "ticket_status", ticket=ticket)
        assert status.structured_content["status"] == "approved"
        assert "capability" not in status.structured_content
        minted = await world.authority.mint(ticket)
        refused = await call(session, "redeem_ticket", ticket=ticket, capability=minted)
        assert "capability_refused" in words(refused)


async def test_every_failing_capability_reads_the_same(world: World, boats: Boats) -> None:
    await world.enrol("maria", "B-1")
    thief = await world.principal("thief")
    async with world.client() as session, world.client(token=thief) as other:
        ticket = await requested(session)
        second = str((await call(session, "request_open_gate", account="B-2")).structured_content["ticket"])
        await world.approve(ticket, "maria")
        good = (await call(session, "ticket_status", ticket=ticket)).structured_content["capability"]
        head, payload, signature = good.split(".")
        refusals = [
            await call(session, "redeem_ticket", ticket=ticket, capability="nonsense"),
            await call(session, "redeem_ticket", ticket=ticket, capability=f"{head}.{payload}.{signature[:-4]}AAAA"),
            await call(session, "redeem_ticket", ticket=second, capability=good),
            await call(session, "redeem_ticket", ticket="cf_unknown", capability=good),
            await call(other, "redeem_ticket", ticket=ticket, capability=good),
        ]
        assert boats.done == []
        assert not (await call(session, "redeem_ticket", ticket=ticket, capability=good)).is_error
        refusals.append(await call(session, "redeem_ticket", ticket=ticket, capability=good))
        result = await call(session, "request_open_gate", account="maria@boats.example")
        third = str(result.structured_content["ticket"])
        await world.approve(third, "maria")
        unspent = (await call(session, "ticket_status", ticket=third)).structured_content["capability"]
        await world.authority.suspend("everything", "test")
        refusals.append(await call(session, "redeem_ticket", ticket=third, capability=unspent))
        assert boats.done == [ticket]
    assert len({refusal.model_dump_json() for refusal in refusals}) == 1
    assert refusals[0].is_error
    assert "capability_refused" in words(refusals[0])


async def test_a_connector_that_refuses_tells_why(world: World, boats: Boats) -> None:
    await world.enrol("maria", "B-1")
    boats.refuses = True
    async with world.client() as session:
        ticket = await requested(session)
        await world.approve(ticket, "maria")
        capability = (await call(session, "ticket_status", ticket=ticket)).structured_content["capability"]
        result = await call(session, "redeem_ticket", ticket=ticket, capability=capability)
    assert result.structured_content["status"] == "not_executed"
    assert result.structured_content["outcome"] == {"reason": "The tide is too low."}


async def redeemed_but_slow(world: World, boats: Boats, session: ClientSession) -> str:
    """A ticket whose operation has begun and waits for the tide."""
    await world.enrol("maria", "B-1")
    boats.tide_is_right.clear()
    ticket = await requested(session)
    await world.approve(ticket, "maria")
    capability = (await call(session, "ticket_status", ticket=ticket)).structured_content["capability"]
    result = await call(session, "redeem_ticket", ticket=ticket, capability=capability)
    assert result.structured_content["status"] == "executing"
    assert result.structured_content["executed"] is None
    return ticket


async def test_a_slow_operation_is_answered_as_still_under_way_and_goes_on(
    world: World, boats: Boats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "RUN_WAIT", 0.05)
    async with world.client() as session:
        try:
            ticket = await redeemed_but_slow(world, boats, session)
        finally:
            boats.tide_is_right.set()
        await asyncio.wait_for(world.has_run.wait(), 60)
        assert boats.done == [ticket]
        assert (await call(session, "ticket_status", ticket=ticket)).structured_content["executed"] is True


async def test_the_server_does_not_stop_in_the_middle_of_an_operation(
    tmp_path: Path, boats: Boats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "RUN_WAIT", 0.05)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(tmp_path, harbour.build(boats), harbour.POLICY))
        try:
            async with world.client() as session:
                ticket = await redeemed_but_slow(world, boats, session)
            stopping = asyncio.create_task(stack.aclose())
            stopped, _ = await asyncio.wait({stopping}, timeout=0.5)
            assert not stopped
        finally:
            boats.tide_is_right.set()
        await stopping
    assert boats.done == [ticket]
    assert world.has_run.is_set()


async def test_an_order_that_fails_to_run_leaves_the_ticket_executing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.enrol("maria", "B-1")
    world.engine_fails = True
    async with world.client() as session:
        ticket = await requested(session)
        await world.approve(ticket, "maria")
        capability = (await call(session, "ticket_status", ticket=ticket)).structured_content["capability"]
        result = await call(session, "redeem_ticket", ticket=ticket, capability=capability)
    assert result.structured_content["status"] == "executing"
    assert result.structured_content["executed"] is None
    assert "disk" not in result.model_dump_json()
    assert "disk is full" in caplog.text
