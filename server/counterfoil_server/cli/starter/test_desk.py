"""The desk and its policy, tried on the whole: an AI asks, people sign, a day goes by. Run them with: python -m pytest

The server, its pages and the policy are the real ones. Only the clock stands still until a test moves it, messages go
to a mailbox, and passkeys are in software. docs/how-to/test-a-desk.md of Counterfoil has every step that there is.
"""

from pathlib import Path

import pytest

from counterfoil import Account, Execution
from counterfoil.testing import OpenDesk, PageRefused, money, policy_cases
from desk import find_refund, refund, store

CASES = policy_cases(Path(__file__).with_name("counterfoil.toml"))


def left() -> str:
    """What is left of what Ada paid, in EUR. Look after "settled", which lets everything happen that is due."""
    return str(store.orders["A-100"].left)


# 1. The honest way. The AI gets a ticket; Ada reads the page, types the code from the chat, and signs.
async def test_a_refund_happens_once_when_the_account_holder_signs(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada Byron", account="C-1")
    asked = await desk.ai.request("refund", account="ada@example.com", order_id="A-100", amount=money("20.00"))
    assert (await desk.settled(asked)).state == "pending"
    assert left() == "80.00"

    await ada.approves(asked)
    assert (await desk.settled(asked)).state == "executed"
    assert left() == "60.00"

    # Asked once more, the AI gets the same ticket, and Ada has nothing to sign.
    again = await desk.ai.request("refund", account="ada@example.com", order_id="A-100", amount=money("20.00"))
    assert again.ticket == asked.ticket
    assert left() == "60.00"


# 2. Attacks. Whatever the AI was talked into: a request gives no power, and people see your records, not its words.
async def test_the_ai_cannot_pass_off_bens_order_as_adas(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada Byron", account="C-1")
    asked = await desk.ai.request("refund", account="C-1", order_id="A-200", amount=money("20.00"))
    assert "does not belong to this account" in str((await desk.settled(asked)).refusal)
    with pytest.raises(PageRefused, match="can no longer be decided"):
        await ada.approves(asked)


async def test_a_request_from_another_chat_is_not_adas_to_sign(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada Byron", account="C-1")
    asked = await desk.ai.request("refund", account="C-1", order_id="A-100", amount=money("20.00"))
    with pytest.raises(PageRefused, match="not the code from the chat"):
        await ada.approves(asked, code="000000")
    assert left() == "80.00"


# 3. Time. Nobody sleeps: the test moves the clock, and what is due by then is done.
async def test_small_refunds_of_a_day_add_up_until_a_colleague_is_asked(desk: OpenDesk) -> None:
    ada = await desk.enrol("Ada Byron", account="C-1")
    cleo = await desk.enrol("Cleo Marsh", role="finance")
    await ada.approves(await desk.ai.request("refund", account="C-1", order_id="A-100", amount=money("30.00")))

    more = await desk.ai.request("refund", account="C-1", order_id="A-100", amount=money("20.01"))
    await ada.approves(more)
    assert "finance" in (await desk.settled(more)).waiting_for[0]
    await cleo.approves(more)
    assert (await desk.settled(more)).state == "executed"

    await desk.advance(hours=25)
    later = await desk.ai.request("refund", account="C-1", order_id="A-100", amount=money("20.00"))
    await ada.approves(later)
    assert (await desk.settled(later)).state == "executed"


async def test_what_nobody_answers_for_a_day_expires(desk: OpenDesk) -> None:
    asked = await desk.ai.request("refund", account="C-1", order_id="A-100", amount=money("20.00"))
    await desk.advance(hours=25)
    assert (await desk.settled(asked)).state == "expired"


# 4. Your own function. Called again with the same key, it must not do it again; and what became of it can be found out.
async def test_a_refund_that_is_run_twice_happens_once(desk: OpenDesk) -> None:
    execution = Execution(ticket="T-1", idempotency_key="T-1", guard="1")
    first = await refund.run(execution, Account("C-1"), "A-100", money("20.00"))
    assert await refund.run(execution, Account("C-1"), "A-100", money("20.00")) == first
    assert await find_refund(execution) == first
    assert left() == "60.00"


# 5. The policy alone: each case of policy_cases.toml is a test.
@pytest.mark.parametrize("name", CASES)
def test_the_policy_says(name: str) -> None:
    assert CASES[name].failures == ()
