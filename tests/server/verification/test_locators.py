"""The page behind a locator: the same for everything, worth nothing without a passkey that has a seat."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx2
import pytest

from counterfoil.canonical import b64, unb64
from counterfoil.tickets import Ticket
from counterfoil_server.testing import PageClient, PageRefused, SoftwareAuthenticator
from counterfoil_server.verification.locators import PATH, Locators
from server.verification.world import ANA, BO, FAY, World

UNKNOWN = PATH + b64(b"\x07" * 51)


def locator(world: World, ticket: Ticket) -> str:
    return world.verification.locator_url(ticket.id)


async def everything(world: World, ticket: Ticket) -> list[object]:
    """What the store holds of the ticket."""
    store = world.store
    return [await store.leaves(), await store.notices(ticket.id), await store.ticket(ticket.id)]


async def refusal(client: PageClient, url: str) -> tuple[int, object]:
    with pytest.raises(PageRefused) as refused:
        await client.sign_in(url)
    with pytest.raises(PageRefused):
        await client.read()
    return refused.value.status, refused.value.answer


async def test_its_holder_signs_in_reads_and_decides_with_code_and_passkey(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request()
    await ana.sign_in(locator(world, ticket))
    assert "“The Sea, the Sea”, delivered" in (await ana.read()).text
    with pytest.raises(PageRefused, match="not the code"):
        await ana.decide("approve", "000000" if world.authority.match_code(ticket.id) != "000000" else "000001")
    await ana.decide("approve", world.authority.match_code(ticket.id))
    assert await world.state(ticket) == "approved"


async def test_a_colleague_with_a_seat_signs_in_with_the_same_locator(world: World) -> None:
    await world.enrolled(ANA)
    fay = await world.enrolled(FAY, roles=["finance"])
    await fay.sign_in(locator(world, await world.request("80.00")))
    assert (await fay.read()).text


async def test_T01_everybody_else_is_refused_as_with_a_link(world: World) -> None:
    await world.enrolled(ANA)
    bo = await world.enrolled(BO)
    stranger = world.client()
    options = {
        "rp": {"id": "localhost"}, "user": {"id": b64(b"s")}, "challenge": b64(b"c" * 32),
        "pubKeyCredParams": [{"alg": -7, "type": "public-key"}],
    }  # fmt: skip
    stranger.authenticator.create(options, world.origin)
    ticket = await world.request()
    expected = await refusal(bo, await world.link(ticket))
    for client in (bo, stranger):
        assert await refusal(client, locator(world, ticket)) == expected


async def test_T54_a_ticket_of_an_unknown_account_is_refused_like_somebody_elses_and_like_no_ticket(
    world: World,
) -> None:
    await world.enrolled(ANA)
    bo = await world.enrolled(BO)
    theirs = await world.request()
    unknown = await world.request(account="A-404")
    nowhere = Locators(b"k" * 32, world.origin).url(theirs.id)
    urls = [locator(world, theirs), locator(world, unknown), world.verification.locator_url("cf_never"), nowhere]
    pages = set()
    for url in urls:
        await bo.open(url)
        pages.add(bo.page.html.replace(bo.page.token, "*"))
    assert len(pages) == 1
    assert len({str(await refusal(bo, url)) for url in urls}) == 1
    assert len({len(url) for url in (urls[0], urls[1], urls[3])}) == 1


@pytest.mark.parametrize("text", ["x", "é", "%00", "A" * 9000, b64(b"\x07" * 51), "cf_abc"])
async def test_what_is_no_locator_shows_the_page_and_leads_nowhere(world: World, text: str) -> None:
    ana = await world.enrolled(ANA)
    await ana.open(locator(world, await world.request()))
    known = ana.page.html.replace(ana.page.token, "*")
    response = await ana.http.get(PATH + text)
    assert response.status_code == 200
    assert response.text.replace(ana.page.token, "*") == known
    with pytest.raises(PageRefused, match="not valid, or not for you"):
        await ana.post(f"{PATH}{text}/challenge")


async def test_T02_the_address_and_the_page_hold_nothing_of_anyone_and_sign_nobody_in(world: World) -> None:
    ana = await world.enrolled(ANA)
    ticket = await world.request(note="Dear Ana")
    url = locator(world, ticket)
    assert re.fullmatch(re.escape(world.origin) + r"/t/[A-Za-z0-9_-]{68}", url)
    raw = unb64(url.rpartition("/")[2])
    page = world.client()
    await page.open(url)
    for told in (ticket.id, ticket.id.removeprefix("cf_"), "A-1", "Ana", "refund", "Refund", "4711", "20.00"):
        assert told not in url
        assert told not in page.page.html
        assert told.encode() not in raw
    assert "address on file" in page.page.text
    with pytest.raises(PageRefused):
        await page.read()
    assert ana.http.cookies.get("counterfoil") is None


async def test_T06_opening_it_a_hundred_times_changes_nothing(world: World) -> None:
    await world.enrolled(ANA)
    ticket = await world.request()
    before = await everything(world, ticket)
    scanner = world.client()
    for _ in range(50):
        for method in ("GET", "HEAD"):
            assert (await scanner.http.request(method, urlsplit(locator(world, ticket)).path)).status_code == 200
    assert await everything(world, ticket) == before


@pytest.mark.parametrize("how", ["declined", "expired", "cancelled"])
async def test_it_dies_with_the_ticket(world: World, how: str) -> None:
    ana = await world.enrolled(ANA)
    bo = await world.enrolled(BO)
    ticket = await world.request()
    expected = await refusal(bo, locator(world, ticket))
    if how == "declined":
        await ana.open_and_decide(await world.link(ticket), "decline")
        ana.http.cookies.clear()
    elif how == "cancelled":
        await world.authority.cancel("assistant", ticket.id)
    else:
        world.clock.seconds += 24 * 3600 + 1
    assert await refusal(ana, locator(world, ticket)) == expected


async def test_an_answer_for_one_locator_counts_for_no_other_and_for_no_link(world: World) -> None:
    ana = await world.enrolled(ANA)
    first, second = await world.request(), await world.request("30.00")
    link = await world.link(second)
    await ana.open(locator(world, first))
    path = urlsplit(locator(world, first)).path
    for elsewhere in (urlsplit(locator(world, second)).path, urlsplit(link).path):
        answer = ana.authenticator.get(await ana.post(f"{path}/challenge"), ana.origin)
        with pytest.raises(PageRefused, match="too late"):
            await ana.post(f"{elsewhere}/sign-in", answer)


async def test_T52_it_opens_no_other_kind_of_page_and_no_row_tells_of_it(world: World) -> None:
    await world.enrolled(ANA)
    ticket = await world.request()
    name = locator(world, ticket).rpartition("/")[2]
    client = world.client()
    for kind in ("l", "o", "u", "enrol"):
        assert (await client.http.get(f"/{kind}/{name}")).status_code == 404
    assert name not in str(await everything(world, ticket))


def test_one_ticket_has_one_locator_under_one_key() -> None:
    here, there = Locators(b"k" * 32, "https://a.example"), Locators(b"j" * 32, "https://a.example")
    assert here.url("cf_1") == here.url("cf_1")
    assert here.url("cf_1") not in (here.url("cf_2"), there.url("cf_1"))


async def test_without_a_page_of_ours_a_locator_gives_no_challenge(world: World) -> None:
    path = urlsplit(locator(world, await world.request())).path
    response: httpx2.Response = await world.client(SoftwareAuthenticator()).http.post(f"{path}/challenge")
    assert response.status_code == 403
