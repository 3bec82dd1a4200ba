"""Reading and deciding a request, through the pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.scopes import pair
from counterfoil_server.testing import PageRefused
from server.verification.world import ANA, BO, FAY, World


def words_of(value: Any) -> Iterator[str]:
    """Every text that a display holds."""
    if isinstance(value, dict):
        for item in value.values():
            yield from words_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from words_of(item)
    elif isinstance(value, str):
        yield value


async def test_the_holder_approves_with_the_code_of_the_chat(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    code = world.authority.match_code(ticket.id)
    status = await ana.open_and_decide(await world.link(ticket), "approve", code)
    assert await world.state(ticket) == "approved"
    assert (status["headline"], status["final"]) == ("Approved", False)
    assert world.decided


async def test_the_holder_declines_without_a_code(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    status = await ana.open_and_decide(await world.link(ticket), "decline")
    assert await world.state(ticket) == "declined"
    assert (status["headline"], status["final"]) == ("You declined", True)
    assert status["details"] == ["Nothing was done."]


async def test_two_seats_need_two_people_and_the_first_is_told_what_is_missing(world: World) -> None:
    ana, fay = await world.enrolled(ANA), await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request("80.00")
    links = await world.links(ticket)
    code = world.authority.match_code(ticket.id)
    status = await ana.open_and_decide(links[ANA], "approve", code)
    assert await world.state(ticket) == "pending"
    assert status["details"] == [
        "Nothing is done yet.", "Still needed: 1 person with the role finance approves."
    ]  # fmt: skip
    await fay.sign_in(links[FAY])
    page = await fay.read()
    assert "with the role finance" in page.text
    assert "Fraud score 7" in page.text
    assert "code" not in page.ids
    assert "disown" not in page.ids
    await fay.decide("approve")
    assert await world.state(ticket) == "approved"
    assert {stored.person for stored in await world.store.statements(ticket.id)} == {ANA, FAY}


async def test_this_was_not_me_declines_bars_the_requester_and_revokes_what_it_has_waiting(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket, other = await world.request(), await world.request("30.00")
    await ana.open_and_decide(await world.link(ticket), "decline", disown=True)
    assert (await world.state(ticket), await world.state(other)) == ("declined", "revoked")
    assert await world.store.suspensions([pair("assistant", "A-1")])


@pytest.mark.parametrize("person", [ANA, FAY])
async def test_only_a_holder_who_declines_can_disown(world: World, person: str) -> None:
    client = await world.enrolled(person, roles=["finance"] if person == FAY else [])
    if person == FAY:
        await world.enrolled(ANA)
    ticket = await world.request("80.00")
    await client.sign_in(await world.link(ticket, person))
    await client.read()
    choice = {"decision": "decline" if person == FAY else "approve", "code": "123456", "disown": True}
    with pytest.raises(PageRefused, match="Only the account's holder"):
        await client.post("/decide/statement", choice)
    assert await world.store.wrong_code(ticket.id) == 1


async def test_the_third_wrong_code_declines_and_leads_to_the_outcome(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    right = world.authority.match_code(ticket.id)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    await ana.sign_in(await world.link(ticket))
    await ana.read()
    for last in (False, False, True):
        with pytest.raises(PageRefused) as refused:
            await ana.post("/decide/statement", {"decision": "approve", "code": wrong})
        assert (refused.value.status, refused.value.answer["code"]) == (403, "code_refused")
        assert refused.value.answer.get("location") == ("/done" if last else None)
    assert await world.state(ticket) == "declined"
    assert "wrong three times" in " ".join((await ana.status())["details"])
    with pytest.raises(PageRefused):
        await ana.post("/decide/statement", {"decision": "approve", "code": right})


async def test_approving_without_the_code_is_refused(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    with pytest.raises(PageRefused, match="code_refused"):
        await ana.open_and_decide(await world.link(ticket), "approve")
    assert await world.state(ticket) == "pending"


async def test_whoever_is_known_to_sit_at_the_chat_types_no_code(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request(actor=ANA)
    await ana.sign_in(await world.link(ticket))
    assert "code" not in (await ana.read()).ids
    await ana.decide("approve")
    assert await world.state(ticket) == "approved"


async def test_a_session_alone_decides_nothing(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    await ana.sign_in(await world.link(ticket))
    await ana.read()
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    thief = world.client()
    thief.authenticator.create(
        {
            "rp": {"id": "localhost"}, "user": {"id": "AAAA"}, "challenge": "AAAA",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        },
        world.origin,
    )  # fmt: skip
    thief.authenticator.ignore_allowed = True
    for answer in ({}, {**asked}, thief.authenticator.get(asked, world.origin)):
        with pytest.raises(PageRefused):
            await ana.post("/decide/signature", answer)
    assert await world.state(ticket) == "pending"
    assert not await world.store.statements(ticket.id)


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("user_verified", False, "did not verify its user"),
        ("user_present", False, "Nobody was present"),
        ("origin", "https://evil.example", "another site"),
        ("cross_origin", True, "another site's frame"),
        ("sign_with", ec.generate_private_key(ec.SECP256R1()), "signature is not valid"),
    ],
)
async def test_a_decision_needs_a_gesture_that_verifies(
    world: World, attribute: str, value: object, words: str
) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    await ana.sign_in(await world.link(ticket))
    await ana.read()
    setattr(ana.authenticator, attribute, value)
    with pytest.raises(PageRefused, match=words):
        await ana.decide("approve", world.authority.match_code(ticket.id))
    assert await world.state(ticket) == "pending"


async def test_another_passkey_of_another_person_cannot_complete_the_statement(world: World) -> None:
    ana, bo = await world.enrolled(ANA), await world.enrolled(BO)
    ticket = await world.request()
    await ana.sign_in(await world.link(ticket))
    await ana.read()
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    bo.authenticator.ignore_allowed = True
    with pytest.raises(PageRefused, match="not one that this person may sign with"):
        await ana.post("/decide/signature", bo.authenticator.get(asked, world.origin))
    assert await world.state(ticket) == "pending"


async def test_a_signature_counts_once_and_only_in_the_session_that_asked_for_it(world: World) -> None:
    ana, fay = await world.enrolled(ANA), await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request("80.00")
    links = await world.links(ticket)
    await ana.sign_in(links[ANA])
    await ana.read()
    choice = {"decision": "approve", "code": world.authority.match_code(ticket.id)}
    answer = ana.authenticator.get(await ana.post("/decide/statement", choice), world.origin)
    await fay.sign_in(links[FAY])
    await fay.read()
    with pytest.raises(PageRefused, match="too late"):
        await fay.post("/decide/signature", answer)
    with pytest.raises(PageRefused, match="too late"):
        await ana.post("/decide/signature", answer)
    answer = ana.authenticator.get(await ana.post("/decide/statement", choice), world.origin)
    await ana.post("/decide/signature", answer)
    with pytest.raises(PageRefused, match="too late"):
        await ana.post("/decide/signature", answer)
    assert len(await world.store.statements(ticket.id)) == 1


async def test_a_statement_is_signed_within_ten_minutes_or_not_at_all(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    url = await world.link(ticket)
    await ana.sign_in(url)
    await ana.read()
    world.clock.seconds += 500
    asked = await ana.post("/decide/statement", {"decision": "decline"})
    answer = ana.authenticator.get(asked, world.origin)
    world.clock.seconds += 600
    with pytest.raises(PageRefused):
        await ana.post("/decide/signature", answer)
    assert await world.state(ticket) == "pending"


async def test_nobody_decides_twice_and_the_page_leads_to_the_outcome(world: World) -> None:
    ana = await world.enrolled(ANA)
    await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request("80.00")
    await ana.open_and_decide(await world.link(ticket), "approve", world.authority.match_code(ticket.id))
    response = await ana.http.get("/decide")
    assert (response.status_code, response.headers["location"]) == (303, "/done")
    with pytest.raises(PageRefused, match="already decided"):
        await ana.decide("decline")


async def test_the_page_shows_every_word_of_the_display(world: World) -> None:
    ana, fay = await world.enrolled(ANA), await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request(
        "80.00", note="A long\nnote \u202ewith <b>marks</b>. " * 8, tainted=True, order="p\u0430y"
    )
    links = await world.links(ticket)
    for client, person in ((ana, ANA), (fay, FAY)):
        await client.sign_in(links[person])
        text = (await client.read()).text.lower()
        view = await world.authority.view(ticket.id, person)
        shown = {**view.content, "seat": ""}
        for words in words_of(shown):
            assert " ".join(words.lower().split()) in text
        assert "it may have been talked into this request" in text
        assert "different alphabets" in text


@pytest.mark.parametrize("decision", ["approve", "decline"])
async def test_T22_what_changed_since_the_page_was_read_is_not_signed(world: World, decision: str) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    code = world.authority.match_code(ticket.id) if decision == "approve" else None
    await ana.sign_in(await world.link(ticket))
    await ana.read()
    world.authority.judge.desk.name = "Harbour Books and Sons"
    with pytest.raises(PageRefused) as refused:
        await ana.decide(decision, code)
    assert (refused.value.status, refused.value.answer["happened"]) == (409, "The page has changed since you read it.")
    assert refused.value.answer["remedy"] == "Reload it and read it again."
    assert await world.state(ticket) == "pending"
    await ana.read()
    await ana.decide(decision, code)
    assert await world.state(ticket) != "pending"


async def test_what_the_ai_wrote_is_escaped_spelled_out_labelled_and_apart(world: World) -> None:
    ana = await world.enrolled(ANA)
    note = '<img src=x onerror="alert(1)"> {{ 7 * 7 }} \u202eevil'
    ticket = await world.request(note=note, order="<script>alert(1)</script>")
    await ana.sign_in(await world.link(ticket))
    page = await ana.read()
    assert "<img src=x" not in page.html
    assert "<script>alert" not in page.html
    assert note.partition(" \u202e")[0] in page.text
    assert "\u202e" not in page.html
    assert "\\u{202E}" in page.text
    apart = page.html[page.html.index('<aside class="said"') : page.html.index("</aside>")]
    assert "Written by the AI, not checked" in apart
    assert "{{ 7 * 7 }}" in apart
    assert page.html.count("onerror") == apart.count("onerror") == 1


async def test_approve_starts_disabled_beside_an_equal_decline_and_nothing_asks_for_focus(world: World) -> None:
    ana = await world.enrolled(ANA)
    await ana.sign_in(await world.link(await world.request()))
    page = await ana.read()
    assert "disabled" in page.ids["approve"]
    assert "disabled" not in page.ids["decline"]
    assert {(page.ids[name]["class"] or "").replace(name, "") for name in ("approve", "decline")} == {"button "}
    assert "autofocus" not in page.html


async def test_a_request_that_nobody_can_approve_says_why_and_can_be_declined(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request("500.00")
    await ana.sign_in(await world.link(ticket))
    page = await ana.read()
    assert "Nobody can approve this request A refund is never more than what was paid." in page.text
    assert "approve" not in page.ids
    with pytest.raises(PageRefused, match="no longer be decided"):
        await ana.decide("approve", world.authority.match_code(ticket.id))
    await ana.decide("decline")
    assert await world.state(ticket) == "declined"


async def test_a_held_request_says_until_when_and_its_holder_can_still_decline_it(world: World) -> None:
    ana, fay = await world.enrolled(ANA), await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request_address()
    url = await world.link(ticket, FAY)
    status = await fay.open_and_decide(url, "approve")
    assert (status["headline"], status["until"]) == ("Approved, and waiting", world.store.now() + 3600)
    await ana.sign_in(await world.link(ticket))
    page = await ana.read()
    assert "Already approved" in page.text
    assert "approve" not in page.ids
    await ana.decide("decline")
    assert await world.state(ticket) == "declined"


async def test_a_holder_who_has_no_seat_in_the_approval_can_only_stop_it(world: World) -> None:
    ana = await world.enrolled(ANA)
    await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request_address()
    await ana.sign_in(await world.link(ticket))
    page = await ana.read()
    assert "Others approve this request" in page.text
    assert "approve" not in page.ids
    with pytest.raises(PageRefused, match="no longer be decided"):
        await ana.decide("approve", world.authority.match_code(ticket.id))
    await ana.decide("decline")
    assert await world.state(ticket) == "declined"


async def test_a_suspended_requester_gets_no_approval_but_a_decline(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    await ana.sign_in(await world.link(ticket))
    await world.authority.suspend("principal:assistant", "for this test")
    await ana.read()
    with pytest.raises(PageRefused, match="suspended"):
        await ana.decide("approve", world.authority.match_code(ticket.id))
    await ana.decide("decline")
    assert await world.state(ticket) == "declined"
