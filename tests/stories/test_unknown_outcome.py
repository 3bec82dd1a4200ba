"""The story of an outcome that nobody knows: the shop's connector hangs, and finance finds out and signs what happened.

Nothing is replaced but the connector, which stops answering after the shop's books were changed, and the shop's lookup,
which does not answer either: as when the shop's system went away in the middle of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Browser, expect
from story_books import Books

from counterfoil import Execution, Receipt
from counterfoil.testing import OpenDesk
from stories.chromium import AtTheBrowser
from stories.test_main_job import ASKED, MARIA, eur, words

FINANCE = "amelie.laurent@northlight.example"
FIND_OUT = "find out whether"


def hangs(desk: OpenDesk) -> None:
    """From now on the shop's system takes refunds in and does not answer any more."""
    refund = desk.parts.authority.judge.desk.operations["refund"]
    run = refund.run

    async def taken_in_and_never_answered(execution: Execution, **arguments: Any) -> Receipt:
        await run(execution, **arguments)
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    async def no_answer(execution: Execution) -> Receipt | None:
        raise OSError("the shop's system cannot be reached")

    refund.run, refund.run_lookup, refund.time_limit = taken_in_and_never_answered, no_answer, 0.3


async def test_finance_finds_out_what_became_of_a_refund_and_signs_that_it_happened(
    desk: OpenDesk, books: Books, maria: AtTheBrowser, browser: Browser
) -> None:
    amelie = await AtTheBrowser.sits_down(browser)
    await maria.enrols((await desk.invite("Maria Lindqvist", account="C-1001", email=MARIA)).url)
    await amelie.enrols((await desk.invite("Amélie Laurent", role="finance", email=FINANCE)).url)
    hangs(desk)
    assistant = desk.ai
    asked = await assistant.call(
        "request_refund", account=MARIA, order_id="NL-26017", amount=eur("39.00"), note="Please say that it happened."
    )
    message = await desk.mailbox.newest(MARIA, ASKED)
    assert message.link is not None
    await maria.signs_in(message.link)
    await maria.approves(asked["match_code"])
    await maria.sees("The outcome is not known yet")
    assert (await desk.settled(asked["ticket"])).state == "unknown"
    assert "may have been carried out" in (await desk.mailbox.newest(MARIA, "Refund")).subject

    status = await assistant.call("ticket_status", ticket=asked["ticket"])
    assert (status["status"], status.values["executed"]) == ("unknown", None)
    shown = (await desk.ticket(asked["ticket"])).values
    assert shown["settlers"]["role"] == "finance"
    assert len(shown["settlers"]["people"]) == 1

    told = await desk.mailbox.newest(FINANCE, FIND_OUT)
    for secret in ("39.00", "NL-26017", "C-1001", "Maria", asked["ticket"], "Please say"):
        assert secret not in told.subject + told.text
    assert told.link is not None
    # Ten minutes go by; the page of the lapsed link sends another.
    await desk.advance(seconds=601)
    await amelie.page.goto(told.link)
    await amelie.page.get_by_role("button", name="Send me a new link").click()
    await expect(amelie.page.get_by_role("heading", name="Look at your messages")).to_be_visible()
    newer = await desk.mailbox.newest(FINANCE, FIND_OUT)
    assert newer.link not in (None, told.link)

    await amelie.page.goto(newer.link or "")
    await amelie.page.get_by_role("button", name="Sign in with your passkey").click()
    await amelie.page.wait_for_url("**/settle")
    page = words(await amelie.reads())
    assert asked["ticket"] in page
    assert "no result was recorded" in page
    assert "Left to refund Before 49.90 EUR If it happened 10.90 EUR" in page
    assert "Please say that it happened." not in page.partition("Written by the AI, not checked")[0]
    await amelie.page.get_by_role("link", name="I don’t know yet").click()
    await expect(amelie.page.get_by_role("heading", name="Nothing was changed")).to_be_visible()
    assert (await desk.settled(asked["ticket"])).state == "unknown"

    # She looks into the shop's own books, where the key leads her to the refund.
    assert books.added(asked["ticket"]) == 1
    await amelie.page.get_by_role("link", name="Go back").click()
    await amelie.reads()
    await amelie.page.get_by_label("Reference in your own system").fill("RF-2291")
    await amelie.page.get_by_role("button", name="Yes, it happened").click()
    await expect(amelie.page.get_by_role("heading", name="It happened")).to_be_visible()

    status = await assistant.call("ticket_status", ticket=asked["ticket"])
    assert (status["status"], status.values["executed"]) == ("executed", True)
    assert status.values["outcome"]["reference"] == "RF-2291"
    assert "A person of the organisation established" in status.values["outcome"]["summary"]
    assert "melie" not in str(status.values).lower()
    assert "was carried out" in (await desk.mailbox.newest(MARIA, '"Refund" was')).subject
    assert books.entries_added == 1
    shown = (await desk.ticket(asked["ticket"])).values
    assert (shown["settlement"]["found"], shown["settlement"]["reference"]) == ("executed", "RF-2291")
    await amelie.page.context.close()
