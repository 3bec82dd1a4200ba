"""What an executor outside is handed, and what it refuses although the authority's own side would have run it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capabilities.world import ISSUER, Passkey
from counterfoil import Rung
from counterfoil.bundle import RosterRecords
from counterfoil.canonical import canonical
from counterfoil.errors import OrderRefused, RosterRefused, SettingsError
from counterfoil.keys import SigningKey
from counterfoil.presented import FEED_LIFE, OrderVerifier
from counterfoil.proof import Proven
from counterfoil.tickets import Event, State, Ticket, envelope_digest
from counterfoil.tokens import ORDER_TYPE, OrderClaims, sign
from held_keys import held
from server.execution.outside import PAYMENTS, Remembered, follow, trust_of
from server.execution.workshop import Workshop, open_workshop

pytestmark = pytest.mark.anyio

FLOORS = {"pay": (Rung(holder="passkey", code=True),)}


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(tmp_path, outside=PAYMENTS) as found:
        yield found


async def presented(workshop: Workshop, value: str = "40.00") -> tuple[Ticket, dict[str, Any]]:
    """A payment that its own side ran, and what its connector was given to hand on."""
    ticket = await workshop.carried_out(await workshop.approved(value))
    assert ticket.state is State.EXECUTED
    found: dict[str, Any] = json.loads(workshop.bank.presented[-1])
    return ticket, found


async def judged(
    workshop: Workshop, value: object, *, later: int = 0, memory: Remembered | None = None, **own: Any
) -> Proven:
    """What the executor outside says of it, having heard everything unless ``memory`` says otherwise."""
    if memory is None:
        memory = Remembered()
        await follow(workshop, memory)
    made: dict[str, Any] = {"trust": trust_of(workshop), "executor": PAYMENTS, "floors": FLOORS, "memory": memory} | own
    verifier = OrderVerifier(**made)
    return verifier.verify(canonical(value), now=workshop.store.now() + later)


async def test_an_order_with_its_evidence_verifies_from_pinned_trust_alone(workshop: Workshop) -> None:
    ticket, value = await presented(workshop)
    proven = await judged(workshop, value)
    assert (proven.envelope.ticket, proven.evidence.people) == (ticket.id, ("ann",))
    assert proven.envelope.argument_values["amount"] == {"currency": "EUR", "value": "40.00"}
    assert set(value) == {"format", "v", "order", "envelope", "statements", "displays", "roster"}


async def test_operations_without_an_executor_outside_hand_nothing_on(tmp_path: Path) -> None:
    async with open_workshop(tmp_path) as workshop:
        ticket = await workshop.carried_out(await workshop.approved())
        assert ticket.state is State.EXECUTED
        assert workshop.bank.presented == []
        assert ticket.envelope.executor != PAYMENTS


async def test_an_undo_is_addressed_as_what_it_undoes(workshop: Workshop) -> None:
    ticket, _ = await presented(workshop)
    undone = await workshop.undoing(ticket)
    assert undone.envelope.executor == PAYMENTS


async def test_an_order_for_another_executor_or_of_another_issuer_is_refused(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    with pytest.raises(OrderRefused, match="another executor"):
        await judged(workshop, value, executor="books")
    with pytest.raises(OrderRefused, match="another authority"):
        await judged(workshop, value, trust=trust_of(workshop, issuer="https://evil.example"))


async def test_a_stolen_authority_key_alone_runs_nothing(workshop: Workshop) -> None:
    """It signs an order for what nobody redeemed: the log that the executor follows does not tell of it (T42)."""
    _, value = await presented(workshop)
    ticket = await workshop.approved("41.00")
    claims = OrderClaims(
        iss=ISSUER, aud=PAYMENTS, jti="order", ticket=ticket.id, envelope=ticket.digest,
        redeemed_at=workshop.store.now(), run_by=workshop.store.now() + 60,
    )  # fmt: skip
    order = sign(held(workshop.stolen_ring.current), ORDER_TYPE, claims.members())
    forged = value | {"order": order, "envelope": ticket.envelope_bytes.decode()}
    with pytest.raises(OrderRefused, match="The log does not tell of this redemption"):
        await judged(workshop, forged)
    other = sign(SigningKey.generate(), ORDER_TYPE, claims.members())
    with pytest.raises(OrderRefused, match="signature or form"):
        await judged(workshop, forged | {"order": other})


async def test_signatures_of_another_request_do_not_transfer(workshop: Workshop) -> None:
    _, first = await presented(workshop)
    _, second = await presented(workshop, "41.00")
    with pytest.raises(OrderRefused, match="A signature for this order does not hold"):
        await judged(workshop, second | {"statements": first["statements"]})
    with pytest.raises(OrderRefused, match="do not meet what the request requires"):
        await judged(workshop, second | {"statements": []})


async def test_a_page_that_showed_something_else_is_refused(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    [page] = [each for each in value["displays"] if each["seat"] == "holder"]
    shown = json.loads(page["content"])
    shown["arguments"][0]["value"] = "4.00 EUR"
    lie = {"seat": "holder", "content": canonical(shown).decode()}
    with pytest.raises(OrderRefused, match="What was shown does not fit the request"):
        await judged(workshop, value | {"displays": [lie]})
    shown = json.loads(page["content"])
    shown["summary"] = "Pay nothing out."
    with pytest.raises(OrderRefused, match="something else than was to be shown"):
        await judged(workshop, value | {"displays": [{"seat": "holder", "content": canonical(shown).decode()}]})
    with pytest.raises(OrderRefused, match="something else than was to be shown"):
        await judged(workshop, value | {"displays": []})


async def test_a_roster_that_is_cut_forged_or_older_than_the_log_says_is_refused(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    records, enrolments = value["roster"]["records"], value["roster"]["enrolments"]
    cut = {"records": records[:-1], "enrolments": enrolments}
    pinned = trust_of(workshop, roster=workshop.office.trust(minimum_version=len(records)))
    with pytest.raises(RosterRefused, match="records; at least"):
        await judged(workshop, value | {"roster": cut}, trust=pinned)
    forged = json.loads(enrolments[0])
    forged["enrolment"]["credential"] = Passkey("stranger").credential
    added = {"records": records, "enrolments": [canonical(forged).decode(), *enrolments]}
    with pytest.raises(RosterRefused, match=r"no invitation of its own|not properly signed"):
        await judged(workshop, value | {"roster": added})

    class Counted(Remembered):
        def roster_records(self) -> int:
            return len(records) + 1

    memory = Counted()
    await follow(workshop, memory)
    with pytest.raises(RosterRefused, match="lacks records that the log tells of"):
        await judged(workshop, value, memory=memory)


async def test_a_verified_roster_is_remembered_only_for_the_very_same_records(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    memory = Remembered()
    await follow(workshop, memory)
    verifier = OrderVerifier(trust=trust_of(workshop), executor=PAYMENTS, floors=FLOORS, memory=memory)
    now = workshop.store.now()
    assert verifier.verify(canonical(value), now=now).evidence.people == ("ann",)
    broken = [*value["roster"]["records"][:-1], value["roster"]["records"][-1][:-6] + "AAAAAA"]
    records = RosterRecords(records=tuple(broken), enrolments=tuple(value["roster"]["enrolments"]))
    with pytest.raises(RosterRefused):
        verifier.verify(canonical(value | {"roster": records.model_dump(mode="json")}), now=now)
    assert verifier.verify(canonical(value), now=now).evidence.people == ("ann",)


async def test_the_executors_own_floor_stands_above_the_authoritys_policy(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    strict = {"pay": (Rung(holder="passkey", staff={"finance": 1}, code=True),)}
    with pytest.raises(OrderRefused, match=r"runs pay only if .* role finance"):
        await judged(workshop, value, floors=strict)
    for floors in ({}, {"pay": ()}, {"other": FLOORS["pay"]}):
        with pytest.raises(OrderRefused, match="does not run the operation 'pay'"):
            await judged(workshop, value, floors=floors)


async def test_what_was_heard_too_long_ago_or_in_the_time_to_come_is_not_heard(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    with pytest.raises(OrderRefused, match="lately was not heard"):
        await judged(workshop, value, memory=Remembered())
    await judged(workshop, value, later=-FEED_LIFE)
    for later in (FEED_LIFE + 1, -FEED_LIFE - 1):
        with pytest.raises(OrderRefused, match="lately was not heard"):
            await judged(workshop, value, later=later)
    await judged(workshop, value, later=FEED_LIFE)


async def test_an_order_is_not_run_after_its_time_by_the_later_of_two_clocks(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    workshop.clock.at += 301
    with pytest.raises(OrderRefused, match="too late"):
        await judged(workshop, value, later=-FEED_LIFE)


@pytest.mark.parametrize(
    "scope",
    [
        "everything", "operation:pay", "principal:agent", "account:A-1", "person:ann", "principal-account:agent|A-1",
        "ticket:{ticket}", "key:{key}",
    ],
)  # fmt: skip
async def test_what_the_feed_tells_to_be_barred_runs_nothing_until_it_is_resumed(
    workshop: Workshop, scope: str
) -> None:
    ticket, value = await presented(workshop)
    scope = scope.format(ticket=ticket.id, key=workshop.stolen_ring.current.id)
    await workshop.authority.suspend(scope, "a drill")
    with pytest.raises(OrderRefused, match=r"suspended or revoked|signature or form"):
        await judged(workshop, value)
    await workshop.authority.resume(scope)
    assert (await judged(workshop, value)).envelope.ticket == ticket.id


@pytest.mark.parametrize("event", [Event.DECLINE, Event.REVOKE, Event.CANCEL, Event.EXPIRE])
async def test_a_refusal_that_was_heard_outlives_its_erasure(workshop: Workshop, event: Event) -> None:
    """Whoever has the database and the authority's key takes a refusal back: the executor has heard it (T47)."""
    _, value = await presented(workshop)
    memory = Remembered()
    await follow(workshop, memory)
    heard = memory.heard[-1]
    memory.heard.append(type(heard)(heard.index + 1, event.value, json.loads(value["envelope"])["ticket"]))
    with pytest.raises(OrderRefused, match="was stopped"):
        await judged(workshop, value, memory=memory)


