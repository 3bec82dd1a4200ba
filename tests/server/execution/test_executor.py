"""The executor: what it refuses, that an effect starts once, and what it says of each way an effect can end."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from capabilities.world import EXECUTOR, ISSUER, roster_leaf
from counterfoil import tokens
from counterfoil.canonical import canonical
from counterfoil.errors import RosterRefused, TamperDetected
from counterfoil.keys import SigningKey
from counterfoil.leaves import ROSTER, administered
from counterfoil.tickets import State, Ticket, envelope_digest
from counterfoil.tokens import OrderClaims
from counterfoil_server.execution.ledger import Ledger
from held_keys import held
from server.execution.workshop import Workshop

pytestmark = pytest.mark.anyio


def outcome(ticket: Ticket) -> dict[str, Any]:
    """What was recorded."""
    value: dict[str, Any] = json.loads(ticket.outcome or "{}")
    return value


def edit(workshop: Workshop, statement: str, *values: object) -> None:
    """What somebody with the database file can do; its triggers do not stop them."""
    with sqlite3.connect(workshop.folder / "counterfoil.db", timeout=60) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        assert database.execute(statement, values).rowcount != 0
    database.close()


def forged(workshop: Workshop, ticket: Ticket, key: SigningKey | None = None, /, **changes: Any) -> str:
    """An order signed by the authority's key unless another is given."""
    claims = OrderClaims(
        iss=ISSUER,
        aud=EXECUTOR,
        jti=f"order-{ticket.id}",
        ticket=ticket.id,
        envelope=ticket.digest,
        redeemed_at=workshop.store.now(),
        run_by=workshop.store.now() + 60,
    ).members()
    return tokens.sign(key or held(workshop.stolen_ring.current), tokens.ORDER_TYPE, claims | changes)


