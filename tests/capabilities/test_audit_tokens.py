"""The capability and the order in a bundle: those of the redemption, signed anew, and of no use to any reader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from capabilities.evidence import AN_HOUR_ON, LATER, parlour_day, proofs_of, shop_day, with_ticket
from capabilities.world import EXECUTOR, ISSUER, POLICY, START, World, open_world
from counterfoil.audit import verify_bundle
from counterfoil.bundle import Bundle, Contents, TicketEvidence, Trust
from counterfoil.canonical import canonical, parse_strict, unb64
from counterfoil.errors import CapabilityRefused, OrderRefused
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.proof import verify_envelope
from counterfoil.tickets import Event
from counterfoil.tokens import CAPABILITY_TYPE, ORDER_TYPE, OVER, sign, verify
from counterfoil_server import proving
from counterfoil_server.store.sealer import Sealer

pytestmark = pytest.mark.anyio

CAPABILITY_LIFE = 120
RUN = 300
FIRST, LAST = START + RUN + OVER + 1, START + 3600 + OVER
"""When an order may stand in a bundle of a default desk; until when a bundle may lack it."""


def claims(contents: Contents, kind: str) -> dict[str, Any]:
    text = contents.ticket.capability if kind == CAPABILITY_TYPE else contents.ticket.order
    return verify(text or "", kind, shop_day().trust.authority_keys)[0]


def forged(kind: str, **changes: Any) -> list[str]:
    """What fails where the authority itself signs a token of that kind with other claims."""
    day = shop_day()
    contents = day.contents("executed")
    text = sign(day.key, kind, claims(contents, kind) | changes)
    name = "capability" if kind == CAPABILITY_TYPE else "order"
    return day.verify(with_ticket(contents, **{name: text})).of("fails")


@pytest.mark.parametrize("name", ["executed", "other", "settled", "access", "pause"])
def test_both_are_told_of_and_that_they_were_signed_anew(name: str) -> None:
    day = parlour_day() if name in ("access", "pause") else shop_day()
    said = verify_bundle(day.bundles[name], day.trust).of("holds")
    told = [line for line in said if "the authority signed it anew for this file." in line]
    assert len(told) == (4 if name == "pause" else 2)
    assert "the capability that was redeemed was for agent, from 2027-01-15 08:00:00 UTC to" in told[-2]
    assert f"the order told {EXECUTOR} to run it, from 2027-01-15 08:00:00 UTC to 2027-01-15 08:05:00 UTC" in told[-1]


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (CAPABILITY_TYPE, {"iss": "https://evil.example"}, "does not redeem"),
        (CAPABILITY_TYPE, {"aud": EXECUTOR}, "does not redeem"),
        (CAPABILITY_TYPE, {"more": 1}, "does not redeem"),
        (CAPABILITY_TYPE, {"iat": START + 1}, "does not redeem"),
        (CAPABILITY_TYPE, {"exp": START}, "does not redeem"),
        (CAPABILITY_TYPE, {"exp": LATER - OVER}, "could still be used"),
        (CAPABILITY_TYPE, {"sub": "another"}, "for somebody else"),
        (CAPABILITY_TYPE, {"jti": "another"}, "not the one that was minted and redeemed"),
        (CAPABILITY_TYPE, {"ticket": "cf_other"}, "another request"),
        (CAPABILITY_TYPE, {"envelope": "another"}, "another request"),
        (ORDER_TYPE, {"iss": "https://evil.example"}, "another authority"),
        (ORDER_TYPE, {"aud": ISSUER}, "another executor"),
        (ORDER_TYPE, {"more": 1}, "signature or form"),
        (ORDER_TYPE, {"jti": "order-cf_other"}, "another redemption"),
        (ORDER_TYPE, {"redeemed_at": START + 1}, "another redemption"),
        (ORDER_TYPE, {"run_by": START - 1}, "times are not possible"),
        (ORDER_TYPE, {"run_by": START + 3601}, "times are not possible"),
        (ORDER_TYPE, {"ticket": "cf_other", "jti": "order-cf_other"}, "another request"),
        (ORDER_TYPE, {"envelope": "another"}, "another request"),
    ],
)
def test_another_claim_does_not_hold(kind: str, changes: dict[str, Any], why: str) -> None:
    [found] = forged(kind, **changes)
    assert why in found
    assert forged(kind) == []


def test_they_are_by_a_key_of_the_authority_and_each_of_its_type() -> None:
    day = shop_day()
    contents = day.contents("executed")
    ticket, stranger = contents.ticket, SigningKey.generate()
    for name, kind in (("capability", CAPABILITY_TYPE), ("order", ORDER_TYPE)):
        for text in (sign(stranger, kind, claims(contents, kind)), ticket.order, ticket.capability, "", "a.b.c"):
            if text != getattr(ticket, name):
                [found] = day.verify(with_ticket(contents, **{name: text})).of("fails")
                assert found.startswith(f"the {name} does not hold.")


def test_one_that_could_still_be_used_does_not_belong_in_a_bundle() -> None:
    day = shop_day()
    contents = day.contents("executed")
    for now, fails in ((FIRST - 1, 1), (FIRST, 0), (START + CAPABILITY_LIFE + OVER, 2)):
        found = verify_bundle(day.signed(contents, now=now), day.trust).of("fails")
        assert sum("could still be used when this file was handed out" in line for line in found) == fails


@pytest.mark.parametrize("name", ["capability", "order"])
def test_one_that_was_left_out_is_missed_when_its_time_is_over(name: str) -> None:
    day = shop_day()
    trimmed = with_ticket(day.contents("executed"), **{name: None})
    for now, status in ((LAST, "open"), (LAST + 1, "fails")):
        found = verify_bundle(day.signed(trimmed, now=now), day.trust)
        assert any(line.startswith(f"the {name} ") for line in found.of("open" if status == "open" else "fails"))
    unread = with_ticket(
        trimmed,
        leaves=tuple(
            each.model_copy(update={"opening": None}) if '"redeem"' in each.body else each
            for each in trimmed.ticket.leaves
        ),
    )
    report = day.verify(unread)
    assert report.holds is (name == "capability")
    assert ("which one it was cannot be read" in "".join(report.of("open"))) is report.holds


def test_what_was_never_redeemed_has_neither() -> None:
    day = shop_day()
    for name in ("pending", "declined", "held", "stopped"):
        contents = day.contents(name)
        assert (contents.ticket.capability, contents.ticket.order) == (None, None)
        theirs = day.contents("executed").ticket
        report = day.verify(with_ticket(contents, capability=theirs.capability, order=theirs.order))
        assert sum("was not redeemed: there can be none" in line for line in report.of("fails")) == 2


# What a desk hands out ------------------------------------------------------------------------------------------------


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def sealer(world: World, tmp_path: Path) -> Sealer:
    return await proofs_of(world, tmp_path)


async def handed_out(world: World, ticket: str, sealer: Sealer) -> TicketEvidence:
    """The ticket's part of a bundle that holds."""
    text = await proving.bundle(world.authority, ticket, POLICY, sealer.proof)
    trust = Trust.from_bytes(canonical(await proving.trust(world.authority, sealer.key)))
    report = verify_bundle(text.encode(), trust)
    assert report.holds, report.of("fails")
    return Bundle.from_bytes(text.encode()).contents.ticket


