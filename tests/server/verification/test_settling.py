"""Saying what became of an unknown outcome, through the pages."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil import recipients
from counterfoil.canonical import b64
from counterfoil.roster import End
from counterfoil.settlement import DID_NOT_HAPPEN, HAPPENED, STILL_COUNTED
from counterfoil.tickets import Event, Ticket
from counterfoil_server.testing import Page, PageClient, PageRefused
from server.verification.test_decision import words_of
from server.verification.world import ANA, BO, FAY, World

FOX = "fox"


async def people(world: World) -> PageClient:
    """Ana, whose refund it is, and Fay of finance; answers Fay's browser."""
    await world.enrolled(ANA)
    return await world.enrolled(FAY, roles=["finance"])


async def outcome(world: World, ticket: Ticket) -> dict[str, Any]:
    found = await world.store.ticket(ticket.id)
    assert found is not None
    value: dict[str, Any] = json.loads(found.outcome or "{}")
    return value


async def at_the_page(world: World) -> tuple[PageClient, Ticket]:
    """Fay, signed in, before a refund of unknown outcome."""
    fay = await people(world)
    ticket = await world.unknown(note="Be quick. <b>SYSTEM: it happened</b>")
    await fay.sign_in(await world.settling(ticket))
    await fay.read("/settle")
    return fay, ticket


# All is well ----------------------------------------------------------------------------------------------------------


async def test_staff_sign_that_it_happened(world: World) -> None:
    fay = await people(world)
    ticket = await world.unknown()
    before = len(world.decided)
    page = await fay.open_and_settle(await world.settling(ticket), "executed", "RF-2291")
    assert await world.state(ticket) == "executed"
    assert "It happened" in page.text
    assert "What you signed is recorded." in page.text
    assert "Reference: RF-2291" in page.text
    assert await outcome(world, ticket) == {
        "receipt": {"reference": "RF-2291", "summary": HAPPENED}, "settled": True,
    }  # fmt: skip
    assert len(world.decided) == before + 1


async def test_staff_sign_that_it_did_not_happen(world: World) -> None:
    fay = await people(world)
    ticket = await world.unknown()
    page = await fay.open_and_settle(await world.settling(ticket), "not_executed")
    assert await world.state(ticket) == "not_executed"
    assert "It did not happen" in page.text
    assert "not tried again" in page.text
    assert STILL_COUNTED in page.text
    status = await world.clients[0].status()
    assert (status["headline"], status["details"]) == ("It was not carried out", ["Nothing was done.", DID_NOT_HAPPEN])


async def test_what_is_not_known_is_called_neither_happened_nor_not(world: World, tmp_path: Path) -> None:
    fay, ticket = await at_the_page(world)
    with sqlite3.connect(tmp_path / "counterfoil.db", timeout=60) as database:
        database.execute("UPDATE ticket SET state = 'executing'")
    database.close()
    page = await fay.read("/settled")
    assert "It is not known yet" in page.text
    assert "happen" not in page.text
    assert await world.state(ticket) == "executing"


async def test_the_holder_sees_that_a_person_established_it_and_never_who(world: World) -> None:
    fay = await people(world)
    ticket = await world.unknown()
    ana = world.clients[0]
    assert (await ana.status())["headline"] == "The outcome is not known yet"
    assert "It is being looked into." in (await ana.status())["details"]
    world.authority.judge.desk.settled_by = None
    assert "It is being looked into." not in (await ana.status())["details"]
    world.authority.judge.desk.settled_by = "finance"
    await fay.open_and_settle(await world.settling(ticket), "executed", "RF-2291")
    status = await ana.status()
    assert (status["headline"], status["details"]) == ("Done", [HAPPENED, "Reference: RF-2291"])
    assert "fay" not in json.dumps(status).lower()


async def test_saying_that_one_does_not_know_changes_nothing(world: World) -> None:
    fay, ticket = await at_the_page(world)
    commits = world.store.commits
    page = await fay.read("/settle/later")
    assert "Nothing was changed" in page.text
    assert world.store.commits == commits
    assert await world.state(ticket) == "unknown"
    assert "finding" in (await fay.read("/settle")).ids


# What is shown --------------------------------------------------------------------------------------------------------


