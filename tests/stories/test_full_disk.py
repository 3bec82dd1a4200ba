"""A disk without space, through the whole server: everybody is told in words, nothing changes, and nothing is lost."""

from __future__ import annotations

import httpx2
import pytest
from story_books import Books

from counterfoil.testing import OpenDesk, PageClient, PageRefused, SoftwareAuthenticator
from server.full_disk import full_disk

MARIA = "maria.lindqvist@post.example"
WANTED = {"account": MARIA, "order_id": "NL-26017", "amount": {"value": "39.00", "currency": "EUR"}}
NO_SPACE = "The database could not be written; nothing was changed."


async def test_a_full_disk_is_told_in_words_and_work_goes_on_when_there_is_space(desk: OpenDesk, books: Books) -> None:
    async with PageClient(desk.url, SoftwareAuthenticator()) as maria:
        await maria.enrol((await desk.invite("Maria Lindqvist", account="C-1001", email=MARIA)).url)
        assistant = desk.ai
        asked = await assistant.call("request_refund", **WANTED)
        link = (await desk.mailbox.newest(MARIA, "waits for your decision")).link
        assert link is not None
        await maria.sign_in(link)
        await maria.read()

        with full_disk():
            refused = await assistant.call("request_recover_account", account=MARIA, new_email="eve@evil.example")
            assert not refused.ok
            assert NO_SPACE in refused.words
            assert refused.words.endswith("(store_failed)")
            assert (await assistant.call("explain_requirements", operation="refund")).ok
            assert (await assistant.call("ticket_status", ticket=asked["ticket"]))["status"] == "pending"
            assert not (await assistant.call("cancel_ticket", ticket=asked["ticket"])).ok
            with pytest.raises(PageRefused) as on_the_page:
                await maria.decide("approve", asked["match_code"])
            assert on_the_page.value.status == 503
            assert on_the_page.value.answer["code"] == "store_failed"
            assert "doctor" not in str(on_the_page.value.answer)
            async with httpx2.AsyncClient(base_url=desk.url, trust_env=False, timeout=60) as anybody:
                assert (await anybody.get("/healthz")).status_code == 200
        assert books.unchanged

        await maria.read()
        await maria.decide("approve", asked["match_code"])
        assert (await assistant.outcome(asked["ticket"]))["status"] == "executed"
        assert books.added(asked["ticket"]) == 1
        assert [line["ticket"] for line in await desk.administer("tickets_list")] == [asked["ticket"]]
        await desk.parts.store.verify_log()
