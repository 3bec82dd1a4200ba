"""Time at a desk in a test: holds, links, ends; and what becomes of what was begun or stopped."""

from __future__ import annotations

import asyncio

import pytest

from counterfoil.testing import OpenDesk, PageRefused, money
from server.testing.gym import Gym


async def test_a_hold_ends_when_the_clock_says_so_and_not_before(desk: OpenDesk, gym: Gym) -> None:
    kim = await desk.enrol("Kim", role="front")
    asked = await desk.ai.request("change_email", account="M-3", email="new@members.example")
    assert await kim.approves(asked) == "Approved, and waiting"
    await desk.advance(days=1, seconds=-1)
    assert ((await desk.settled(asked)).state, gym.done) == ("held", {})
    await desk.advance(seconds=1)
    assert (await desk.settled(asked)).state == "executed"


async def test_whoever_has_the_message_can_stop_what_waits_without_a_passkey(desk: OpenDesk, gym: Gym) -> None:
    kim = await desk.enrol("Kim", role="front")
    cy = await desk.without_passkey("Cy", "cy@members.example")
    asked = await desk.ai.request("change_email", account="M-3", email="eve@evil.example")
    await kim.approves(asked)
    assert "Stopped" in (await cy.stops(asked, disown=True)).text
    await desk.advance(days=2)
    assert ((await desk.settled(asked)).state, gym.done) == ("declined", {})


async def test_a_link_that_has_lapsed_is_asked_for_again(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    message = await desk.mailbox.newest(ada)
    await desk.advance(minutes=11)
    with pytest.raises(PageRefused) as refused:
        await ada.approves(message)
    assert refused.value.lapsed
    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "executed"


async def test_what_nobody_decided_expires(desk: OpenDesk) -> None:
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await desk.advance(days=1)
    assert (await desk.settled(asked)).state == "expired"
    with pytest.raises(ValueError, match="does not go back"):
        await desk.advance(days=-1)


async def test_a_connector_that_refuses_has_done_nothing(desk: OpenDesk, gym: Gym) -> None:
    gym.broken = "refuses"
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(asked)
    ended = await desk.settled(asked)
    assert (ended.state, ended.reason) == ("not_executed", "The gym is closed.")


async def test_an_unknown_outcome_is_settled_by_whoever_is_named_for_it(desk: OpenDesk, gym: Gym) -> None:
    gym.broken = "silent"
    ada, kim = await desk.enrol("Ada", account="M-1"), await desk.enrol("Kim", role="front")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "unknown"
    await kim.settles(asked, "executed", "B-17")
    ended = await desk.settled(asked)
    assert ended.receipt is not None
    assert (ended.state, ended.receipt.reference) == ("executed", "B-17")


async def test_what_is_revoked_never_runs(desk: OpenDesk, gym: Gym) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.reads(asked)
    assert (await desk.revoke(asked))["revoked"] == 1
    with pytest.raises(PageRefused):
        await ada.browser.decide("approve", asked.match_code)
    assert ((await desk.settled(asked)).state, gym.done) == ("revoked", {})


async def test_a_revocation_says_what_is_being_carried_out_already(desk: OpenDesk, gym: Gym) -> None:
    gym.free = asyncio.Event()
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(asked)
    await gym.busy.wait()
    assert (await desk.ticket(asked)).state == "executing"
    assert (await desk.revoke("account:M-1"))["executing"] == 1
    gym.free.set()
    assert (await desk.settled(asked)).state == "executed"


async def test_what_is_suspended_runs_when_it_is_resumed(desk: OpenDesk, gym: Gym) -> None:
    kim = await desk.enrol("Kim", role="front")
    asked = await desk.ai.request("change_email", account="M-3", email="new@members.example")
    await kim.approves(asked)
    await desk.suspend("operation:change_email")
    await desk.advance(days=1)
    assert (await desk.settled(asked)).state == "held"
    await desk.resume("operation:change_email")
    await desk.advance(minutes=1)
    assert (await desk.settled(asked)).state == "executed"


async def test_a_person_who_was_disabled_signs_nothing(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await desk.mailbox.newest(ada)
    await desk.disable(ada)
    with pytest.raises(PageRefused):
        await ada.approves(asked)
