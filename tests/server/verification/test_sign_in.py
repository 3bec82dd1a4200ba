"""Signing in with a passkey: who, where, with what, and once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.roster import End
from counterfoil_server.testing import PageClient, PageRefused, SoftwareAuthenticator
from server.verification.world import ANA, BO, FAY, World


async def answer_to_sign_in(client: PageClient, url: str) -> tuple[str, dict[str, Any]]:
    """The sign-in address of a link, and a passkey's answer to its challenge."""
    path = await client.open(url)
    return f"{path}/sign-in", client.authenticator.get(await client.post(f"{path}/challenge"), client.origin)


async def test_another_person_with_a_passkey_is_refused_and_told_nothing(world: World) -> None:
    await world.enrolled(ANA)
    bo = await world.enrolled(BO)
    unknown = world.client()
    unknown.authenticator.create({**CREATION, "rp": {"id": "localhost"}}, world.origin)
    url = await world.link(await world.request())
    answers = []
    for client in (bo, unknown):
        with pytest.raises(PageRefused) as refused:
            await client.sign_in(url)
        answers.append((refused.value.status, refused.value.answer))
        with pytest.raises(PageRefused):
            await client.read()
    assert answers[0] == answers[1]
    assert answers[0][1]["code"] == "link_refused"


async def test_a_colleague_with_a_seat_of_their_own_cannot_use_somebody_elses_link(world: World) -> None:
    await world.enrolled(ANA)
    fay = await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request("80.00")
    with pytest.raises(PageRefused, match="not for you"):
        await fay.sign_in(await world.link(ticket, ANA))
    await fay.sign_in(await world.link(ticket, FAY))


MISBEHAVIOURS: dict[str, Callable[[SoftwareAuthenticator], None]] = {
    "did not verify its user": lambda authenticator: setattr(authenticator, "user_verified", False),
    "Nobody was present": lambda authenticator: setattr(authenticator, "user_present", False),
    "on another site": lambda authenticator: setattr(authenticator, "origin", "https://harbour-b00ks.example"),
    "another site's frame": lambda authenticator: setattr(authenticator, "cross_origin", True),
    "not of the kind that was enrolled": lambda authenticator: setattr(authenticator, "backup_eligible", True),
    "signature is not valid": lambda authenticator: setattr(
        authenticator, "sign_with", ec.generate_private_key(ec.SECP256R1())
    ),
}


@pytest.mark.parametrize("words", MISBEHAVIOURS)
async def test_a_passkey_that_misbehaves_signs_nobody_in(world: World, words: str) -> None:
    ana = await world.enrolled(ANA)
    MISBEHAVIOURS[words](ana.authenticator)
    with pytest.raises(PageRefused, match=words):
        await ana.sign_in(await world.link(await world.request()))
    with pytest.raises(PageRefused):
        await ana.read()


async def test_an_answer_signs_in_once(world: World) -> None:
    ana = await world.enrolled(ANA)
    address, answer = await answer_to_sign_in(ana, await world.link(await world.request()))
    headers = ana.script_headers
    visit = ana.http.cookies["counterfoil-visit"]
    await ana.post(address, answer)
    ana.http.cookies.set("counterfoil-visit", visit)
    again = await ana.http.post(address, json=answer, headers=headers)
    assert (again.status_code, again.json()["code"]) == (403, "statement_refused")


async def test_an_answer_counts_for_five_minutes(world: World) -> None:
    ana = await world.enrolled(ANA)
    address, answer = await answer_to_sign_in(ana, await world.link(await world.request()))
    world.clock.seconds += 301
    with pytest.raises(PageRefused, match="too late"):
        await ana.post(address, answer)


async def test_an_answer_counts_only_for_its_own_link_and_browser(world: World) -> None:
    ana = await world.enrolled(ANA)
    url, other = await world.link(await world.request()), await world.link(await world.request("30.00"))
    _, answer = await answer_to_sign_in(ana, url)
    elsewhere, _ = await answer_to_sign_in(ana, other)
    with pytest.raises(PageRefused, match="too late"):
        await ana.post(elsewhere, answer)
    address, answer = await answer_to_sign_in(ana, url)
    thief = world.client()
    await thief.open(url)
    with pytest.raises(PageRefused, match="too late"):
        await thief.post(address, answer)


async def test_the_cookie_from_before_sign_in_opens_nothing(world: World) -> None:
    ana = await world.enrolled(ANA)
    url = await world.link(await world.request())
    await ana.open(url)
    before = ana.http.cookies["counterfoil-visit"]
    await ana.sign_in(url)
    assert "counterfoil-visit" not in ana.http.cookies
    session = ana.http.cookies["counterfoil"]
    assert session != before
    thief = world.client()
    thief.http.cookies.set("counterfoil", before)
    with pytest.raises(PageRefused):
        await thief.read()


async def test_signing_in_again_ends_the_browsers_former_session(world: World) -> None:
    ana = await world.enrolled(ANA)
    url = await world.link(await world.request())
    await ana.sign_in(url)
    former = ana.http.cookies["counterfoil"]
    await ana.sign_in(url)
    thief = world.client()
    thief.http.cookies.set("counterfoil", former)
    with pytest.raises(PageRefused):
        await thief.read()
    await ana.read()


async def test_a_session_ends_after_ten_minutes(world: World) -> None:
    ana = await world.enrolled(ANA)
    await ana.sign_in(await world.link(await world.request()))
    world.clock.seconds += 599
    await ana.read()
    world.clock.seconds += 1
    with pytest.raises(PageRefused, match="not signed in"):
        await ana.read()


async def test_a_person_who_was_ended_reads_nothing_more(world: World) -> None:
    ana = await world.enrolled(ANA)
    await ana.sign_in(await world.link(await world.request()))
    now = world.store.now()
    await world.record(lambda version, head: End(version=version, previous=head, what="person", id=ANA, iat=now))
    with pytest.raises(PageRefused) as refused:
        await ana.read()
    assert "4711" not in str(refused.value.answer)


async def test_a_signature_under_a_decision_signs_nobody_in_and_a_sign_in_decides_nothing(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    url = await world.link(ticket)
    address, sign_in = await answer_to_sign_in(ana, url)
    await ana.post(address, sign_in)
    await ana.read()
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    decision = ana.authenticator.get(asked, ana.origin)
    with pytest.raises(PageRefused, match="too late"):
        await ana.post("/decide/signature", sign_in)
    fresh = world.client(ana.authenticator)
    await fresh.open(url)
    with pytest.raises(PageRefused, match="too late"):
        await fresh.post(address, decision)
    assert await world.state(ticket) == "pending"


CREATION = {
    "user": {"id": "AAAA", "name": "x", "displayName": "x"},
    "challenge": "AAAA",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
}
