"""Links point at a request and do nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil import recipients
from counterfoil.canonical import b64
from counterfoil.store import NoticeDraft
from counterfoil_server.testing import PageRefused
from server.verification.world import ANA, FAY, World


def everything_stored(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "counterfoil.db")) as connection:
        return "\n".join(connection.iterdump())


async def test_a_link_names_the_organisation_and_nothing_of_the_request_or_of_anyone(world: World) -> None:
    await world.enrolled(ANA)
    stranger = world.client()
    ticket = await world.request(note="The customer is angry.")
    await stranger.open(await world.link(ticket))
    assert "Harbour Books" in stranger.page.text
    for told in ("Refund", "4711", "20.00", "A-1", "Ana", "ana", "assistant", "angry", ticket.id):
        assert told not in stranger.page.html


async def test_a_hundred_visits_to_every_page_change_nothing(world: World) -> None:
    await world.enrolled(ANA)
    await world.enrolled(FAY, roles=["finance"])
    ticket, other = await world.request(), await world.request_address()
    invitation = await world.invite("bo")
    await world.enrolled("bo")
    links = [await world.link(ticket), await world.link(other, FAY), invitation]
    await world.clients[1].open_and_decide(links[1], "approve")
    links.append((await world.objection(other))[0])
    scanner = world.client()
    before = world.store.commits
    for method in ("GET", "HEAD"):
        for _ in range(100):
            for url in links:
                response = await scanner.http.request(method, url, headers={"purpose": "prefetch"})
                assert response.status_code == 200
    assert world.store.commits == before
    assert (await world.state(ticket), await world.state(other)) == ("pending", "held")


async def test_unknown_malformed_and_misplaced_links_answer_alike(world: World) -> None:
    await world.enrolled(ANA)
    right = (await world.link(await world.request())).rpartition("/")[2]
    client = world.client()
    paths = [f"/l/{b64(bytes(32))}", "/l/x", "/l/" + "A" * 5000, f"/l/{right}=", f"/l/{right[:-1]}", f"/o/{right}"]
    answers = [await client.http.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_neither_a_links_secret_nor_its_code_is_stored(world: World, tmp_path: Path) -> None:
    await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request_address()
    url = await world.link(ticket, FAY)
    await world.clients[0].open_and_decide(url, "approve")
    stop, code = await world.objection(ticket)
    stored = everything_stored(tmp_path)
    assert ticket.id in stored
    for secret in (url.rpartition("/")[2], stop.rpartition("/")[2], code):
        assert secret not in stored


async def test_an_expired_link_offers_one_new_message_to_the_same_address(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    url = await world.link(ticket)
    world.clock.seconds += 601
    with pytest.raises(PageRefused, match="This link has expired") as refused:
        await ana.open(url)
    assert refused.value.status == 410
    with pytest.raises(PageRefused):
        await ana.post(f"{url}/challenge")
    token = ana.page.token
    page = await ana.submit(url + "/again", {})
    assert "a new link is on its way" in page.text
    sent = await world.notices(recipients.APPROVE, ticket)
    assert [(notice.address, notice.recipient, notice.seat) for notice in sent] == [
        ("ana@new.example", ANA, "holder")
    ] * 2
    ana.page.token = token
    with pytest.raises(PageRefused, match="Open the newest link"):
        await ana.submit(url + "/again", {})
    assert len(await world.notices(recipients.APPROVE, ticket)) == 2
    again = await world.verification.make_link(sent[0])
    assert again.url is not None
    await ana.open_and_decide(again.url, "approve", world.authority.match_code(ticket.id))
    assert await world.state(ticket) == "approved"


async def test_an_expired_link_of_an_ended_request_sends_nothing_and_says_the_same(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    url = await world.link(ticket)
    await world.authority.cancel("assistant", ticket.id)
    world.clock.seconds += 601
    with pytest.raises(PageRefused):
        await ana.open(url)
    assert "If the request still waits" in (await ana.submit(url + "/again", {})).text
    assert len(await world.notices(recipients.APPROVE, ticket)) == 1


async def test_messages_that_ask_for_nothing_have_no_link(world: World) -> None:
    await world.enrolled(ANA)
    ticket = await world.request()
    await world.store.add_notices(ticket.id, [NoticeDraft(recipients.EXECUTED, "account:A-1", "ana@new.example")])
    (told,) = (await world.deliver(ticket, recipients.EXECUTED)).values()
    (enrolled,) = await world.notices(recipients.ENROLLED)
    for delivered in (told, await world.verification.make_link(enrolled)):
        assert (delivered.url, delivered.code) == (None, None)


async def test_a_machine_that_presses_every_button_without_a_passkey_changes_no_ticket(world: World) -> None:
    await world.enrolled(ANA)
    ticket = await world.request()
    url = await world.link(ticket)
    machine = world.client()
    path = await machine.open(url)
    await machine.post(f"{path}/challenge")
    for address in (f"{path}/sign-in", "/decide/statement", "/decide/signature", "/stop"):
        with pytest.raises(PageRefused):
            await machine.post(address, {"decision": "approve", "code": world.authority.match_code(ticket.id)})
    assert await world.state(ticket) == "pending"
    assert not await world.store.statements(ticket.id)
