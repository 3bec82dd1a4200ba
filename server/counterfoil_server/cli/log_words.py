"""What a leaf tells, in plain words: for the terminal and for the page alike.

A leaf whose values are not proved, or were deleted, is told by its event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from counterfoil.display import in_words, seat_in_words
from counterfoil_server.cli.console import counted, exact_moment
from counterfoil_server.cli.tickets import EVENTS

ADMINISTERED = {
    "revoke_scope": "revoked",
    "suspend": "suspended",
    "resume": "resumed",
    "roster": "the roster got a record",
    "enrol": "somebody made a passkey",
    "principal_added": "a principal was added",
    "principal_disabled": "a principal was disabled",
    "personal_read": "personal records were handed out",
    "turns": "words of a conversation were kept",
    "retention_started": "a deletion of old records began",
    "retention": "old records were deleted",
    "keys": "the authority's keys changed",
    "roster_key": "the roster's key was replaced",
    "log_key": "the log's key was replaced",
}
"""Words for the events that concern no single ticket's state."""

RECORDED = EVENTS | ADMINISTERED
"""Every event that leaves have."""

STYLES = {
    "approve": "good", "report_executed": "good", "find_executed": "good",
    "report_not_executed": "bad", "report_unknown": "bad", "find_not_executed": "bad",
    "decline": "bad", "cancel": "quiet", "expire": "quiet", "revoke": "bad",
    "redeem": "busy", "effect": "busy", "hold": "note", "turns": "untrusted",
}  # fmt: skip
"""How a step looks; others are plain."""


@dataclass(frozen=True)
class Told:
    """One leaf in words: what happened, and what more is known, as label and value."""

    headline: str
    details: tuple[tuple[str, str], ...] = ()


Values = Mapping[str, Any]


@dataclass(frozen=True)
class Hearer:
    """Who is told: ``names`` of people by their ids, and how a time (Unix seconds) is written."""

    names: Mapping[str, str] = field(default_factory=dict)
    moment: Callable[[int], str] = exact_moment


def tell(step: Mapping[str, Any], to: Hearer) -> Told:
    """The leaf in words."""
    event, values = step["event"], step["values"]
    teller = TELLERS.get(event)
    if values is not None and teller is not None:
        return teller(values, to)
    return Told(_sentence(RECORDED.get(event, _label(event))), tuple(_remaining(values or {})))


def _request(values: Values, to: Hearer) -> Told:
    return Told(f"{_text(values, 'principal')} asked for {_label(_text(values, 'operation'))}")


def _statement(values: Values, to: Hearer) -> Told:
    decided = "declined" if values.get("decision") == "decline" else "approved"
    return Told(f"{_person(values, to)} {decided}, {seat_in_words(_text(values, 'seat'))}")


def _hold(values: Values, to: Hearer) -> Told:
    until = values.get("until")
    ends = (("until", to.moment(until)),) if isinstance(until, int) else ()
    return Told("A waiting time began: it can still be stopped", ends)


def _mint(values: Values, to: Hearer) -> Told:
    return Told("A capability was minted", _named(values, capability="capability", key="signed with key"))


def _redeem(values: Values, to: Hearer) -> Told:
    return Told(
        "The capability was redeemed: it runs, and can no longer be stopped", _named(values, capability="capability")
    )


def _outcome(said: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        return Told(said, tuple(_of_outcome(values.get("outcome"))))

    return told


def _found(happened: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        if "person" in values:
            return Told(f"{_person(values, to)}, {seat_in_words(_text(values, 'seat'))}, signed that it {happened}")
        return Told(f"The operation's own lookup found that it {happened}", tuple(_of_outcome(values.get("outcome"))))

    return told


def _stopped(said: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        return Told(said, _named(values, why="why", reason="why", scope="with everything in"))

    return told


def _scoped(done: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        return Told(f"{_text(values, 'scope')} was {done}", _named(values, reason="why"))

    return told


def _enrol(values: Values, to: Hearer) -> Told:
    return Told(f"{_person(values, to)} made a passkey", _named(values, credential="credential"))


def _roster(values: Values, to: Hearer) -> Told:
    return Told(f"The roster got a record: {_text(values, 'type')}, about {_person(values, to)}")


def _principal(done: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        return Told(f"The principal {_text(values, 'principal')} was {done}", _named(values, owner="owner"))

    return told


def _personal_read(values: Values, to: Hearer) -> Told:
    return Told(
        f"Records of account {_text(values, 'account')} were handed out: {_label(_text(values, 'read'))}",
        _named(values, grant="allowed by ticket", conversation="conversation"),
    )


def _turns(values: Values, to: Hearer) -> Told:
    turns = values.get("turns")
    count = counted(len(turns), "turn") if isinstance(turns, list) else "turns"
    return Told(f"{_text(values, 'principal')} told of {count} of the conversation")


def _retention(said: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        before = values.get("before")
        until = (("from before", to.moment(before)),) if isinstance(before, int) else ()
        return Told(said, (*until, *_named(values, about="about", kinds="what", counts="how many")))

    return told


def _replaced(event: str) -> Callable[[Values, Hearer], Told]:
    def told(values: Values, to: Hearer) -> Told:
        return Told(_sentence(ADMINISTERED[event]), tuple(_remaining(values)))

    return told


def _effect(values: Values, to: Hearer) -> Told:
    return Told("The executor began the effect")


TELLERS: Mapping[str, Callable[[Values, Hearer], Told]] = {
    "request": _request,
    "statement": _statement,
    "hold": _hold,
    "mint": _mint,
    "redeem": _redeem,
    "effect": _effect,
    "report_executed": _outcome("The executor reported: done"),
    "report_not_executed": _outcome("The executor reported: nothing was done"),
    "report_unknown": _outcome("The executor reported: not known whether it happened"),
    "find_executed": _found("happened"),
    "find_not_executed": _found("did not happen"),
    "decline": _stopped("It was declined"),
    "cancel": _stopped("Whoever asked took it back"),
    "expire": _stopped("It expired: nobody decided in time"),
    "revoke": _stopped("It was revoked"),
    "revoke_scope": _scoped("revoked"),
    "suspend": _scoped("suspended"),
    "resume": _scoped("resumed"),
    "enrol": _enrol,
    "roster": _roster,
    "principal_added": _principal("added"),
    "principal_disabled": _principal("disabled"),
    "personal_read": _personal_read,
    "turns": _turns,
    "retention_started": _retention("A deletion of old records began"),
    "retention": _retention("Old records were deleted"),
    "keys": _replaced("keys"),
    "roster_key": _replaced("roster_key"),
    "log_key": _replaced("log_key"),
}
"""Who tells of which event."""


def _of_outcome(outcome: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(outcome, dict):
        return
    receipt = outcome.get("receipt")
    known = receipt if isinstance(receipt, dict) else outcome
    for name in ("summary", "reference", "reason"):
        if known.get(name):
            yield name, in_words(known[name])


def _person(values: Values, to: Hearer) -> str:
    person = _text(values, "person")
    return f"{to.names[person]} ({person})" if person in to.names else person


def _named(values: Values, **labels: str) -> tuple[tuple[str, str], ...]:
    return tuple((label, in_words(values[name])) for name, label in labels.items() if values.get(name) is not None)


def _remaining(values: Values) -> Iterator[tuple[str, str]]:
    return ((_label(name), in_words(value)) for name, value in values.items())


def _text(values: Values, name: str) -> str:
    value = values.get(name)
    return "somebody unnamed" if value is None else str(value)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
