"""What an executor verifies of an order, from the order and its own trust alone (T25, T26, T41)."""

from __future__ import annotations

from typing import Any

import pytest

from capabilities.world import (
    EXECUTOR,
    ISSUER,
    PARTY,
    START,
    Office,
    Passkey,
    Shop,
    envelope_of,
    shop_desk,
    signed_by,
    staffed_office,
    statement_of,
)
from counterfoil.canonical import canonical
from counterfoil.display import display, display_digest
from counterfoil.errors import OrderRefused
from counterfoil.evidence import SignedStatement
from counterfoil.keys import SigningKey
from counterfoil.proof import MAX_RUN, Proven, verify_envelope, verify_evidence
from counterfoil.roster import Roster
from counterfoil.rungs import Rung
from counterfoil.statements import HOLDER
from counterfoil.tickets import Envelope, envelope_digest
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, OrderClaims, sign

DESK = shop_desk(Shop())
OFFICE, PASSKEYS = staffed_office()
ROSTER = OFFICE.roster()
KEY = SigningKey.generate()
ENVELOPE = envelope_of(DESK)
REDEEMED_AT = START + 100
FINANCE = "staff:finance"


def order(envelope: Envelope = ENVELOPE, /, *, kind: str = ORDER_TYPE, key: SigningKey = KEY, **changes: Any) -> str:
    claims = {
        "iss": ISSUER, "aud": EXECUTOR, "jti": f"order-{envelope.ticket}", "ticket": envelope.ticket,
        "envelope": envelope_digest(envelope.to_bytes()), "redeemed_at": REDEEMED_AT, "run_by": REDEEMED_AT + 300,
    }  # fmt: skip
    return sign(key, kind, claims | changes)


def verify(text: str, body: bytes = ENVELOPE.to_bytes(), now: int = REDEEMED_AT) -> tuple[OrderClaims, Envelope]:
    return verify_envelope(text, body, issuer=ISSUER, executor=EXECUTOR, keys={KEY.id: KEY.public}, now=now)


def by(person: str, seat: str = HOLDER, envelope: Envelope = ENVELOPE, /, **changes: Any) -> SignedStatement:
    return signed_by(PASSKEYS[person], statement_of(DESK, envelope, person, PASSKEYS[person], seat, **changes))


ENOUGH = (by("ann"), by("fay", FINANCE))


def prove(
    *statements: SignedStatement,
    envelope: Envelope = ENVELOPE,
    roster: Roster = ROSTER,
    organisation: str = DESK.name,
    **changes: Any,
) -> Proven:
    body = envelope.to_bytes()
    claims, read = verify(order(envelope, **changes), body)
    return verify_evidence(
        claims,
        read,
        statements,
        roster=roster,
        party=PARTY,
        display_of=lambda seat: display_digest(display(organisation, DESK.operations["refund"], envelope, seat)),
    )


def refuse(*statements: SignedStatement, **changes: Any) -> str:
    with pytest.raises(OrderRefused) as caught:
        prove(*statements, **changes)
    return str(caught.value)


# Steps 1 to 3: the order and the envelope -----------------------------------------------------------------------------


def test_an_order_for_this_envelope_is_accepted() -> None:
    claims, envelope = verify(order())
    assert (claims.ticket, envelope) == ("cf_1", ENVELOPE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "authority"),
        ({"aud": "executor:bank"}, "executor"),
        ({"ticket": "cf_2"}, "different tickets"),
        ({"envelope": "x"}, "not the one"),
        ({"redeemed_at": START - 1}, "lifetime"),
        ({"redeemed_at": START + 86400}, "lifetime"),
        ({"run_by": REDEEMED_AT - 1}, "late"),
        ({"kind": CAPABILITY_TYPE}, "form"),
        ({"key": SigningKey.generate()}, "signature"),
    ],
)
def test_an_order_with_any_claim_changed_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(OrderRefused, match=reason):
        verify(order(**changes))


def test_T25_the_stored_bytes_are_those_that_the_order_names() -> None:
    for changes in (
        {"arguments": '{"account":"A-1","amount":{"currency":"EUR","value":"999.00"},"order_id":"O-1"}'},
        {"account": "A-2"},
        {"facts": None},
        {"requirements": (Rung(holder="link"),)},
        {"salt": "AA"},
    ):
        with pytest.raises(OrderRefused, match="not the one"):
            verify(order(), envelope_of(DESK, **changes).to_bytes())


def test_bytes_that_are_no_envelope_are_refused_also_where_the_order_names_them() -> None:
    for body in (b"{}", ENVELOPE.to_bytes() + b" ", canonical({"v": 1})):
        with pytest.raises(OrderRefused, match="changed outside"):
            verify(order(envelope=envelope_digest(body)), body)


