"""Orders made with a stolen authority key, and a ticket database set back: what the executor knows by itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest

from capabilities.world import LOG_KEY
from counterfoil.errors import CounterfoilError
from counterfoil.tickets import State, Ticket
from counterfoil_server.store import SQLiteStore
from server.execution.test_executor import edit, forged, outcome
from server.execution.workshop import Workshop

pytestmark = pytest.mark.anyio


async def run_forged(workshop: Workshop, ticket: Ticket, **changes: object) -> None:
    """Hand the executor an order that a thief signed. What cannot be recorded of it is beside the point."""
    try:
        await workshop.new_executor().run(ticket.id, forged(workshop, ticket, **changes))
    except CounterfoilError:
        pass


async def test_T42_an_order_from_the_future_does_not_shorten_a_waiting_time(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    later = workshop.store.now() + 3600
    await run_forged(workshop, ticket, redeemed_at=later, run_by=later + 60)
    assert workshop.bank.payments == []


async def test_T50_an_order_cannot_be_good_for_longer_than_any_setting_allows(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    redeemed_at = workshop.store.now()
    workshop.clock.time += 30 * 86400
    await run_forged(workshop, ticket, redeemed_at=redeemed_at, run_by=redeemed_at + 365 * 86400)
    assert workshop.bank.payments == []


async def test_T42_what_was_told_not_to_have_run_is_never_run_afterwards(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    workshop.bank.balance = "1.00"
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    workshop.bank.balance = "500.00"
    await run_forged(workshop, ticket)
    assert workshop.bank.payments == []


@pytest.mark.parametrize("scope", ["everything", "operation:pay", "account:A-1", "person:ann", "principal:agent"])
async def test_T42_a_stolen_key_runs_nothing_in_a_suspended_scope(workshop: Workshop, scope: str) -> None:
    ticket = await workshop.approved()
    await workshop.authority.suspend(scope, "an incident")
    await run_forged(workshop, ticket)
    assert workshop.bank.payments == []


async def test_T42_orders_of_a_revoked_key_are_refused(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    await workshop.authority.revoke(f"key:{workshop.stolen_ring.current.id}", "stolen")
    await run_forged(workshop, ticket)
    assert workshop.bank.payments == []


async def test_T45_two_orders_at_once_do_not_pass_the_limit_together(workshop: Workshop) -> None:
    first, second = await workshop.approved("60.00"), await workshop.approved("59.00")
    executor = workshop.new_executor()
    await asyncio.gather(
        *(executor.run(each.id, forged(workshop, each)) for each in (first, second)), return_exceptions=True
    )
    assert len(workshop.bank.payments) == 1
