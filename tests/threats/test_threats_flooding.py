"""T11 to T14: fatigue and flooding."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser
from story_set import ANNELIES, INES, MARIA

from counterfoil_server.testing import PageRefused
from server.verification.browser import PHONE
from threats.siege import CAPS, REFUSED, Siege

LINK_LIFE, STATEMENT_LIFE, CAPABILITY_LIFE = 600, 600, 120
"""Seconds."""


async def test_T11_a_link_lives_ten_minutes_and_brings_another(siege: Siege) -> None:
    asked = await siege.credit()
    maria = await siege.browser_of(MARIA)
    first = await siege.link(MARIA)
    path = await maria.open(first)
    siege.desk.pass_time(LINK_LIFE + 1)
    with pytest.raises(PageRefused):
        await maria.post(f"{path}/challenge")
    with pytest.raises(PageRefused, match="This link has expired"):
        await maria.open(first)
    await maria.submit(f"{path}/again", {})
    siege.desk.pass_time(0)

    second = await siege.link(MARIA)
    assert second != first
    await maria.open_and_decide(second, "decline")
    assert await siege.state(asked) == "declined"


async def test_T11_a_statement_lives_ten_minutes(siege: Siege) -> None:
    asked = await siege.credit()
    maria = await siege.browser_of(MARIA)
    link = await siege.link(MARIA)
    await maria.sign_in(link)
    await maria.read()
    offered = await maria.post("/decide/statement", {"decision": "approve", "code": asked["match_code"]})
    siege.desk.clock.move(STATEMENT_LIFE + 1)
    with pytest.raises(PageRefused):
        await maria.post("/decide/signature", maria.authenticator.get(offered, maria.origin))
    assert await siege.state(asked) == "pending"


async def test_T11_a_capability_lives_two_minutes(siege: Siege) -> None:
    asked = await siege.credit()
    capability = await siege.approved(asked)
    siege.desk.clock.move(CAPABILITY_LIFE + 1)
    assert REFUSED in (await siege.redeem(asked, capability)).words
    assert siege.desk.books.unchanged
    fresh = await siege.capability(asked)
    assert (await siege.redeem(asked, fresh))["status"] == "executed"


async def test_T12_equal_requests_are_one_and_no_more_than_three_messages_an_hour_reach_anybody(siege: Siege) -> None:
    first = await siege.refund(note="one")
    for attempt in range(5):
        assert (await siege.refund(note=f"again {attempt}"))["ticket"] == first["ticket"]
    other = await siege.desk.assistant(name="other")
    for number in range(9):
        agent = siege.ai if number % 2 else other
        await agent.call(
            "request_refund", account=MARIA.email, order_id="NL-26010",
            amount={"value": f"1.0{number}", "currency": "EUR"},
        )  # fmt: skip
    assert len(await siege.posted(MARIA.email)) == 3

    waiting = await siege.desk.parts.administration.tickets_list(account="C-1001")
    assert len(waiting) == CAPS.per_account
    assert {ticket["state"] for ticket in waiting} == {"pending"}


async def test_T12_this_was_not_me_ends_all_that_an_agent_has_waiting_and_bars_it(siege: Siege) -> None:
    first, second = await siege.credit(), await siege.credit("6.00")
    others = await (await siege.desk.assistant(name="honest")).call(
        "request_refund", account=MARIA.email, order_id="NL-26017", amount={"value": "5.00", "currency": "EUR"}
    )
    maria = await siege.browser_of(MARIA)
    for message in await siege.posted(MARIA.email):
        if "Add store credit" in message.text:
            await maria.open_and_decide(message.link or "", "decline", disown=True)
            break
    assert sorted([await siege.state(first), await siege.state(second)]) == ["declined", "revoked"]
    assert await siege.state(others) == "pending"
    later = await siege.credit("7.00")
    assert (await siege.desk.ticket(later["ticket"]))["notices"] == []
    elsewhere = await siege.credit("7.00", account=INES.email)
    assert (await siege.desk.ticket(elsewhere["ticket"]))["notices"] != []
    # Not even an approval that was on its way helps: it is barred from the account until somebody resumes it.
    scopes = [found["scope"] for found in await siege.desk.parts.administration.suspensions()]
    assert scopes == [f"principal-account:{(await siege.ticket(first)).principal}|C-1001"]


async def test_T13_a_flood_meets_its_quota_and_others_are_served(siege: Siege) -> None:
    answers = [
        await siege.credit(reason=f"Reason number {number}", account=f"C-10{number + 10}")
        for number in range(CAPS.per_principal + 3)
    ]
    assert [answer.ok for answer in answers] == [True] * CAPS.per_principal + [False] * 3
    assert "too_many_requests" in answers[-1].words
    assert len(await siege.desk.parts.administration.tickets_list(limit=100)) == CAPS.per_principal

    other = await siege.desk.assistant(name="other")
    asked = await other.call(
        "request_goodwill_credit", account=ANNELIES.email, amount={"value": "5.00", "currency": "EUR"}, reason="Late"
    )
    await (await siege.browser_of(ANNELIES)).open_and_decide(await siege.link(ANNELIES), "approve", asked["match_code"])
    capability = (await other.call("ticket_status", ticket=asked["ticket"]))["capability"]
    assert (await other.call("redeem_ticket", ticket=asked["ticket"], capability=capability))["status"] == "executed"
    assert (await siege.ai.call("opening_hours")).ok


async def test_T14_declining_is_as_easy_as_approving(siege: Siege, browser: Browser) -> None:
    await siege.refund()
    maria = await siege.at_chromium(browser, MARIA, PHONE)
    assert await maria.page.evaluate("document.activeElement === document.body")
    assert await maria.page.get_by_role("button", name="Decline").is_enabled()
    await maria.page.locator("#end").scroll_into_view_if_needed()
    assert await maria.page.evaluate("document.activeElement === document.body")
    looks = []
    for name in ("Decline", "Approve"):
        button = maria.page.get_by_role("button", name=name)
        box = await button.bounding_box()
        assert box is not None
        style = await button.evaluate(
            "(e) => { const s = getComputedStyle(e); return [s.fontSize, s.fontWeight, s.borderTopWidth] }"
        )
        looks.append((box["width"], box["height"], box["y"], style))
    assert looks[0] == looks[1]
    assert not await maria.page.locator("[autofocus]").count()
