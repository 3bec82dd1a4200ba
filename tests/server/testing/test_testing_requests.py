"""What an AI, people and staff do at a desk in a test: requests, decisions, reads, and those who misbehave."""

from __future__ import annotations

import pytest

from counterfoil.testing import (
    NoMessage,
    OpenDesk,
    PageRefused,
    PasskeyRefused,
    SoftwareAuthenticator,
    ToolRefused,
    money,
)
from server.testing.gym import Gym

# Requests and decisions -----------------------------------------------------------------------------------------------


async def test_a_request_waits_for_its_holder_and_runs_once_when_they_sign(desk: OpenDesk, gym: Gym) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"), note="Late again.")
    waiting = await desk.settled(asked)
    assert (waiting.state, waiting.account, waiting.principal) == ("pending", "M-1", "assistant")
    assert any("passkey" in clause for clause in waiting.waiting_for)
    assert gym.done == {}
    assert "Late again." in (await ada.reads(asked)).text
    await ada.approves(asked)
    done = await desk.settled(asked)
    assert done.state == "executed"
    assert done.receipt is not None
    assert done.receipt.summary == "credit 20.00 EUR"
    assert gym.done == {asked.ticket: "credit 20.00 EUR"}
    assert (await desk.ai.status(asked))["status"] == "executed"
    assert "was carried out" in (await desk.mailbox.newest(ada)).subject


