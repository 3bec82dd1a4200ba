"""What each leaf is in plain words, for the terminal and the page."""

from __future__ import annotations

from typing import Any

import pytest

from counterfoil.tickets import Event
from counterfoil_server.cli.log_words import RECORDED, TELLERS, Hearer, Told, tell

TO = Hearer({"ana-1": "Ana"}, lambda seconds: f"at {seconds}")


def told(event: str, **values: Any) -> Told:
    return tell({"event": event, "values": values}, TO)


WORDS: dict[str, tuple[Told, str, dict[str, str]]] = {
    "a request": (told("request", principal="bot", operation="change_plan"), "bot asked for change plan", {}),
    "an approval": (
        told("statement", person="ana-1", seat="holder", decision="approve"),
        "Ana (ana-1) approved, as the holder of the account",
        {},
    ),
    "a refusal by somebody the roster does not know": (
        told("statement", person="bo-2", seat="staff:finance", decision="decline"),
        "bo-2 declined, with the role finance",
        {},
    ),
    "a hold": (told("hold", until=7), "A waiting time began: it can still be stopped", {"until": "at 7"}),
    "no effect": (
        told("report_not_executed", outcome={"reason": "The bank is closed."}),
        "The executor reported: nothing was done",
        {"reason": "The bank is closed."},
    ),
    "an outcome that is no object": (
        told("report_unknown", outcome=None),
        "The executor reported: not known whether it happened",
        {},
    ),
    "a settlement": (
        told("find_not_executed", person="ana-1", seat="staff:finance", found="not_executed"),
        "Ana (ana-1), with the role finance, signed that it did not happen",
        {},
    ),
    "a lookup": (
        told("find_executed", outcome={"receipt": {"reference": "P-1"}}),
        "The operation's own lookup found that it happened",
        {"reference": "P-1"},
    ),
    "a decline": (told("decline", why="Too much."), "It was declined", {"why": "Too much."}),
    "an expiry": (told("expire"), "It expired: nobody decided in time", {}),
    "a suspension": (told("suspend", scope="account:A-1", reason="odd"), "account:A-1 was suspended", {"why": "odd"}),
    "a personal read": (
        told("personal_read", read="list_orders", account="A-1", grant="cf_1", conversation="cv_1"),
        "Records of account A-1 were handed out: list orders",
        {"allowed by ticket": "cf_1", "conversation": "cv_1"},
    ),
    "an owner's principal": (
        told("principal_added", principal="bot", owner="ana-1"),
        "The principal bot was added",
        {"owner": "ana-1"},
    ),
    "an event of a later version": (told("key_rotated", new_key="k"), "Key rotated", {"new key": "k"}),
}


@pytest.mark.parametrize("case", WORDS, ids=lambda name: name.replace(" ", "-"))
def test_a_leaf_is_told_in_plain_words(case: str) -> None:
    found, headline, details = WORDS[case]
    assert (found.headline, dict(found.details)) == (headline, details)


def test_every_step_and_every_event_has_words() -> None:
    assert {event.value for event in Event} <= set(RECORDED)
    assert set(TELLERS) <= {*RECORDED, "effect"}


@pytest.mark.parametrize("event", sorted(RECORDED))
def test_a_leaf_without_proved_values_or_with_fewer_is_told_by_its_event(event: str) -> None:
    unproved = tell({"event": event, "values": None}, TO)
    assert unproved.headline.lower() == RECORDED[event]
    assert unproved.details == ()
    assert tell({"event": event, "values": {}}, TO).headline
