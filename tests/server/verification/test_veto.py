"""Stopping a request with the code of a message: it stops that request, and does nothing else."""

from __future__ import annotations

import pytest

from counterfoil import recipients
from counterfoil.scopes import pair
from counterfoil.tickets import Ticket
from counterfoil_server.testing import PageRefused
from server.verification.world import FAY, World


async def held(world: World) -> Ticket:
    """A change of address that finance approved and that now waits for objections."""
    fay = await world.enrolled(FAY, roles=["finance"])
    ticket = await world.request_address()
    await fay.open_and_decide(await world.link(ticket, FAY), "approve")
    assert await world.state(ticket) == "held"
    return ticket


async def test_the_code_of_the_message_stops_the_request_without_a_passkey(world: World) -> None:
    ticket = await held(world)
    url, code = await world.objection(ticket)
    before = len(world.decided)
    page = await world.client().stop(url, f"{code[:4].lower()}-{code[4:]} ")
    assert "Nothing was done" in page.text
    assert await world.state(ticket) == "declined"
    assert len(world.decided) == before + 1
    assert not await world.store.suspensions()


async def test_this_was_not_me_also_bars_whoever_asked(world: World) -> None:
    ticket = await held(world)
    url, code = await world.objection(ticket)
    await world.client().stop(url, code, disown=True)
    assert await world.state(ticket) == "declined"
    assert await world.store.suspensions([pair("assistant", "A-1")])


async def test_nothing_of_the_request_is_shown_before_the_code_is_right(world: World) -> None:
    ticket = await held(world)
    url, _ = await world.objection(ticket)
    client = world.client()
    path = await client.open(url)
    pages = [client.page.html]
    for code in ("", "AAAAAAAA"):
        with pytest.raises(PageRefused, match="not the code from the message") as refused:
            await client.submit(path, {"code": code})
        assert refused.value.status == 403
        pages.append(client.page.html)
    for page in pages:
        for told in ("Change the address", "eve@", "ana@", "A-1", "assistant", ticket.id):
            assert told not in page


async def test_after_five_tries_the_right_code_is_refused_too(world: World) -> None:
    ticket = await held(world)
    url, code = await world.objection(ticket)
    client = world.client()
    path = await client.open(url)
    for left in ("4 tries are left", "3 tries are left", "2 tries are left", "1 try is left", "All five tries"):
        with pytest.raises(PageRefused, match=left):
            await client.submit(path, {"code": "AAAAAAAA"})
    with pytest.raises(PageRefused, match="All five tries"):
        await client.submit(path, {"code": code})
    assert await world.state(ticket) == "held"


async def test_a_machine_that_opens_the_link_and_presses_the_buttons_stops_nothing(world: World) -> None:
    ticket = await held(world)
    url, _ = await world.objection(ticket)
    machine = world.client()
    path = await machine.open(url)
    for address in (path, "/stop"):
        with pytest.raises(PageRefused):
            await machine.submit(address, dict(machine.page.form))
    assert await world.state(ticket) == "held"


async def test_a_code_stops_only_the_request_of_its_own_message(world: World) -> None:
    ticket = await held(world)
    other = await world.request_address("other@example.com")
    await world.clients[0].open_and_decide(await world.link(other, FAY), "approve")
    url, _ = await world.objection(ticket)
    _, code = await world.objection(other)
    with pytest.raises(PageRefused, match="not the code"):
        await world.client().stop(url, code)
    assert {await world.state(ticket), await world.state(other)} == {"held"}


async def test_stopping_a_request_that_is_being_carried_out_says_that_it_is_too_late(world: World) -> None:
    ticket = await held(world)
    world.clock.seconds += 3600
    url, code = await world.objection(ticket)
    client = world.client()
    path = await client.open(url)
    await client.submit(path, {"code": code})
    await world.authority.redeem(ticket.id, await world.authority.mint(ticket.id))
    with pytest.raises(PageRefused, match="too late") as refused:
        await client.submit("/stop", {})
    assert refused.value.status == 409
    assert await world.state(ticket) == "executing"
    with pytest.raises(PageRefused, match="nothing left to stop"):
        await client.open("/stop")


async def test_a_stop_session_reads_and_decides_nothing(world: World) -> None:
    ticket = await held(world)
    url, code = await world.objection(ticket)
    client = world.client()
    path = await client.open(url)
    await client.submit(path, {"code": code})
    client.http.cookies.set("counterfoil", client.http.cookies["counterfoil-stop"])
    for address in ("/decide", "/done", "/done/status"):
        assert (await client.http.get(address)).status_code == 404
    with pytest.raises(PageRefused):
        await client.post("/decide/statement", {"decision": "decline"})


async def test_an_expired_link_to_object_offers_a_new_message_with_a_new_code(world: World) -> None:
    ticket = await held(world)
    url, code = await world.objection(ticket)
    world.clock.seconds += 601
    client = world.client()
    with pytest.raises(PageRefused, match="has expired"):
        await client.open(url)
    with pytest.raises(PageRefused):
        await client.submit(url.removeprefix(world.origin), {"code": code})
    with pytest.raises(PageRefused, match="has expired"):
        await client.open(url)
    before = len(await world.notices(recipients.OBJECT, ticket))
    await client.submit(url.removeprefix(world.origin) + "/again", {})
    assert len(await world.notices(recipients.OBJECT, ticket)) == before + 1
    url, fresh = await world.objection(ticket)
    assert fresh != code
    await client.stop(url, fresh)
    assert await world.state(ticket) == "declined"
