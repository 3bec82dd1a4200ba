"""The payments service runs an order once, and only one that it verified itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from capabilities.world import ISSUER, Office, Passkey
from counterfoil.authority import Requester
from counterfoil.canonical import canonical
from counterfoil.keys import SigningKey
from counterfoil.tickets import Event, Ticket
from counterfoil.tokens import ORDER_TYPE, OrderClaims, sign
from examples.payments.bureau import Bureau, Service
from held_keys import held
from server.execution.outside import PAYMENTS
from server.execution.workshop import Workshop

pytestmark = pytest.mark.anyio


async def test_an_approved_refund_is_paid_once_however_often_it_is_presented(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    assert (await service.where(ticket)).state == (404, "never_seen")
    first = await service.present(order)
    assert first.state == (200, "executed")
    assert first.value["receipt"] == {
        "reference": "R-1", "summary": "40.00 EUR of order O-1001 go back to Visa ending 4242.",
    }  # fmt: skip
    for again in (await service.present(order), await service.where(ticket), await service.close(ticket)):
        assert again == first
    assert bureau.refunded == [4000]


async def test_twenty_presentations_at_once_have_one_effect(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    answers = await asyncio.gather(*[service.present(order) for _ in range(20)])
    assert {answer.state for answer in answers} <= {(200, "executed"), (409, "unknown")}
    assert (200, "executed") in {answer.state for answer in answers}
    assert bureau.refunded == [4000]
    assert (await service.where(ticket)).state == (200, "executed")


async def test_a_refund_is_taken_back_once(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    paid = await service.present(order)
    await bureau.workshop.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": paid.value["receipt"]})
    asked = await bureau.workshop.authority.request(
        Requester("agent"), "undo_refund", json.dumps({"ticket": ticket.id}).encode()
    )
    undo = await bureau.redeemed(await bureau.workshop.signed(asked, "ann"))
    first = await service.present(undo)
    assert (first.state, first.value["receipt"]["reference"]) == ((200, "executed"), "T-1")
    assert await service.present(undo) == first
    assert bureau.refunded == []
    assert bureau.rows("SELECT refunded FROM payment WHERE order_id = 'O-1001'") == [(0,)]


async def test_a_ticket_that_was_closed_before_it_began_never_begins(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    closed = await service.close(ticket)
    assert closed.state == (200, "not_executed")
    assert await service.present(order) == await service.where(ticket) == closed
    assert bureau.refunded == []


async def refused(bureau: Bureau, service: Service, ticket: Ticket, order: str, why: str) -> None:
    """The order is refused for good, and that was written down."""
    answer = await service.present(order)
    assert answer.state == (200, "not_executed"), answer
    assert why in answer.reason
    assert bureau.refunded == []
    assert bureau.ledger() == [(ticket.id, "not_executed")]
    assert await service.where(ticket) == answer


async def forged(workshop: Workshop, ticket: Ticket, order: str, key: SigningKey, *, ago: int = 10) -> str:
    """An order for the ticket, signed by the key."""
    now = workshop.store.now()
    claims = OrderClaims(
        iss=ISSUER, aud=PAYMENTS, jti="forged", ticket=ticket.id, envelope=ticket.digest, redeemed_at=now - ago,
        run_by=now + 60,
    )  # fmt: skip
    value = json.loads(order)
    value |= {"order": sign(key, ORDER_TYPE, claims.members()), "envelope": ticket.envelope_bytes.decode()}
    return canonical(value).decode()


async def test_a_stolen_authority_key_runs_nothing(bureau: Bureau, service: Service) -> None:
    """It signs an order for a refund that nobody redeemed, with the evidence of another one."""
    workshop = bureau.workshop
    _, genuine = await bureau.ordered("O-1002", "1.00")
    ticket = await bureau.approved()
    bureau.spend(60)
    order = await forged(workshop, ticket, genuine, held(workshop.stolen_ring.current))
    await refused(bureau, service, ticket, order, "The log does not tell of this redemption")


async def test_an_order_by_another_key_is_refused(bureau: Bureau, service: Service) -> None:
    ticket, genuine = await bureau.ordered()
    order = await forged(bureau.workshop, ticket, genuine, SigningKey.generate())
    await refused(bureau, service, ticket, order, "signature or form is not valid")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda value: value.update(statements=[]), "do not meet what the request requires"),
        (lambda value: value.update(displays=[]), "something else than was to be shown"),
        (lambda value: value["roster"].update(records=value["roster"]["records"][:-1]), "lacks records"),
    ],
)
async def test_evidence_that_was_changed_is_refused(
    bureau: Bureau, service: Service, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    ticket, order = await bureau.ordered()
    value = json.loads(order)
    change(value)
    await refused(bureau, service, ticket, canonical(value).decode(), why)


async def test_a_forged_or_stolen_roster_record_is_refused(bureau: Bureau, service: Service) -> None:
    """A record of another office, and a passkey that nobody invited, in place of ann's."""
    ticket, order = await bureau.ordered()
    value = json.loads(order)
    thief = Office()
    value["roster"]["records"].append(thief.invite("eve", accounts=("A-1",)))
    await refused(bureau, service, ticket, canonical(value).decode(), "roster")
    other, order = await bureau.ordered("O-1002")
    value = json.loads(order)
    enrolment = json.loads(value["roster"]["enrolments"][0])
    enrolment["enrolment"]["credential"] = Passkey("stranger").credential
    value["roster"]["enrolments"] = [canonical(enrolment).decode()]
    answer = await service.present(canonical(value).decode())
    assert answer.state == (200, "not_executed")
    assert bureau.refunded == []
    assert (await service.where(other)).state == (200, "not_executed")