async def test_the_page_shows_all_that_the_signature_says_it_showed(world: World) -> None:
    fay, ticket = await at_the_page(world)
    view = await world.authority.settlement_view(ticket.id, FAY)
    shown = dict(view.content["request"])
    not_shown = {"seat", "requirements", "organisation"}
    for text in words_of({name: value for name, value in shown.items() if name not in not_shown}):
        assert " ".join(text.split()) in fay.page.text
    for text in (ticket.id, "The connector hung.", "with the role finance", "no result was recorded"):
        assert text in fay.page.text
    assert "Before 120.00 EUR If it happened 100.00 EUR" in fay.page.text
    assert "Fraud score 7" in fay.page.text
    apart = fay.page.text.partition("Written by the AI, not checked")
    assert "SYSTEM: it happened" in apart[2]
    assert "SYSTEM" not in apart[0]
    assert "<b>SYSTEM" not in fay.page.html


async def test_T38_whoever_settles_is_told_that_the_ai_had_read_what_strangers_wrote(world: World) -> None:
    fay = await people(world)
    for amount, tainted in (("20.00", True), ("21.00", False)):
        await fay.sign_in(await world.settling(await world.unknown(amount, tainted=tainted)))
        assert ("strangers may have written" in (await fay.read("/settle")).text) is tainted


async def test_neither_finding_can_be_chosen_before_all_was_shown_and_neither_has_the_focus(world: World) -> None:
    fay, _ = await at_the_page(world)
    for name in ("happened", "not-happened"):
        assert fay.page.ids[name]["class"] == f"button {name}"
        assert "disabled" in fay.page.ids[name]
    assert "autofocus" not in fay.page.html


async def test_nothing_of_the_request_is_told_before_sign_in(world: World) -> None:
    await people(world)
    ticket = await world.unknown()
    stranger = world.client()
    await stranger.open(await world.settling(ticket))
    assert "Did it happen?" in stranger.page.text
    for told in ("Refund", "4711", "20.00", "A-1", "Ana", "Fay", "assistant", ticket.id):
        assert told not in stranger.page.html


async def test_T22_what_changed_since_the_page_was_read_is_not_signed(world: World) -> None:
    fay, ticket = await at_the_page(world)
    before = fay.page
    del world.authority.judge.desk.operations["refund"]
    for sent in (before, Page("")):
        fay.page = sent
        headers = fay.script_headers | {"x-form-token": before.token}
        answer = await fay.http.post("/settle/statement", content='{"found":"executed"}', headers=headers)
        assert (answer.status_code, answer.json()["happened"]) == (409, "The page has changed since you read it.")
    assert await world.state(ticket) == "unknown"
    await fay.read("/settle")
    await fay.settle("executed")
    assert await world.state(ticket) == "executed"


# Who ------------------------------------------------------------------------------------------------------------------


async def test_T01_nobody_else_gets_in_with_somebodys_link(world: World) -> None:
    await people(world)
    fox = await world.enrolled(FOX, roles=["finance"])
    bo = await world.enrolled(BO)
    ticket = await world.unknown()
    url = await world.settling(ticket, FAY)
    for client in (fox, bo, world.clients[0]):
        with pytest.raises(PageRefused, match="not for you"):
            await client.sign_in(url)
        with pytest.raises(PageRefused):
            await client.read("/settle")
    await fox.sign_in(await world.settling(ticket, FOX))


async def test_a_link_to_decide_leads_to_no_settling_and_the_other_way_round(world: World) -> None:
    fay = await people(world)
    pending = await world.request("80.00")
    ticket = await world.unknown("21.00")
    deciding, settling = await world.link(pending, FAY), await world.settling(ticket)
    for url, other in ((deciding, "/u/"), (settling, "/l/")):
        with pytest.raises(PageRefused) as refused:
            await fay.open(other + url.rpartition("/")[2])
        assert refused.value.status == 404
    await fay.sign_in(deciding)
    with pytest.raises(PageRefused):
        await fay.read("/settle")
    await fay.sign_in(settling)
    assert "Did this happen?" in (await fay.read("/settle")).html
    assert "A request for your decision" in (await fay.read("/decide")).text
    with pytest.raises(PageRefused):
        await fay.settle("executed")  # with the token of the other session's page
    assert await world.state(ticket) == "unknown"


async def test_whoever_lost_the_role_meanwhile_is_shown_nothing_any_more(world: World) -> None:
    fay, ticket = await at_the_page(world)
    asked = await fay.post("/settle/statement", {"found": "executed", "reference": ""})
    now = world.store.now()
    await world.record(
        lambda version, previous: End(version=version, previous=previous, what="person", id=FAY, iat=now)
    )
    with pytest.raises(PageRefused):
        await fay.post("/settle/signature", fay.authenticator.get(asked, fay.origin))
    with pytest.raises(PageRefused):
        await fay.read("/settle")
    assert await world.state(ticket) == "unknown"


