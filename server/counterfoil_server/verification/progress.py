"""Where a ticket stands, in words for the person who decided.

Says only what is recorded: nothing is called done before the executor reported it, and what nobody knows is called
unknown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from counterfoil.authority import Authority, View
from counterfoil.canonical import parse_strict
from counterfoil.display import visible
from counterfoil.errors import BadJSON, CounterfoilError
from counterfoil.tickets import State, Ticket


@dataclass(frozen=True)
class Progress:
    """``tone``: waiting, good, stopped or unsure. ``final``: nothing more will change by itself."""

    tone: str
    headline: str
    details: tuple[str, ...]
    until: int | None = None
    """A time that the details speak of, in Unix seconds."""
    final: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For the page's script."""
        return asdict(self)


async def progress_of(authority: Authority, view: View) -> Progress:
    """Where the ticket of this view stands."""
    ticket = view.ticket
    match ticket.state:
        case State.PENDING if view.decision in ("approve", "grant"):
            needed = await still_needed(authority, ticket)
            return Progress("waiting", "Your approval is recorded", ("Nothing is done yet.", *_needed(needed)))
        case State.PENDING:
            return Progress("waiting", "The request is waiting", ("Nothing has been done.",))
        case State.APPROVED:
            return Progress("waiting", "Approved", ("It is being carried out now.",))
        case State.HELD:
            words = "It will be carried out when the waiting time is over. Until then it can still be stopped."
            return Progress("waiting", "Approved, and waiting", (words,), until=ticket.hold_until)
        case State.EXECUTING:
            return Progress("waiting", "It is being carried out", ("This usually takes a moment.",))
        case State.EXECUTED:
            return Progress("good", "Done", _receipt(ticket) or ("It was carried out.",), final=True)
        case State.UNKNOWN:
            told = ["It may or may not have been carried out.", "It is not tried again by itself."]
            if authority.judge.desk.can_settle(ticket.operation):
                told.append("It is being looked into.")
            return Progress("unsure", "The outcome is not known yet", tuple(told))
        case _:
            return Progress("stopped", *_stopped(view), final=True)


async def still_needed(authority: Authority, ticket: Ticket) -> list[str]:
    """What each alternative still lacks, one clause each; nothing where a signature no longer holds."""
    try:
        evidence = await authority.judge.evidence(ticket, await authority.store.statements(ticket.id))
    except CounterfoilError:
        return []
    return [rung.beyond(evidence.reached).in_words() for rung in ticket.envelope.requirements]


def _needed(clauses: list[str]) -> tuple[str, ...]:
    return (f"Still needed: {'; or '.join(clauses)}.",) if clauses else ()


def _stopped(view: View) -> tuple[str, tuple[str, ...]]:
    headlines = {
        State.DECLINED: "Declined",
        State.CANCELLED: "Withdrawn",
        State.EXPIRED: "Expired",
        State.REVOKED: "Stopped",
        State.NOT_EXECUTED: "It was not carried out",
    }
    reason = outcome_of(view.ticket).get("reason")
    if view.decision == "decline":
        return "You declined", ("Nothing was done.",)
    return headlines[view.ticket.state], ("Nothing was done.", *((visible(reason),) if isinstance(reason, str) else ()))


def _receipt(ticket: Ticket) -> tuple[str, ...]:
    receipt = outcome_of(ticket).get("receipt")
    found = receipt if isinstance(receipt, dict) else {}
    summary, reference = found.get("summary"), found.get("reference")
    lines = [visible(summary)] if isinstance(summary, str) and summary else []
    return (*lines, *([f"Reference: {visible(reference)}"] if isinstance(reference, str) else []))


def outcome_of(ticket: Ticket) -> dict[str, Any]:
    """What the executor reported, or why the ticket was stopped; empty while there is nothing."""
    try:
        value = parse_strict((ticket.outcome or "{}").encode())
    except BadJSON:
        return {}
    return value if isinstance(value, dict) else {}