async def test_what_ran_under_a_grant_is_not_run_outside(workshop: Workshop) -> None:
    _, value = await presented(workshop)
    envelope = json.loads(value["envelope"]) | {"grant": "cf_other"}
    body = canonical(envelope)
    claims = OrderClaims(
        iss=ISSUER, aud=PAYMENTS, jti="order", ticket=envelope["ticket"], envelope=envelope_digest(body),
        redeemed_at=workshop.store.now(), run_by=workshop.store.now() + 60,
    )  # fmt: skip
    memory = Remembered()
    await follow(workshop, memory)
    memory.heard = [
        replace(each, envelope=envelope_digest(body), at=claims.redeemed_at) if each.envelope else each
        for each in memory.heard
    ]
    order = sign(held(workshop.stolen_ring.current), ORDER_TYPE, claims.members())
    with pytest.raises(OrderRefused, match="Nobody signed for this request itself"):
        await judged(workshop, value | {"order": order, "envelope": body.decode()}, memory=memory)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"format":"counterfoil-order"}', b"\xff", b"null"])
async def test_what_is_no_presented_order_is_refused_in_words(workshop: Workshop, body: bytes) -> None:
    verifier = OrderVerifier(trust=trust_of(workshop), executor=PAYMENTS, floors=FLOORS, memory=Remembered())
    with pytest.raises(OrderRefused, match="no order of Counterfoil"):
        verifier.verify(body, now=0)