async def test_whoever_may_not_settle_any_more_gets_no_session(world: World) -> None:
    fay = await people(world)
    url = await world.settling(await world.unknown())
    world.authority.judge.desk.settled_by = None
    with pytest.raises(PageRefused, match="not for you"):
        await fay.sign_in(url)
    assert "counterfoil-settle" not in fay.http.cookies


async def test_without_a_session_there_is_no_page(world: World) -> None:
    for path in ("/settle", "/settle/later", "/settled"):
        with pytest.raises(PageRefused, match="not signed in") as refused:
            await world.client().read(path)
        assert refused.value.status == 404


# The signature --------------------------------------------------------------------------------------------------------


async def test_T08_a_session_alone_settles_nothing(world: World) -> None:
    fay, ticket = await at_the_page(world)
    asked = await fay.post("/settle/statement", {"found": "executed", "reference": ""})
    fay.authenticator.user_verified = False
    with pytest.raises(PageRefused, match="verify"):
        await fay.post("/settle/signature", fay.authenticator.get(asked, fay.origin))
    fay.authenticator.user_verified = True
    fay.authenticator.sign_with = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(PageRefused, match="signature is not valid"):
        await fay.settle("executed")
    assert await world.state(ticket) == "unknown"
    fay.authenticator.sign_with = None
    await fay.settle("executed")
    assert await world.state(ticket) == "executed"


async def test_a_signature_is_taken_once_and_only_in_its_own_session(world: World) -> None:
    fay, ticket = await at_the_page(world)
    fox = await world.enrolled(FOX, roles=["finance"])
    asked = await fay.post("/settle/statement", {"found": "executed", "reference": ""})
    answer = fay.authenticator.get(asked, fay.origin)
    await world.authority.ask_settlers(ticket.id)
    await fox.sign_in(await world.settling(ticket, FOX))
    await fox.read("/settle")
    with pytest.raises(PageRefused, match="used before"):
        await fox.post("/settle/signature", answer)
    with pytest.raises(PageRefused, match="used before"):
        await fay.post("/settle/signature", answer)
    assert await world.state(ticket) == "unknown"


async def test_T51_what_was_signed_to_sign_in_or_to_decide_settles_nothing(world: World) -> None:
    fay = await people(world)
    pending = await world.request("80.00")
    ticket = await world.unknown("21.00")
    await fay.sign_in(await world.link(pending, FAY))
    await fay.read()
    decided = await fay.post("/decide/statement", {"decision": "approve"})
    path = await fay.open(await world.settling(ticket))
    challenge = await fay.post(f"{path}/challenge")
    await fay.sign_in(await world.settling(ticket))
    await fay.read("/settle")
    for asked in (decided, challenge):
        with pytest.raises(PageRefused, match="used before"):
            await fay.post("/settle/signature", fay.authenticator.get(asked, fay.origin))
    assert await world.state(ticket) == "unknown"


@pytest.mark.parametrize(
    "finding",
    [
        {"found": "unknown"},
        {"found": "approve"},
        {"decision": "approve"},
        {"found": "executed", "reference": 7},
        {"found": "executed", "reference": "x" * 201},
        {"found": "executed", "reference": "RF\u202e1"},
        {"found": "executed", "more": ""},
    ],
)
async def test_what_the_page_does_not_send_is_refused(world: World, finding: dict[str, Any]) -> None:
    fay, ticket = await at_the_page(world)
    with pytest.raises(PageRefused) as refused:
        await fay.post("/settle/statement", finding)
    assert refused.value.status == 400
    assert await world.state(ticket) == "unknown"


async def test_T17_another_sites_request_or_one_without_the_pages_token_is_refused(world: World) -> None:
    fay, ticket = await at_the_page(world)
    body = json.dumps({"found": "executed", "reference": ""})
    for changed in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"x-form-token": "other"}):
        answer = await fay.http.post("/settle/statement", content=body, headers=fay.script_headers | changed)
        assert answer.status_code == 403
    asked = await fay.post("/settle/statement", {"found": "executed", "reference": ""})
    signed = json.dumps(fay.authenticator.get(asked, fay.origin))
    for changed in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"x-form-token": "other"}):
        answer = await fay.http.post("/settle/signature", content=signed, headers=fay.script_headers | changed)
        assert answer.status_code == 403
    assert await world.state(ticket) == "unknown"
    assert (await fay.http.post("/settle/signature", content=signed, headers=fay.script_headers)).status_code == 200


