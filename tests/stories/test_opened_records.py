"""Maria opens her orders to an AI in one chat, sees what she grants, and takes it back."""

from __future__ import annotations

from playwright.async_api import expect
from story_books import Books

from counterfoil.testing import OpenDesk
from stories.chromium import AtTheBrowser
from stories.test_main_job import ASKED, MARIA, words


async def test_maria_opens_her_records_to_one_chat_and_ends_it(
    desk: OpenDesk, books: Books, maria: AtTheBrowser
) -> None:
    await maria.enrols((await desk.invite("Maria Lindqvist", account="C-1001", email=MARIA)).url)
    assistant = await desk.assistant("another")
    conversation = (await assistant.call("start_conversation"))["conversation"]
    assert "no_access" in (await assistant.call("my_orders", conversation=conversation)).words
    asked = await assistant.call("request_access", account=MARIA, conversation=conversation)
    message = await desk.mailbox.newest(MARIA, ASKED)
    assert message.link is not None
    await maria.signs_in(message.link)
    page = words(await maria.reads())
    assert "May be read My orders, My invoices, Membership" in page
    assert "May be done without asking you again Only what the rules of Northlight support leave to the AI" in page
    assert "15 minutes after you confirm, in this one conversation" in page
    await maria.approves(asked["match_code"])
    await maria.page.wait_for_url("**/done")
    assert (await desk.settled(asked["ticket"])).state == "executed"

    read = await assistant.call("my_orders", conversation=conversation)
    assert "NL-26017" in str(read.values)
    assert "Visa ending 4242" in str(read.values)  # her passkey cannot be copied, which the desk asks for
    lower = await assistant.call("request_change_membership", account=MARIA, tier="standard", conversation=conversation)
    assert (await desk.settled(lower["ticket"])).state == "executed"
    assert books.entries_added == 1

    undo = await assistant.call("request_undo_change_membership", ticket=lower["ticket"], conversation=conversation)
    assert undo["status"] == "pending"

    await maria.page.goto(f"{desk.url}/done")
    await maria.page.get_by_role("button", name="End the access now").click()
    await expect(maria.page.get_by_role("heading", name="The access has ended")).to_be_visible()
    assert "no_access" in (await assistant.call("my_orders", conversation=conversation)).words