async def test_a_roster_older_than_the_pinned_one_is_refused(bureau: Bureau) -> None:
    bureau.write(roster=bureau.workshop.office.trust(minimum_version=len(bureau.workshop.office.records) + 1))
    async with bureau.serving() as service:
        ticket, order = await bureau.ordered()
        await refused(bureau, service, ticket, order, "at least")


async def test_the_services_own_floor_stands_above_the_desks_policy(bureau: Bureau) -> None:
    bureau.staff = "staff = { finance = 1 }"
    bureau.write()
    async with bureau.serving() as service:
        ticket, order = await bureau.ordered()
        await refused(bureau, service, ticket, order, "role finance")


async def test_an_order_for_another_executor_is_refused(bureau: Bureau) -> None:
    bureau.write(executors=frozenset({"books"}))
    settings = (bureau.folder / "payments.toml").read_text().replace('executor = "payments"', 'executor = "books"')
    (bureau.folder / "payments.toml").write_text(settings)
    async with bureau.serving() as service:
        ticket, order = await bureau.ordered()
        await refused(bureau, service, ticket, order, "another executor")


async def test_an_order_that_comes_too_late_is_refused(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    bureau.spend(301)
    await refused(bureau, service, ticket, order, "too late")


async def test_the_services_own_limits_stand_above_every_signature(bureau: Bureau, service: Service) -> None:
    for value, why in (("500.01", "at once"), ("450.00", ""), ("400.00", "in a day"), ("350.00", "")):
        ticket = await bureau.approved("O-1003", value)
        answer = await service.present(await bureau.redeemed(ticket))
        assert (answer.value["state"], why in answer.reason) == ("not_executed" if why else "executed", True)
    assert bureau.refunded == [45000, 35000]


async def test_never_more_is_paid_back_than_was_paid_nor_to_anybody_else(bureau: Bureau, service: Service) -> None:
    for order_id, value, why in (
        ("O-1002", "49.01", "left to be paid"), ("O-2001", "1.00", "no payment"), ("O-1002", "1.005", "whole number"),
    ):  # fmt: skip
        ticket, order = await bureau.ordered(order_id, value)
        answer = await service.present(order)
        assert answer.state == (200, "not_executed")
        assert why in answer.reason
        assert await service.present(order) == await service.where(ticket) == answer
    assert bureau.refunded == []


async def test_a_payment_that_changed_since_people_looked_at_it_is_not_touched(
    bureau: Bureau, service: Service
) -> None:
    first, second = await bureau.approved(value="10.00"), await bureau.approved(value="20.00")
    assert (await service.present(await bureau.redeemed(first))).state == (200, "executed")
    answer = await service.present(await bureau.redeemed(second))
    assert answer.state == (200, "not_executed")
    assert "has changed since" in answer.reason
    assert bureau.refunded == [1000]


async def test_what_was_revoked_after_its_approval_is_refused(bureau: Bureau, service: Service) -> None:
    ticket, order = await bureau.ordered()
    await bureau.workshop.authority.revoke(f"ticket:{ticket.id}", "a drill")
    await refused(bureau, service, ticket, order, "suspended or revoked")
