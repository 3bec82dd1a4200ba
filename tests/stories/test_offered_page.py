"""An AI client that shows addresses offers its user the ticket's page: the whole thread, once, over real interfaces.

The official MCP client over HTTP, the real pages with an authenticator in software, the shop's own books.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client

from counterfoil_server.testing import PageClient, PageRefused, SoftwareAuthenticator
from stories.running_desk import RunningDesk, running_desk

MARIA = "maria.lindqvist@post.example"
REFUND = {"account": MARIA, "order_id": "NL-26017", "amount": {"value": "39.00", "currency": "EUR"}}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    """The example desk as `counterfoil serve` runs it, with addresses that a client can open."""
    async with running_desk(tmp_path) as served:
        yield served


class Shown:
    """The client's user, who is shown offers."""

    def __init__(self) -> None:
        self.offers: list[types.ElicitRequestURLParams] = []

    async def __call__(self, context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        self.offers.append(params)
        return types.ElicitResult(action="accept")


async def client(desk: RunningDesk, shown: Shown, name: str = "assistant") -> Client:
    token = (await desk.parts.administration.call("principals_add", {"name": name}))["token"]
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)
    await desk.stack.enter_async_context(http)
    transport = streamable_http_client(f"{desk.base_url}/mcp", http_client=http)
    return await desk.stack.enter_async_context(Client(transport, elicitation_callback=shown))


async def browser(desk: RunningDesk) -> PageClient:
    return await desk.stack.enter_async_context(PageClient(desk.base_url, SoftwareAuthenticator()))


async def enrolled(desk: RunningDesk, name: str, email: str, account: str) -> PageClient:
    person = await browser(desk)
    await person.enrol(await desk.invite(name, email, accounts=[account]))
    return person


async def asked(assistant: Client, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = (
        await assistant.call_tool("request_refund", {**REFUND, **arguments})
    ).structured_content
    assert found is not None
    return found


async def test_the_offered_page_leads_its_holder_to_the_decision_and_the_books_change_once(desk: RunningDesk) -> None:
    maria = await enrolled(desk, "Maria Lindqvist", MARIA, "C-1001")
    shown = Shown()
    assistant = await client(desk, shown)
    found = await asked(assistant)
    assert (found["status"], found["executed"]) == ("pending", False)
    (offer,) = shown.offers
    assert desk.books.unchanged

    await maria.sign_in(offer.url)
    assert "39.00 EUR" in (await maria.read()).text
    with pytest.raises(PageRefused):
        await maria.decide("approve")
    await maria.decide("approve", found["match_code"])
    await desk.state_becomes(found["ticket"], "executed")
    assert desk.books.refunded("NL-26017") == 3900
    assert desk.books.entries_added == 1

    status = (await assistant.call_tool("ticket_status", {"ticket": found["ticket"]})).structured_content or {}
    assert status["executed"] is True
    assert (await asked(assistant))["status"] == "executed"
    assert len(shown.offers) == 1
    maria.http.cookies.clear()
    with pytest.raises(PageRefused, match="not valid, or not for you"):
        await maria.sign_in(offer.url)


async def test_T52_the_offered_url_is_another_locator_worth_nothing(desk: RunningDesk) -> None:
    await enrolled(desk, "Maria Lindqvist", MARIA, "C-1001")
    other = await enrolled(desk, "Jonas Weber", "jonas@post.example", "C-1002")
    shown = Shown()
    found = await asked(await client(desk, shown))
    link = (await desk.message(MARIA, "waits for your decision")).link or ""
    (offer,) = shown.offers
    secret, locator = link.rpartition("/")[2], offer.url.rpartition("/")[2]
    assert urlsplit(offer.url).netloc == urlsplit(desk.base_url).netloc
    assert secret not in offer.model_dump_json() + str(found)
    assert found["ticket"].removeprefix("cf_") not in offer.url
    nobody = await browser(desk)
    for kind in ("l", "o", "u", "enrol"):
        assert (await nobody.http.get(f"/{kind}/{locator}")).status_code == 404
    await nobody.open(offer.url)
    for told in ("Maria", "C-1001", "39.00", "NL-26017", "efund", found["match_code"]):
        assert told not in nobody.page.text
    with pytest.raises(PageRefused):
        await nobody.read()
    with pytest.raises(PageRefused, match="not valid, or not for you"):
        await other.sign_in(offer.url)
    assert (await desk.ticket(found["ticket"]))["state"] == "pending"
    assert desk.books.unchanged


async def test_T54_an_offer_for_an_unknown_account_looks_and_leads_like_any_other(desk: RunningDesk) -> None:
    await enrolled(desk, "Maria Lindqvist", MARIA, "C-1001")
    other = await enrolled(desk, "Jonas Weber", "jonas@post.example", "C-1002")
    seen = set()
    for account in (MARIA, "nobody@nowhere.example"):
        shown = Shown()
        found = await asked(await client(desk, shown, account.partition("@")[0].replace(".", "-")), account=account)
        (offer,) = shown.offers
        await other.open(offer.url)
        page = other.page.html.replace(other.page.token, "*")
        with pytest.raises(PageRefused) as refused:
            await other.sign_in(offer.url)
        message = offer.message.replace(found["match_code"], "*")
        seen.add((message, len(offer.url), page, refused.value.status, str(refused.value.answer)))
    assert len(seen) == 1