@pytest.mark.parametrize("is_reported", [True, False])
async def test_neither_is_handed_out_while_anybody_could_use_it(
    world: World, sealer: Sealer, is_reported: bool
) -> None:
    """Whatever an executor remembers of the ticket: its ledger may be lost, or it may be another one's."""
    ticket = await world.approve(await world.request(), "ann")
    delivered = await world.authority.deliver(ticket.id)
    assert delivered is not None
    if is_reported:
        await world.authority.report(ticket.id, Event.REPORT_NOT_EXECUTED, {"reason": "It is locked."})
    body, keys = ticket.envelope_bytes, world.authority.keys.verification_keys
    for after, has in ((0, (0, 0)), (CAPABILITY_LIFE + OVER, (0, 0)), (CAPABILITY_LIFE + OVER + 1, (1, 0)),
                       (RUN + OVER, (1, 0)), (RUN + OVER + 1, (1, 1))):  # fmt: skip
        world.clock.at = START + after
        part = await handed_out(world, ticket.id, sealer)
        assert (part.capability is not None, part.order is not None) == has
        if part.capability is not None:
            with pytest.raises(CapabilityRefused):
                await world.authority.redeem(ticket.id, part.capability)
        if part.order is not None:
            assert claims_of(part.order) == claims_of(delivered[1])
            with pytest.raises(OrderRefused, match="too late"):
                verify_envelope(part.order, body, issuer=ISSUER, executor=EXECUTOR, keys=keys, now=START + after)


async def test_they_are_those_of_the_redemption_by_the_key_of_today(world: World, sealer: Sealer) -> None:
    """Of several that were minted, it is the one that was redeemed."""
    ticket = await world.approve(await world.request("send_gift", text="soap"), "ann")
    first = await world.authority.mint(ticket.id)
    world.clock.at = START + 100
    second = await world.authority.mint(ticket.id)
    assert claims_of(first)["jti"] != claims_of(second)["jti"]
    _, order = await world.authority.redeem(ticket.id, first, presenter="agent")
    world.clock.at = START + AN_HOUR_ON
    world.authority = world.with_keys(
        KeyRing(SigningKey.generate(), SigningKey.generate(), world.authority.keys.current)
    )
    part = await handed_out(world, ticket.id, sealer)
    for text, told in ((part.capability, first), (part.order, order)):
        assert text is not None
        assert claims_of(text) == claims_of(told)
        assert header_of(text)["kid"] == world.authority.keys.current.id != header_of(told)["kid"]


def claims_of(token: str) -> Any:
    return parse_strict(unb64(token.split(".")[1]))


def header_of(token: str) -> Any:
    return parse_strict(unb64(token.split(".")[0]))


def without_opening(contents: Contents, event: str) -> Contents:
    leaves = (
        each.model_copy(update={"opening": None}) if f'"{event}"' in each.body else each
        for each in contents.ticket.leaves
    )
    return with_ticket(contents, leaves=tuple(leaves))


@pytest.mark.parametrize("event", ["redeem", "mint"])
def test_whichever_leaf_can_be_read_names_the_capability(event: str) -> None:
    """The opening of the other was deleted."""
    day = shop_day()
    contents = without_opening(day.contents("executed"), event)
    assert day.verify(contents).holds
    text = sign(day.key, CAPABILITY_TYPE, claims(contents, CAPABILITY_TYPE) | {"jti": "another"})
    [found] = day.verify(with_ticket(contents, capability=text)).of("fails")
    assert "not the one that was minted and redeemed" in found