@pytest.mark.parametrize("changes", [{"executor": "executor:bank"}, {"issuer": "https://evil.example"}])
def test_an_envelope_for_another_executor_or_by_another_issuer_is_refused(changes: dict[str, Any]) -> None:
    other = envelope_of(DESK, **changes)
    with pytest.raises(OrderRefused, match="different"):
        verify(order(other), other.to_bytes())


def test_an_order_is_run_in_time() -> None:
    verify(order(), now=REDEEMED_AT + 300)
    with pytest.raises(OrderRefused, match="late"):
        verify(order(), now=REDEEMED_AT + 301)
    verify(order(redeemed_at=START))
    verify(order(redeemed_at=START + 86399, run_by=START + 86699), now=START + 86400)


@pytest.mark.parametrize(
    ("redeemed_at", "run_by"), [(REDEEMED_AT + 1, REDEEMED_AT + 301), (REDEEMED_AT, REDEEMED_AT + MAX_RUN + 1)]
)
def test_T42_an_order_from_the_future_or_for_ever_is_refused(redeemed_at: int, run_by: int) -> None:
    with pytest.raises(OrderRefused, match="not possible"):
        verify(order(redeemed_at=redeemed_at, run_by=run_by), now=REDEEMED_AT)


# Steps 4 and 5: the signatures ----------------------------------------------------------------------------------------


def test_the_signatures_that_were_asked_for_prove_an_order() -> None:
    proven = prove(*ENOUGH)
    assert proven.evidence.people == ("ann", "fay")
    assert proven.reached == Rung(holder="passkey", staff={"finance": 1}, code=True, hold=90)
    assert (proven.claims.ticket, proven.envelope) == ("cf_1", ENVELOPE)


@pytest.mark.parametrize("kept", [(), (0,), (1,)])
def test_a_missing_signature_is_missed(kept: tuple[int, ...]) -> None:
    assert "do not meet" in refuse(*(ENOUGH[at] for at in kept))


def test_a_signature_too_many_does_no_harm_if_it_holds() -> None:
    assert prove(*ENOUGH, by("fox", FINANCE)).reached.staff == {"finance": 2}
    assert "does not hold" in refuse(*ENOUGH, by("fox", FINANCE, display="x"))
    assert "does not hold" in refuse(*ENOUGH, by("fil", FINANCE))
    assert "does not hold" in refuse(*ENOUGH, ENOUGH[1])


def test_a_foreign_signature_proves_nothing() -> None:
    other = envelope_of(DESK, ticket="cf_2")
    assert "another request" in refuse(by("ann", HOLDER, other), ENOUGH[1])
    assert "another request" in refuse(*ENOUGH, envelope=other)


def test_a_decline_among_the_signatures_refuses_the_order() -> None:
    assert "declined" in refuse(*ENOUGH, by("fox", FINANCE, decision="decline"))


def test_T41_an_envelope_that_requires_nothing_is_refused_with_and_without_signatures() -> None:
    for requirements in ((), (Rung(),)):
        nothing = envelope_of(DESK, requirements=requirements)
        assert "do not meet" in refuse(envelope=nothing)
    asks_for_link = envelope_of(DESK, requirements=(Rung(), Rung(holder="passkey", staff={"finance": 2})))
    partial = (by("ann", HOLDER, asks_for_link), by("fay", FINANCE, asks_for_link))
    assert "do not meet" in refuse(*partial, envelope=asks_for_link)


def test_T26_people_who_saw_another_page_approved_something_else() -> None:
    assert "shown" in refuse(*ENOUGH, organisation="Another name")


def test_T49_the_roster_is_the_executors_own() -> None:
    strangers = Office()
    for person in ("ann", "fay"):
        invitation = strangers.invite(person, accounts=["A-1"] * (person == "ann"), roles=["finance"])
        strangers.enrol(invitation, person, Passkey(PASSKEYS[person].credential))
    assert "does not hold" in refuse(*ENOUGH, roster=strangers.roster())
    assert "does not hold" in refuse(*ENOUGH, roster=Office().roster())


def test_a_signature_made_after_the_redemption_proves_nothing() -> None:
    late = by("fay", FINANCE, iat=REDEEMED_AT + 1, exp=REDEEMED_AT + 2)
    assert "after" in refuse(ENOUGH[0], late)
    prove(ENOUGH[0], by("fay", FINANCE, iat=REDEEMED_AT, exp=REDEEMED_AT + 2))


def test_a_waiting_time_passes_between_the_last_signature_and_the_redemption() -> None:
    held = envelope_of(DESK, requirements=(Rung(holder="passkey", hold=90),))
    assert prove(by("ann", HOLDER, held), envelope=held).reached.hold == 90
    assert "do not meet" in refuse(by("ann", HOLDER, held, iat=START + 11), envelope=held)
    assert "do not meet" in refuse(by("ann", HOLDER, held), envelope=held, redeemed_at=REDEEMED_AT - 1)