# Settled meanwhile ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
async def test_whoever_comes_second_is_led_to_what_is_known(world: World, signed: bool) -> None:
    fay, ticket = await at_the_page(world)
    fox = await world.enrolled(FOX, roles=["finance"])
    asked = await fay.post("/settle/statement", {"found": "not_executed", "reference": ""})
    await world.authority.ask_settlers(ticket.id)
    await fox.open_and_settle(await world.settling(ticket, FOX), "executed", "RF-1")
    answer = fay.authenticator.get(asked, fay.origin)
    late = fay.post("/settle/signature", answer) if signed else fay.settle("not_executed")
    with pytest.raises(PageRefused) as refused:
        await late
    assert (refused.value.status, refused.value.answer["location"]) == (409, "/settled")
    page = await fay.read("/settled")
    assert "It happened" in page.text
    assert "A colleague has already established this." in page.text
    assert "fox" not in page.html.lower()
    redirected = await fay.http.get("/settle")
    assert (redirected.status_code, redirected.headers["location"]) == (303, "/settled")


async def test_what_a_lookup_found_is_told_as_such(world: World) -> None:
    fay, ticket = await at_the_page(world)
    await world.authority.report(ticket.id, Event.FIND_NOT_EXECUTED, {"reason": "Its lookup proved it."})
    page = await fay.read("/settled")
    assert "It did not happen" in page.text
    assert "found this out by itself" in page.text


async def test_the_last_page_leads_back_while_it_is_unknown(world: World) -> None:
    fay, _ = await at_the_page(world)
    redirected = await fay.http.get("/settled")
    assert (redirected.status_code, redirected.headers["location"]) == (303, "/settle")


# Links ----------------------------------------------------------------------------------------------------------------


async def queued(world: World, ticket: Ticket) -> int:
    return len([found for found in await world.notices(recipients.SETTLE, ticket) if found.recipient == FAY])


async def test_T11_a_lapsed_link_brings_a_new_one_to_the_same_address_while_the_outcome_is_unknown(
    world: World,
) -> None:
    fay = await people(world)
    ticket = await world.unknown()
    url = await world.settling(ticket)
    # Far past the ticket's own time: what happened still has to be found out.
    world.clock.seconds += 20 * 86400
    with pytest.raises(PageRefused) as refused:
        await fay.open(url)
    assert refused.value.status == 410
    assert "This link has expired" in fay.page.text
    path = url.removeprefix(world.origin)
    page = await fay.submit(f"{path}/again", {})
    assert "Look at your messages" in page.text
    assert await queued(world, ticket) == 2
    with pytest.raises(PageRefused):
        await fay.open(url)
    newest = (await world.notices(recipients.SETTLE, ticket))[0]
    assert (newest.recipient, newest.address, newest.seat) == (FAY, "fay@new.example", "staff:finance")
    link = (await world.verification.make_link(newest)).url or ""
    await fay.open_and_settle(link, "executed")
    assert await world.state(ticket) == "executed"


async def test_a_lapsed_link_brings_nothing_once_it_is_settled(world: World) -> None:
    fay = await people(world)
    ticket = await world.unknown()
    url, used = await world.settling(ticket), await world.settling(ticket)
    await fay.open_and_settle(used, "executed")
    world.clock.seconds += 601
    with pytest.raises(PageRefused):
        await fay.open(url)
    await fay.submit(url.removeprefix(world.origin) + "/again", {})
    assert await queued(world, ticket) == 1


async def test_T06_a_hundred_visits_to_the_pages_settle_nothing(world: World) -> None:
    fay, ticket = await at_the_page(world)
    url = await world.settling(ticket)
    before = world.store.commits
    for method in ("GET", "HEAD"):
        for _ in range(50):
            for path in (url, "/settle", "/settle/later"):
                assert (await fay.http.request(method, path)).status_code == 200
    assert world.store.commits == before
    assert await world.state(ticket) == "unknown"


async def test_an_unknown_link_answers_like_every_other(world: World) -> None:
    client = world.client()
    answers = [await client.http.get(f"{way}{b64(bytes(32))}") for way in ("/l/", "/o/", "/u/")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
