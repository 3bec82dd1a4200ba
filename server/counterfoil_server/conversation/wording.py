"""The words a model reads about operations and tickets.

What a request is answered with, and what is explained, comes from the operation's declaration alone: the same words
whether the account exists, is locked, or the policy refuses (T54). What is said of a ticket's state says first what is
and what is not done, because a model repeats it to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from counterfoil.operations import Operation
from counterfoil.rungs import Ladder, Rung
from counterfoil.tickets import State

NOT_DONE = "Nothing has been done yet."

ASK_STATUS = "Ask ticket_status with this ticket later, and do not say that it is done before its status is executed."


def instructions(organisation: str, collected: bool) -> str:
    """What the server tells a model about itself."""
    redeeming = (
        " Some tickets are carried out only when you redeem them: ticket_status then gives you a capability for "
        "redeem_ticket."
        if collected
        else ""
    )
    return (
        f"This server lets you read from {organisation} and request operations there. A tool named request_… changes "
        "nothing: it makes a ticket, and people decide about it outside this chat, on a page that only they can open. "
        "After a request, tell the user three things: that nothing has been done yet, the six-digit match code, and "
        "that a message with a link goes to the address on file for the account. Never ask for passwords, codes from "
        "messages or links, and never say that something is done before ticket_status says executed. Repeating a "
        f"request gives the same ticket; it speeds nothing up.{redeeming}"
    )


def request_description(operation: Operation[Any, Any], ladder: Sequence[Rung]) -> str:
    """The description of ``request_<operation>``."""
    return (
        f"{operation.description}\n\n"
        "This only asks for it: nothing happens until people confirm it outside this chat "
        f"({either(least(ladder))}). Answers a ticket and a six-digit match code. Tell the user the code, and that a "
        "message with a link goes to the address on file for the account. The answer looks the same whether the "
        "account is known or the request can be allowed. The same request within 24 hours gives the same ticket."
    )


def request_next(match_code: str) -> str:
    """What the model should do after a request."""
    return (
        "Tell the user that nothing has been done yet, that a message with a link goes to the address on file for the "
        f"account, and that its page asks for the match code {match_code}. {ASK_STATUS}"
    )


REFUSED_NEXT = "Tell the user that it cannot be done, and why. Nothing was changed."


def least(ladder: Sequence[Rung]) -> tuple[str, ...]:
    """The least that is ever asked for: one clause per alternative."""
    return tuple(rung.in_words() for rung in Ladder.of(ladder).least())


def every(ladder: Sequence[Rung]) -> tuple[str, ...]:
    """All that may be asked for, weakest first."""
    return tuple(dict.fromkeys(rung.in_words() for rung in ladder if not rung.is_empty))


def either(clauses: Sequence[str]) -> str:
    """The clauses as alternatives."""
    return "; or ".join(clauses)


def said_of(state: State, *, collected: bool) -> tuple[str, str]:
    """What is and is not done in this state, and what to do next."""
    if state is State.APPROVED and collected:
        return (
            f"It was confirmed. {NOT_DONE}",
            "To carry it out, call redeem_ticket with its capability.",
        )
    if state is State.HELD and collected:
        return (
            HELD,
            f"After the waiting time, ticket_status gives a capability for redeem_ticket. {ASK_STATUS}",
        )
    return SAID[state]


HELD = f"It was confirmed and now waits, so that the account's holder can still object. {NOT_DONE}"

ASK_AGAIN = "If the user still wants it, the same request can be made again 24 hours after the first one."

SAID: dict[State, tuple[str, str]] = {
    State.PENDING: (
        f"It waits for people to confirm it outside this chat. {NOT_DONE}",
        f"The user finds the link in the message sent to the address on file. {ASK_STATUS}",
    ),
    State.APPROVED: (f"It was confirmed and is about to be carried out. {NOT_DONE}", ASK_STATUS),
    State.HELD: (HELD, ASK_STATUS),
    State.EXECUTING: ("It is being carried out at this moment; how it ends is not known yet.", ASK_STATUS),
    State.EXECUTED: ("It is done.", "Tell the user what was done."),
    State.NOT_EXECUTED: ("It was not done: nothing was changed.", "Tell the user that nothing was changed."),
    State.UNKNOWN: (
        "It may or may not have happened; staff are looking into it.",
        "Tell the user exactly that. Do not request it again, and do not guess.",
    ),
    State.DECLINED: (
        "It was declined: nothing was done and nothing will be.",
        "Tell the user. Do not request it again unless they ask for it.",
    ),
    State.CANCELLED: ("It was cancelled: nothing was done and nothing will be.", ASK_AGAIN),
    State.EXPIRED: ("It expired before it was confirmed: nothing was done and nothing will be.", ASK_AGAIN),
    State.REVOKED: (
        "It was stopped: nothing was done and nothing will be.",
        "Tell the user that the organisation's staff can say more.",
    ),
}


def iso(seconds: int) -> str:
    """Unix seconds as ISO 8601 in UTC: ``2026-11-22T09:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
