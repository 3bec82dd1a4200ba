"""Account recovery, end to end: two of identity staff, a day in which the old address can object, and a veto from it.

Jonathan has lost his passkey, so nobody holds one for his account: the messages to his address on file can stop the
change, and cannot approve it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, Page, expect
from story_books import Books

from counterfoil.testing import OpenDesk
from stories.chromium import AtTheBrowser

JONATHAN = "j.okafor@mail.example"
NEW_ADDRESS = "jonathan.okafor@work.example"
STAFF = {"Priya Nair": "priya.nair@northlight.example", "Tomasz Zieliński": "tomasz.zielinski@northlight.example"}
DAY = 86_400
CAN_STOP = "you can stop"


@dataclass
class Recovery:
    """A recovery that both of identity staff have approved, and that now waits."""

    ticket: str
    assistant: Any


async def approved_by_two(desk: OpenDesk, browser: Browser) -> Recovery:
    people = {}
    for name, email in STAFF.items():
        people[email] = await AtTheBrowser.sits_down(browser)
        await people[email].enrols((await desk.invite(name, role="identity", email=email)).url)
    assistant = desk.ai
    asked = await assistant.call("request_recover_account", account=JONATHAN, new_email=NEW_ADDRESS)
    ticket = asked["ticket"]
    for number, (email, person) in enumerate(people.items(), start=1):
        message = await desk.mailbox.newest(email, "waits for your decision")
        assert message.link is not None
        await person.signs_in(message.link)
        page = " ".join((await person.reads()).split())
        assert f"Sign-in e-mail Now {JONATHAN} Afterwards {NEW_ADDRESS}" in page
        assert "an address of this customer since 13 May 2024" in page
        await person.approves()
        if number == 1:
            await person.sees("Your approval is recorded")
            assert (await desk.settled(ticket)).state == "pending"
        else:
            await person.sees("Approved, and waiting")
        await person.page.context.close()
    assert (await desk.settled(ticket)).state == "held"
    assert (await assistant.call("ticket_status", ticket=ticket))["status"] == "held"
    return Recovery(ticket, assistant)


async def test_two_of_identity_staff_and_a_day_without_objection_recover_an_account(
    desk: OpenDesk, books: Books, browser: Browser
) -> None:
    recovery = await approved_by_two(desk, browser)
    told = await desk.mailbox.newest(JONATHAN, CAN_STOP, "It will be carried out on")
    assert NEW_ADDRESS not in [kept.to for kept in desk.mailbox.messages()]
    assert NEW_ADDRESS not in told.subject + told.text

    await desk.advance(seconds=DAY - 60)
    assert (await desk.settled(recovery.ticket)).state == "held"
    assert books.unchanged

    await desk.advance(seconds=120)
    assert (await desk.settled(recovery.ticket)).state == "executed"
    assert books.added(recovery.ticket) == 1
    assert books.read().sign_ins == ((recovery.ticket, "C-1002", NEW_ADDRESS),)
    status = await recovery.assistant.call("ticket_status", ticket=recovery.ticket)
    assert NEW_ADDRESS in status.values["outcome"]["summary"]
    assert "was carried out" in (await desk.mailbox.newest(JONATHAN, "was carried out")).subject


async def test_the_old_address_stops_a_recovery_with_the_code_of_its_message(
    desk: OpenDesk, books: Books, browser: Browser
) -> None:
    recovery = await approved_by_two(desk, browser)
    message = await desk.mailbox.newest(JONATHAN, CAN_STOP, "It will be carried out on")
    assert message.code is not None
    assert message.link is not None
    await desk.advance(seconds=300)

    jonathan = await (await browser.new_context()).new_page()
    await jonathan.goto(message.link)
    await types_code(jonathan, "WRONG111")
    await expect(jonathan.get_by_role("alert")).to_contain_text("That is not the code from the message.")
    assert (await desk.settled(recovery.ticket)).state == "held"
    await types_code(jonathan, message.code.lower())
    await expect(jonathan.get_by_role("heading", name="Stop “Change the sign-in e-mail”?")).to_be_visible()
    await jonathan.get_by_role("button", name="Stop it: this wasn’t me").click()
    await expect(jonathan.get_by_role("heading", name="Stopped")).to_be_visible()
    await jonathan.context.close()

    status = await recovery.assistant.call("ticket_status", ticket=recovery.ticket)
    assert (status["status"], status.values["executed"]) == ("declined", False)
    await desk.advance(seconds=2 * DAY)
    assert (await desk.settled(recovery.ticket)).state == "declined"
    assert books.unchanged


async def types_code(page: Page, code: str) -> None:
    await page.get_by_label("Code from the message").fill(code)
    await page.get_by_role("button", name="Continue").click()
