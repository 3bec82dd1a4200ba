"""What the executor runs under a grant, and what it undoes: only what it can verify from signatures and its ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields

import pytest

from counterfoil import tokens
from counterfoil.authority import Requester
from counterfoil.tickets import GRANT_LIFE, Envelope, State, Ticket, envelope_digest
from held_keys import held
from server.execution.workshop import Workshop


async def payment(workshop: Workshop, conversation: str, value: str = "4.00") -> tuple[Ticket, str]:
    """A payment that policy lets run by itself, redeemed, and its order."""
    ticket = await workshop.requested(value, conversation=conversation)
    assert ticket.state is State.APPROVED
    delivered = await workshop.authority.deliver(ticket.id)
    assert delivered is not None
    return delivered


def edit(workshop: Workshop, sql: str, *values: object, file: str = "counterfoil.db") -> None:
    with closing(sqlite3.connect(workshop.folder / file, isolation_level=None)) as connection:
        connection.execute(sql, values)


async def refused(workshop: Workshop, ticket: Ticket, order: str, why: str) -> None:
    await workshop.executor.run(ticket.id, order)
    ended = await workshop.now(ticket)
    assert ended.state is State.NOT_EXECUTED
    assert why in (ended.outcome or "")
    assert workshop.bank.payments == []


async def test_an_operation_runs_by_itself_under_a_verified_grant(workshop: Workshop) -> None:
    _, handle = await workshop.granted()
    ticket, order = await payment(workshop, handle)
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.EXECUTED
    assert workshop.bank.payments == [ticket.id]


async def test_T45_the_executor_counts_what_ran_by_itself(workshop: Workshop) -> None:
    _, handle = await workshop.granted()
    for value, state in (("4.00", State.EXECUTED), ("5.00", State.EXECUTED)):
        ticket, order = await payment(workshop, handle, value)
        await workshop.executor.run(ticket.id, order)
        assert (await workshop.now(ticket)).state is state
    edit(workshop, "UPDATE ticket SET effect = NULL WHERE operation = 'pay'")  # the store forgets
    ticket, order = await payment(workshop, handle, "2.00")
    await workshop.executor.run(ticket.id, order)
    assert (await workshop.now(ticket)).state is State.NOT_EXECUTED
    assert len(workshop.bank.payments) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "A-2", "arguments": '{"account":"A-2","amount":{"currency":"EUR","value":"4.00"}}'},
        {"principal": "other"},
        {"conversation": "cv_other"},
        {"grant": "cf_unknown"},
        {"grant": "its own ticket"},
        {"grant": None},
    ],
    ids=lambda changes: " ".join(changes),
)
async def test_T44_a_forged_request_under_somebody_elses_grant_runs_nothing(
    workshop: Workshop, changes: dict[str, str | None]
) -> None:
    """Whoever holds the authority's key and the database still cannot use one holder's grant for something else."""
    _, handle = await workshop.granted()
    ticket, _ = await payment(workshop, handle)
    own = {"grant": ticket.id} if changes.get("grant") == "its own ticket" else {}
    forged = ticket.envelope.changed(**changes | own)
    await refused(workshop, ticket, stored(workshop, ticket, forged), "")


def stored(workshop: Workshop, ticket: Ticket, forged: Envelope) -> str:
    """Put the forged envelope in the ticket's place, and sign an order for it with the authority's own key."""
    body = forged.to_bytes()
    edit(workshop, "DROP TRIGGER IF EXISTS envelope_is_frozen")
    edit(
        workshop,
        "UPDATE envelope SET body = ? WHERE ticket = (SELECT number FROM ticket WHERE id = ?)",
        body,
        ticket.id,
    )
    claims = tokens.OrderClaims(
        iss=workshop.authority.issuer, aud=workshop.executor.name, jti=f"order-{ticket.id}", ticket=ticket.id,
        envelope=envelope_digest(body), redeemed_at=ticket.redeemed_at or 0, run_by=(ticket.redeemed_at or 0) + 300,
    )  # fmt: skip
    return tokens.sign(held(workshop.stolen_ring.current), tokens.ORDER_TYPE, claims.members())


async def test_a_grant_that_this_executor_never_carried_out_is_worth_nothing(workshop: Workshop) -> None:
    access, handle = await workshop.granted()
    ticket, order = await payment(workshop, handle)
    edit(workshop, "DELETE FROM effect WHERE ticket = ?", access.id, file="ledger.db")
    await refused(workshop, ticket, order, "never carried out")


async def test_a_grant_that_was_stopped_meanwhile_is_worth_nothing(workshop: Workshop) -> None:
    access, handle = await workshop.granted()
    ticket, order = await payment(workshop, handle)
    await workshop.authority.revoke(f"ticket:{access.id}", "x")
    await refused(workshop, ticket, order, "does not hold")


async def test_a_redemption_after_the_grants_end_runs_nothing_whatever_the_order_says(workshop: Workshop) -> None:
    _, handle = await workshop.granted()
    ticket, _ = await payment(workshop, handle)
    workshop.clock.at += GRANT_LIFE
    values = {each.name: getattr(ticket, each.name) for each in fields(Ticket)}
    late = Ticket(**values | {"redeemed_at": workshop.store.now()})
    await refused(workshop, ticket, stored(workshop, late, ticket.envelope), "does not hold")


# Undo -----------------------------------------------------------------------------------------------------------------


async def paid(workshop: Workshop) -> Ticket:
    return await workshop.carried_out(await workshop.approved("40.00"))


async def test_an_undo_gets_the_receipt_of_what_this_executor_did(workshop: Workshop) -> None:
    first = await paid(workshop)
    undone = await workshop.carried_out(await workshop.signed(await workshop.undoing(first), "ann"))
    assert undone.state is State.EXECUTED
    assert workshop.bank.taken_back == ["R-1"]


@pytest.mark.parametrize("what", ["receipt", "effect"])
async def test_T40_the_executor_believes_its_own_ledger_and_not_the_stored_receipt(
    workshop: Workshop, what: str
) -> None:
    first = await paid(workshop)
    if what == "receipt":
        edit(workshop, "UPDATE ticket SET outcome = ? WHERE id = ?", '{"receipt":{"reference":"theirs"}}', first.id)
    else:
        edit(workshop, "DELETE FROM effect WHERE ticket = ?", first.id, file="ledger.db")
    ticket = await workshop.signed(await workshop.undoing(first), "ann")
    assert (await workshop.carried_out(ticket)).state is State.NOT_EXECUTED
    assert workshop.bank.taken_back == []


async def test_T42_a_second_undo_is_refused_by_the_ledger_whatever_is_stored(workshop: Workshop) -> None:
    first = await paid(workshop)
    one = await workshop.signed(await workshop.undoing(first), "ann")
    handle = (await workshop.authority.start_conversation("agent")).id
    other = await workshop.signed(await workshop.undoing(first, handle), "ann")
    await workshop.carried_out(one)
    edit(workshop, "UPDATE ticket SET undoes = NULL")
    assert (await workshop.carried_out(other)).state is State.NOT_EXECUTED
    assert workshop.bank.taken_back == ["R-1"]


async def test_an_access_is_carried_out_without_any_system_and_named_as_such(workshop: Workshop) -> None:
    access, handle = await workshop.granted()
    assert access.state is State.EXECUTED
    assert "may read" in (access.outcome or "")
    assert (await workshop.authority.access("agent", handle)).account == "A-1"
    again = Requester("agent", conversation=handle)
    assert (await workshop.authority.request(again, "access", b'{"account":"A-1"}')).id == access.id
