"""Orders made with a stolen authority key, and a ticket database set back: what the executor knows by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from capabilities.world import LOG_KEY, roster_leaf
from counterfoil.errors import CounterfoilError
from counterfoil.judgement import Judge
from counterfoil.tickets import State, Ticket
from counterfoil_server.execution.executor import Executor
from counterfoil_server.store import SQLiteStore
from server.execution.test_executor import edit, forged
from server.execution.workshop import Workshop, executor_over

pytestmark = pytest.mark.anyio


async def run_forged(workshop: Workshop, ticket: Ticket, **changes: object) -> None:
    """Hand the executor an order that a thief signed. What cannot be recorded of it is beside the point."""
    with suppress(CounterfoilError):
        await workshop.new_executor().run(ticket.id, forged(workshop, ticket, **changes))


def copy(database: Path, to: Path) -> None:
    """A whole copy of a database that is in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def over(workshop: Workshop, store: SQLiteStore) -> Executor:
    """The executor as a process started over another database has it, beside the same ledger."""
    own = workshop.executor.judge
    judge = Judge(desk=own.desk, policy=own.policy, store=store, trust=workshop.office.trust(), log_key=LOG_KEY)
    return executor_over(store, workshop.authority, workshop.ledger, judge, workshop.sealer)


async def test_T42_an_order_from_the_future_does_not_shorten_a_waiting_time(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    later = workshop.store.now() + 3600
    await run_forged(workshop, ticket, redeemed_at=later, run_by=later + 60)
    assert workshop.bank.payments == []


async def test_T50_an_order_cannot_be_good_for_longer_than_any_setting_allows(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    redeemed_at = workshop.store.now()
    workshop.clock.at += 7200
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


async def test_T45_orders_at_once_do_not_pass_the_limit_together(workshop: Workshop) -> None:
    orders = []
    for cents in range(8):
        ticket = await workshop.requested(f"60.0{cents}")
        edit(workshop, "UPDATE ticket SET amount = 0 WHERE id = ?", ticket.id)
        delivered = await workshop.authority.deliver((await workshop.signed(ticket, "ann")).id)
        assert delivered is not None
        orders.append(delivered)
    await asyncio.gather(*(workshop.executor.run(ticket.id, order) for ticket, order in orders))
    assert len(workshop.bank.payments) == 1


# The ticket database set back -----------------------------------------------------------------------------------------


async def test_T50_a_decline_is_not_erased_by_an_earlier_copy_of_the_database(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    await workshop.dispatcher.follow()
    copied = workshop.folder / "copy.db"
    copy(workshop.folder / "counterfoil.db", copied)
    await workshop.authority.veto(ticket.id)
    await workshop.dispatcher.follow()
    async with SQLiteStore.open(copied, log_key=LOG_KEY, clock=workshop.clock) as earlier:
        restarted = over(workshop, earlier)
        with suppress(CounterfoilError):
            await restarted.run(ticket.id, forged(workshop, ticket))
    assert workshop.bank.payments == []


async def test_T49_a_removed_end_of_a_person_is_noticed_after_a_restart(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    record = workshop.office.end("person", "ann")
    version = len(workshop.office.records)
    await workshop.store.add_roster_record(record, version=version, leaf=roster_leaf(record))
    edit(workshop, "DELETE FROM roster_record WHERE version = ?", version)
    await run_forged(workshop, ticket)
    assert workshop.bank.payments == []
    assert workshop.ledger.roster_version() == version


async def test_following_the_log_twice_at_once_counts_each_record_once(workshop: Workshop) -> None:
    executors = [workshop.new_executor() for _ in range(8)]
    await asyncio.gather(*(each.follow_log() for each in executors))
    assert workshop.ledger.roster_version() == len(workshop.office.records)
    assert workshop.ledger.head()[0] == len(await workshop.store.leaves()) - 1


async def test_a_log_that_was_tampered_with_is_said_once(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    await workshop.dispatcher.follow()
    await workshop.approved()
    edit(workshop, "UPDATE leaf SET mac = zeroblob(32) WHERE number = (SELECT max(number) FROM leaf)")
    for _ in range(3):
        await workshop.dispatcher.follow()
    assert len([record for record in caplog.records if "runs nothing" in record.getMessage()]) == 1