async def test_a_link_and_a_code_can_be_given_by_hand(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    message = await desk.mailbox.newest(ada, "waits for your decision")
    with pytest.raises(PageRefused, match="not the code"):
        await ada.approves(message, code=f"{(int(asked.match_code) + 1) % 1_000_000:06d}")
    assert message.link is not None
    await ada.approves(message.link, code=asked.match_code)
    assert (await desk.settled(asked)).state == "executed"


async def test_each_request_is_decided_by_its_own_message(desk: OpenDesk, gym: Gym) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    small = await desk.ai.request("credit", account="M-1", amount=money("1.00"))
    large = await desk.ai.request("credit", account="M-1", amount=money("2.00"))
    assert await ada.declines(small) == "You declined"
    await ada.approves(large)
    assert {ticket.id: ticket.state for ticket in await desk.tickets()} == {
        small.ticket: "declined",
        large.ticket: "executed",
    }
    assert [ticket.id for ticket in await desk.tickets("executed", account="M-1")] == [large.ticket]
    assert list(gym.done) == [large.ticket]


async def test_what_staff_must_approve_waits_for_them_too(desk: OpenDesk) -> None:
    ada, kim = await desk.enrol("Ada", account="M-1"), await desk.enrol("Kim", role="front")
    assert (ada.address, kim.address) == ("ada@members.example", "kim@people.example")
    asked = await desk.ai.request("credit", account="M-1", amount=money("80.00"))
    assert await ada.approves(asked) == "Your approval is recorded"
    assert (await desk.settled(asked)).state == "pending"
    await kim.approves(asked)
    assert (await desk.settled(asked)).state == "executed"


async def test_this_was_not_me_bars_the_ai_from_the_account(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.disowns(asked)
    assert (await desk.settled(asked)).state == "declined"
    again = await desk.ai.request("credit", account="M-1", amount=money("21.00"))
    with pytest.raises(NoMessage, match="about cf_"):
        await ada.approves(again)


async def test_what_policy_refuses_can_be_read_and_never_approved(desk: OpenDesk, gym: Gym) -> None:
    gym.locked.add("M-1")
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    assert (await desk.settled(asked)).refusal == "Nothing on a locked account."
    assert "Nothing on a locked account." in (await ada.reads(asked)).text
    with pytest.raises(PageRefused):
        await ada.approves(asked)


async def test_whoever_comes_after_the_decision_is_told_that_there_is_nothing_to_decide(desk: OpenDesk) -> None:
    ada, kim = await desk.enrol("Ada", account="M-1"), await desk.enrol("Kim", role="front")
    asked = await desk.ai.request("credit", account="M-1", amount=money("60.00"))
    await ada.declines(asked)
    with pytest.raises(PageRefused, match="nothing to decide here at present; the page leads on to /done"):
        await kim.approves(asked)


async def test_the_ai_redeems_what_it_is_to_collect(desk: OpenDesk, gym: Gym) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("open_locker", account="M-1")
    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "approved"
    assert gym.done == {}
    with pytest.raises(ToolRefused) as refused:
        await desk.ai.redeem(asked, "made-up")
    assert refused.value.code == "capability_refused"
    assert str(refused.value) == f"redeem_ticket: {refused.value.words}"
    assert (await desk.ai.redeem(asked))["status"] == "executed"
    assert list(gym.done) == [asked.ticket]


async def test_what_was_done_is_undone_by_a_request_of_its_own(desk: OpenDesk, gym: Gym) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.approves(asked)
    undo = await desk.ai.request("undo_credit", ticket=asked)
    await ada.approves(undo)
    assert (await desk.settled(undo)).state == "executed"
    assert list(gym.done.values()) == ["credit 20.00 EUR", "undo G-1"]


async def test_a_request_can_be_withdrawn(desk: OpenDesk) -> None:
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    assert (await desk.ai.cancel(asked))["status"] == "cancelled"


# Reads ----------------------------------------------------------------------------------------------------------------


async def test_everybodys_reads_are_answered_at_once(desk: OpenDesk) -> None:
    assert await desk.ai.read("opening_hours") == "always"


async def test_a_persons_records_are_read_in_the_conversation_that_they_opened(desk: OpenDesk) -> None:
    synced = SoftwareAuthenticator(backup_eligible=True, backed_up=True)
    ada = await desk.enrol("Ada", account="M-1", authenticator=synced)
    chat, other = await desk.ai.start_conversation(), await desk.ai.start_conversation()
    asked = await chat.request("access", account="M-1")
    with pytest.raises(ToolRefused) as refused:
        await chat.read("visits")
    assert refused.value.code == "no_access"
    await ada.approves(asked)
    assert await chat.read("visits", limit=3) == [{"day": "Monday", "trainer": None}]
    assert (await chat.request("pause", account="M-1")).status == "approved"
    with pytest.raises(ToolRefused):
        await other.read("visits")
    await ada.ends_access(asked)
    with pytest.raises(ToolRefused):
        await chat.read("visits")


async def test_access_ends_by_itself(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    chat = await desk.ai.start_conversation()
    await ada.approves(await chat.request("access", account="M-1"))
    await desk.advance(minutes=14, seconds=59)
    assert await chat.read("visits")
    await desk.advance(seconds=1)
    with pytest.raises(ToolRefused):
        await chat.read("visits")


# Whoever misbehaves ---------------------------------------------------------------------------------------------------


async def test_other_agents_and_other_passkeys_get_nothing(desk: OpenDesk) -> None:
    ada, bo = await desk.enrol("Ada", account="M-1"), await desk.enrol("Bo", account="M-2")
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    other = await desk.assistant("other", mode="legacy")
    with pytest.raises(ToolRefused) as refused:
        await other.status(asked)
    assert refused.value.code == "unknown_ticket"
    with pytest.raises((PageRefused, PasskeyRefused)):
        await bo.approves(await desk.mailbox.newest(ada), code=asked.match_code)


async def test_an_authenticator_that_did_not_verify_its_user_approves_nothing(desk: OpenDesk) -> None:
    careless = SoftwareAuthenticator()
    ada = await desk.enrol("Ada", account="M-1", authenticator=careless)
    asked = await desk.ai.request("credit", account="M-1", amount=money("20.00"))
    await ada.reads(asked)
    careless.user_verified = False
    with pytest.raises(PageRefused):
        await ada.browser.decide("approve", asked.match_code)


async def test_a_mailbox_without_the_message_says_what_it_holds(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada", account="M-1")
    with pytest.raises(NoMessage, match=r"to ada@members\.example: Gym: a passkey was added"):
        await desk.mailbox.newest(ada, "waits for your decision")
