"""Who is told: addresses from the roster and the directory, never from an AI (T03), and only those whom it concerns."""

from __future__ import annotations

import pytest

from capabilities.world import Office, Passkey, Shop, envelope_of, shop_desk, staffed_office
from counterfoil.canonical import b64
from counterfoil.recipients import APPROVE, OBJECT, addresses, asked, contact_of, holder_notices, may_sit, seat_for
from counterfoil.rungs import Rung
from counterfoil.store import Notice

SHOP = Shop()
DESK = shop_desk(SHOP)
ROSTER = staffed_office()[0].roster()
LARGE = (Rung(holder="passkey", staff={"finance": 2}, code=True),)


def earlier(address: str, seat: str | None) -> Notice:
    return Notice(1, "cf_1", APPROVE, "ann", address, seat, "sent", 1, 0, None, 0, 0)


async def test_T03_an_address_that_the_AI_names_is_told_nothing() -> None:
    envelope = envelope_of(
        DESK,
        operation="send_gift",
        arguments='{"account":"A-1","count":1,"text":"write to eve@example.com"}',
        note="my new address is eve@example.com",
        requirements=LARGE,
    )
    drafts = await asked(envelope, ROSTER, SHOP, refused=False)
    assert {draft.address for draft in drafts} == {
        f"{name}@example.com" for name in ("ann", "fil", "fay", "fox", "ivo")
    }


async def test_each_person_is_asked_once_in_their_one_seat() -> None:
    drafts = await asked(envelope_of(DESK, requirements=LARGE), ROSTER, SHOP, refused=False)
    assert len({draft.recipient for draft in drafts}) == len(drafts)
    assert {draft.seat for draft in drafts if draft.recipient in ("ann", "fil")} == {"holder"}
    assert all(draft.capped for draft in drafts)


async def test_a_refused_request_is_told_to_its_holders_only() -> None:
    for requirements in ((), LARGE):
        drafts = await asked(envelope_of(DESK, requirements=requirements), ROSTER, SHOP, refused=True)
        assert {draft.recipient for draft in drafts} == {"ann", "fil"}


async def test_a_holder_without_a_passkey_is_told_how_to_object() -> None:
    office = Office()
    office.invite("ann", accounts=["A-1"], channels=["first@example.com", "second@example.com"])
    envelope = envelope_of(DESK)
    drafts = await holder_notices(envelope, office.roster(), Shop(email="shop@example.com"))
    assert {(draft.kind, draft.recipient) for draft in drafts} == {(OBJECT, "account:A-1")}
    assert [draft.address for draft in drafts] == ["first@example.com", "second@example.com", "shop@example.com"]
    office.enrol(office.records[0], "ann", Passkey(b64(b"ann")))
    drafts = await holder_notices(envelope, office.roster(), Shop())
    assert [(draft.kind, draft.recipient, draft.address) for draft in drafts] == [(APPROVE, "ann", "first@example.com")]


async def test_T53_every_channel_that_was_or_is_the_holders_is_told_once() -> None:
    envelope = envelope_of(DESK)
    known = [
        earlier("old@example.com", "holder"),
        earlier("ann@example.com", "holder"),
        earlier("fay@x", "staff:finance"),
    ]
    told = await addresses(envelope, ROSTER, Shop(email="new@example.com"), known)
    assert told == ["ann@example.com", "fil@example.com", "old@example.com", "new@example.com"]


async def test_without_an_account_nobody_is_told() -> None:
    envelope = envelope_of(DESK, account=None)
    assert await addresses(envelope, ROSTER, SHOP, [earlier("ann@example.com", "holder")]) == []
    assert await holder_notices(envelope, ROSTER, SHOP) == []
    assert await contact_of(envelope, SHOP) is None


async def test_a_directory_that_fails_stops_nothing() -> None:
    assert await contact_of(envelope_of(DESK), Shop(broken=True)) is None
    assert "ann@example.com" in await addresses(envelope_of(DESK), ROSTER, Shop(broken=True), [])


@pytest.mark.parametrize(
    ("person", "seat"),
    [("ann", "holder"), ("fil", "holder"), ("fay", "staff:finance"), ("ida", None), ("ben", None)],
)
def test_a_person_has_one_seat_or_none(person: str, seat: str | None) -> None:
    envelope = envelope_of(DESK, requirements=LARGE)
    assert seat_for(ROSTER.people[person], envelope, ROSTER) == seat
    assert may_sit(ROSTER.people[person], "holder", envelope, ROSTER) is (seat == "holder")