@pytest.mark.parametrize(
    "rung",
    [
        Rung(staff={"finance": 0}),
        Rung(hold=-1),
        Rung(code=-1),  # type: ignore[arg-type]
        Rung(holder="paskey"),  # type: ignore[arg-type]
    ],
)
async def test_a_floor_that_anything_or_nothing_reaches_is_told_when_the_executor_starts(
    workshop: Workshop, rung: Rung
) -> None:
    _, value = await presented(workshop)
    with pytest.raises(SettingsError, match="The floor of pay is not right: "):
        await judged(workshop, value, floors={"pay": (rung,)})


async def test_any_byte_changed_is_refused(workshop: Workshop) -> None:
    """Every hundredth byte here; whatever is not refused means the same as before."""
    ticket, value = await presented(workshop)
    memory = Remembered()
    await follow(workshop, memory)
    verifier = OrderVerifier(trust=trust_of(workshop), executor=PAYMENTS, floors=FLOORS, memory=memory)
    body, now = canonical(value), workshop.store.now()
    refused = 0
    for place in range(0, len(body), 101):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        try:
            assert verifier.verify(changed, now=now).envelope.ticket == ticket.id
        except (OrderRefused, RosterRefused):
            refused += 1
    assert refused >= len(range(0, len(body), 101)) - 3


@pytest.mark.parametrize(
    ("scope", "bars"), [("account:A-1", False), ("operation:pay", False), ("everything", False), ("person:ann", True)]
)
async def test_a_revocation_bars_outside_what_it_bars_here(workshop: Workshop, scope: str, bars: bool) -> None:
    """Revoking an account ends what was open on it; what is asked for afterwards runs, here and there."""
    await workshop.approved("41.00")
    await workshop.authority.revoke(scope, "a drill")
    if bars:
        memory = Remembered()
        await follow(workshop, memory)
        assert memory.barred([scope])
        return
    ticket, value = await presented(workshop)
    assert (await judged(workshop, value)).envelope.ticket == ticket.id