async def test_an_order_is_executed_once_and_its_receipt_is_recorded(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert ended.state is State.EXECUTED
    assert outcome(ended)["receipt"] == {"reference": "R-1", "summary": "paid"}
    assert workshop.bank.payments == [ticket.id]


async def test_the_same_order_again_changes_nothing(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    executor = workshop.new_executor()
    with pytest.raises(Exception, match="executed"):
        await executor.run(ticket.id, order)
    assert workshop.bank.payments == [ticket.id]


async def test_many_executors_over_one_ledger_start_an_effect_once(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    executors = [workshop.new_executor() for _ in range(8)]
    await asyncio.gather(*(each.run(ticket.id, order) for each in executors), return_exceptions=True)
    assert workshop.bank.payments == [ticket.id]


async def test_T42_a_new_order_for_a_ticket_that_ran_is_refused_by_the_ledger(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    edit(workshop, "UPDATE ticket SET state = 'executing' WHERE id = ?", ticket.id)
    await workshop.new_executor().run(ticket.id, forged(workshop, ticket, jti="another"))
    assert workshop.bank.payments == [ticket.id]


async def test_T42_what_the_log_says_has_run_is_refused_although_the_ledger_lost_it(
    workshop: Workshop, tmp_path: Path
) -> None:
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    edit(workshop, "UPDATE ticket SET state = 'executing' WHERE id = ?", ticket.id)
    workshop.ledger.close()
    (tmp_path / "empty").mkdir()
    workshop.ledger = Ledger(tmp_path / "empty" / "ledger.db")
    await workshop.new_executor().run(ticket.id, forged(workshop, ticket, jti="another"))
    assert workshop.bank.payments == [ticket.id]
    assert "the ledger has lost that it ran" in outcome(await workshop.now(ticket))["reason"]


async def test_T49_a_roster_without_what_the_log_tells_of_is_told_to_whoever_asks(workshop: Workshop) -> None:
    assert (await workshop.executor.examine()).version == 7
    for _ in range(8):
        await workshop.store.append_leaf(administered(ROSTER, record="x", person="fay", type="end"))
    with pytest.raises(RosterRefused, match="lacks records that the log tells of"):
        await workshop.executor.examine()


async def test_T41_a_stolen_authority_key_cannot_run_what_nobody_signed(workshop: Workshop) -> None:
    ticket = await workshop.requested()
    edit(workshop, "UPDATE ticket SET state = 'executing', redeemed_at = requested_at WHERE id = ?", ticket.id)
    await workshop.executor.run(ticket.id, forged(workshop, ticket))
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    assert "do not meet" in outcome(ended)["reason"]
    assert workshop.bank.payments == []


async def test_T41_an_envelope_that_requires_nothing_is_refused(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    body = ticket.envelope.changed(requirements=()).to_bytes()
    edit(workshop, "UPDATE envelope SET body = ?", body)
    edit(workshop, "DELETE FROM statement")
    await workshop.executor.run(ticket.id, forged(workshop, ticket, envelope=envelope_digest(body)))
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_T41_the_executors_own_policy_judges_the_evidence_that_it_verified_itself(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered("90.00")
    workshop.executor.judge.policy = type(workshop.executor.judge.policy).load(
        'permit(principal, action == Action::"pay", resource) when { context.staff.finance >= 1 };',
        workshop.executor.judge.desk,
    )
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    assert "own policy" in outcome(ended)["reason"]
    assert workshop.bank.payments == []


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "executor:other"},
        {"iss": "https://other.example"},
        {"redeemed_at": 5},
        {"run_by": 5},
        {"envelope": "0" * 43},
        {"ticket": "cf_other"},
        {"redeemed_at": 10**12, "run_by": 10**12},
    ],
    ids=["audience", "issuer", "before its request", "too late", "other bytes", "other ticket", "after its expiry"],
)
async def test_an_order_with_a_wrong_claim_is_refused(workshop: Workshop, changes: dict[str, Any]) -> None:
    ticket, _ = await workshop.ordered()
    await workshop.executor.run(ticket.id, forged(workshop, ticket, **changes))
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_an_order_signed_by_another_key_is_refused(workshop: Workshop) -> None:
    ticket, _ = await workshop.ordered()
    await workshop.executor.run(ticket.id, forged(workshop, ticket, SigningKey.generate()))
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_T40_changed_arguments_are_noticed(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    arguments = ticket.envelope.arguments.replace("40.00", "99.00")
    body = ticket.envelope.changed(arguments=arguments).to_bytes()
    edit(workshop, "UPDATE envelope SET body = ?", body)
    await workshop.executor.run(ticket.id, order)
    assert workshop.bank.payments == []
    # Even the authority's own key does not help: the people signed other bytes.
    edit(workshop, "UPDATE ticket SET state = 'executing' WHERE id = ?", ticket.id)
    await workshop.new_executor().run(ticket.id, forged(workshop, ticket, envelope=envelope_digest(body)))
    assert workshop.bank.payments == []


async def test_T40_one_persons_signature_does_not_stand_for_anothers(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered("200.00", "ann", "fay")
    edit(workshop, "DELETE FROM statement WHERE person = 'fay'")
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_T49_an_edited_roster_stops_the_executor(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    with sqlite3.connect(workshop.folder / "counterfoil.db", timeout=60) as database:
        table = next(
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "roster" in name
        )
        assert database.execute(f"DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})").rowcount == 1
    database.close()
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []


async def test_T49_somebody_ended_after_signing_counts_no_more(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    record = workshop.office.end("person", "ann")
    version = len(workshop.office.records)
    await workshop.store.add_roster_record(record, version=version, leaf=roster_leaf(record))
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.payments == []
    assert workshop.ledger.roster_version() == version


async def test_T27_facts_that_changed_since_the_approval_stop_the_effect(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    workshop.bank.balance = "1.00"
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    assert "changed" in outcome(ended)["reason"]
    assert workshop.bank.payments == []


async def test_a_fact_that_is_only_shown_may_change(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    workshop.bank.score = 77
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.EXECUTED


async def test_T45_the_executor_counts_from_its_own_ledger(workshop: Workshop) -> None:
    first, order = await workshop.ordered("60.00")
    await workshop.executor.run(first.id, order)
    edit(workshop, "UPDATE ticket SET amount = 0, state = 'declined' WHERE id = ?", first.id)
    second, order = await workshop.ordered("60.01")
    await workshop.executor.run(second.id, order)
    assert "own policy" in outcome(await workshop.now(second))["reason"]
    assert workshop.bank.payments == [first.id]


# How an effect can end ------------------------------------------------------------------------------------------------


async def test_a_connector_that_promises_nothing_happened_is_believed(workshop: Workshop) -> None:
    workshop.bank.fails = "promised"
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert (ended.state, outcome(ended)["reason"]) == (State.NOT_EXECUTED, "the bank is closed")


@pytest.mark.parametrize("how", ["before", "after", "hangs", "lies"])
async def test_any_other_failure_leaves_the_outcome_unknown(workshop: Workshop, how: str) -> None:
    workshop.bank.fails = how
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.UNKNOWN
    payments = list(workshop.bank.payments)
    await workshop.new_executor().recover(await workshop.now(ticket))
    assert (await workshop.now(ticket)).state is State.UNKNOWN
    assert workshop.bank.payments == payments


async def test_a_connector_that_hangs_is_told_by_its_time_limit_and_without_a_traceback(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    workshop.bank.fails = "hangs"
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    assert outcome(await workshop.now(ticket))["reason"] == "The connector did not answer within 0.2 seconds."
    assert [record.exc_info for record in caplog.records if "within" in record.message] == [None]


async def test_so_is_a_lookup_that_hangs(looking_workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    looking_workshop.bank.fails = looking_workshop.bank.lookup = "hangs"
    ticket, order = await looking_workshop.ordered()
    await looking_workshop.executor.run(ticket.id, order)
    reason = outcome(await looking_workshop.now(ticket))["reason"]
    assert reason.endswith("within 0.2 seconds. Its lookup did not answer within 0.2 seconds.")
    assert [record.exc_info for record in caplog.records if "within" in record.message] == [None, None]


async def test_a_receipt_of_ten_megabytes_is_cut_down(workshop: Workshop) -> None:
    workshop.bank.fails = "chatters"
    ticket, order = await workshop.ordered()
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert ended.state in (State.EXECUTED, State.UNKNOWN)
    assert len(ended.outcome or "") < 20_000


@pytest.mark.parametrize(
    ("how", "state"), [("before", State.NOT_EXECUTED), ("after", State.EXECUTED), ("hangs", State.EXECUTED)]
)
async def test_a_lookup_settles_what_happened(looking_workshop: Workshop, how: str, state: State) -> None:
    looking_workshop.bank.fails = how
    ticket, order = await looking_workshop.ordered()
    await looking_workshop.executor.run(ticket.id, order)
    assert (await looking_workshop.now(ticket)).state is state


async def test_a_lookup_that_fails_settles_nothing_until_it_works(looking_workshop: Workshop) -> None:
    looking_workshop.bank.fails, looking_workshop.bank.lookup = "after", "broken"
    ticket, order = await looking_workshop.ordered()
    await looking_workshop.executor.run(ticket.id, order)
    assert (await looking_workshop.now(ticket)).state is State.UNKNOWN
    looking_workshop.bank.lookup = "truth"
    await looking_workshop.new_executor().recover(await looking_workshop.now(ticket))
    ended = await looking_workshop.now(ticket)
    assert ended.state is State.EXECUTED
    assert outcome(ended)["receipt"]["reference"] == "R-found"
    assert looking_workshop.bank.payments == [ticket.id]


# What the log says ----------------------------------------------------------------------------------------------------


async def test_an_erased_decline_still_stops_the_effect(workshop: Workshop) -> None:
    ticket = await workshop.approved()
    await workshop.authority.revoke(f"ticket:{ticket.id}", "changed our mind")
    await workshop.executor.follow_log()
    edit(
        workshop,
        "UPDATE ticket SET state = 'executing', redeemed_at = requested_at, ended_at = NULL WHERE id = ?",
        ticket.id,
    )
    await workshop.executor.run(ticket.id, forged(workshop, ticket))
    assert workshop.bank.payments == []
    assert "stopped" in outcome(await workshop.now(ticket))["reason"]


async def test_T50_a_log_older_than_what_was_seen_is_refused(workshop: Workshop) -> None:
    await workshop.approved()
    await workshop.executor.follow_log()
    index, _ = workshop.ledger.head()
    with sqlite3.connect(workshop.folder / "ledger.db", timeout=60) as database:
        database.execute("UPDATE pinned SET number = ? WHERE name = 'log'", (index + 7,))
    database.close()
    with pytest.raises(TamperDetected, match="older"):
        await workshop.new_executor().follow_log()
    workshop.ledger.forget_head()
    await workshop.new_executor().follow_log()
    assert workshop.ledger.head()[0] == index


async def test_an_edited_leaf_stops_everything_that_follows(workshop: Workshop) -> None:
    ticket, order = await workshop.ordered()
    with sqlite3.connect(workshop.folder / "counterfoil.db", timeout=60) as database:
        number, body = database.execute("SELECT number, body FROM leaf ORDER BY number DESC LIMIT 1").fetchone()
        changed = canonical(json.loads(body) | {"at": 1})
        database.execute("UPDATE leaf SET body = ? WHERE number = ?", (changed, number))
    database.close()
    await workshop.executor.run(ticket.id, order)
    assert workshop.bank.payments == []
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
