"""Records and operations that a holder opened to one chat, attacked by the client that may use them."""

from __future__ import annotations

from story_set import ANNELIES, INES, MARIA

from counterfoil.testing import Answer, Assistant
from threats.siege import Siege


async def chat(ai: Assistant) -> str:
    """A conversation of this client."""
    return (await ai.call("start_conversation"))["conversation"]


async def opened(siege: Siege, conversation: str) -> Answer:
    """Maria opens her records to the conversation."""
    asked = await siege.ai.call("request_access", account=MARIA.email, conversation=conversation)
    await siege.approves(MARIA, asked["match_code"])
    await siege.desk.state_becomes(asked["ticket"], "executed")
    return asked


async def test_T39_a_handle_opens_nothing_to_another_principal_or_in_another_chat(siege: Siege) -> None:
    conversation = await chat(siege.ai)
    await opened(siege, conversation)
    assert "NL-26017" in str((await siege.ai.call("my_orders", conversation=conversation)).values)
    stranger = await siege.desk.assistant(name="stranger")
    foreign = await stranger.call("my_orders", conversation=conversation)
    unknown = await stranger.call("my_orders", conversation="cv_unknown")
    assert (foreign.ok, foreign.words) == (unknown.ok, unknown.words) == (False, unknown.words)
    assert "unknown_conversation" in foreign.words
    asked = await stranger.call(
        "request_change_membership", account=MARIA.email, tier="free", conversation=conversation
    )
    assert "unknown_conversation" in asked.words
    other = await siege.ai.call("my_orders", conversation=await chat(siege.ai))
    assert "no_access" in other.words
    assert not (await siege.ai.call("my_orders", conversation=conversation, account=INES.email)).ok


async def test_T44_a_loop_over_all_accounts_changes_only_the_one_whose_holder_opened_it(siege: Siege) -> None:
    conversation = await chat(siege.ai)
    await opened(siege, conversation)
    siege.desk.books.mark()
    statuses = {}
    for account in (INES.email, ANNELIES.email, "C-1008", "C-1014", MARIA.email):
        asked = await siege.ai.call(
            "request_change_membership", account=account, tier="standard", conversation=conversation
        )
        statuses[account] = asked
    ran = statuses.pop(MARIA.email)
    await siege.desk.state_becomes(ran["ticket"], "executed")
    assert {asked["status"] for asked in statuses.values()} == {"pending"}
    assert siege.desk.books.added(ran["ticket"]) == 1
    assert siege.desk.books.entries_added == 1


async def test_T44_what_ended_lets_nothing_run_by_itself_any_more(siege: Siege) -> None:
    conversation = await chat(siege.ai)
    await opened(siege, conversation)
    siege.desk.pass_time(901)
    asked = await siege.ai.call(
        "request_change_membership", account=MARIA.email, tier="standard", conversation=conversation
    )
    assert asked["status"] == "pending"
    assert "no_access" in (await siege.ai.call("my_orders", conversation=conversation)).words


async def test_T38_a_new_conversation_washes_off_no_taint(siege: Siege) -> None:
    await siege.ai.call("customer_letter", number=1)
    conversation = await chat(siege.ai)
    await opened(siege, conversation)
    asked = await siege.ai.call(
        "request_change_membership", account=MARIA.email, tier="standard", conversation=conversation
    )
    assert asked["status"] == "pending"
