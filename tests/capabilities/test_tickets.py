"""The transition table, written out a second time; and the envelope's bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capabilities.world import Shop, envelope_of, shop_desk
from counterfoil.canonical import canonical, digest
from counterfoil.errors import TamperDetected, WrongState
from counterfoil.tickets import (
    COUNTED,
    PLANNED,
    STOPPABLE,
    STOPS,
    TERMINAL,
    UNDOABLE,
    Envelope,
    Event,
    Signals,
    State,
    Ticket,
    after,
    envelope_digest,
    sources,
    state_told,
)

TABLE = """
pending    approve              approved
approved   hold                 held
approved   redeem               executing
held       redeem               executing
executing  report_executed      executed
executing  report_not_executed  not_executed
executing  report_unknown       unknown
unknown    find_executed        executed
unknown    find_not_executed    not_executed
pending    decline              declined
approved   decline              declined
held       decline              declined
pending    cancel               cancelled
approved   cancel               cancelled
held       cancel               cancelled
pending    expire               expired
approved   expire               expired
held       expire               expired
pending    revoke               revoked
approved   revoke               revoked
held       revoke               revoked
"""
STEPS = {(State(start), Event(event)): State(end) for start, event, end in map(str.split, TABLE.strip().splitlines())}

DESK = shop_desk(Shop())
BODY = envelope_of(DESK).to_bytes()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_exactly_these_steps_exist(state: State, event: Event) -> None:
    if (state, event) in STEPS:
        assert after(state, event) is STEPS[state, event]
        assert state in sources(event)
    else:
        with pytest.raises(WrongState) as caught:
            after(state, event)
        assert state.value in str(caught.value)
        assert event.value in str(caught.value)
        assert state not in sources(event)


def test_the_log_tells_where_a_ticket_stands() -> None:
    told = ["request", "statement", "statement", "approve", "mint", "redeem", "report_unknown", "find_executed"]
    stood = [state_told(told[:many]) for many in range(len(told) + 1)]
    assert stood == [*[State.PENDING] * 4, *[State.APPROVED] * 2, State.EXECUTING, State.UNKNOWN, State.EXECUTED]
    for untold in ("approve", "redeem", "report_unknown"):
        with pytest.raises(WrongState):
            state_told([event for event in told if event != untold])


def test_what_has_ended_is_left_by_nothing() -> None:
    ends = {State.EXECUTED, State.NOT_EXECUTED, State.DECLINED, State.CANCELLED, State.EXPIRED, State.REVOKED}
    assert ends == TERMINAL
    for state in State:
        assert make(state).ended is (state in ends)


def test_only_what_is_not_claimed_can_be_stopped() -> None:
    assert {State.PENDING, State.APPROVED, State.HELD} == STOPPABLE
    assert set(STOPS) == {Event.DECLINE, Event.CANCEL, Event.EXPIRE, Event.REVOKE}
    assert all(set(sources(event)) == STOPPABLE for event in STOPS)


def test_whatever_may_have_had_an_effect_is_counted() -> None:
    claimed = {State.EXECUTING}
    while reached := {end for (start, _), end in STEPS.items() if start in claimed} - claimed:
        claimed |= reached
    assert claimed - {State.NOT_EXECUTED} == COUNTED
    assert COUNTED | STOPPABLE == PLANNED
    assert {State.EXECUTED} == UNDOABLE


def make(state: State) -> Ticket:
    return Ticket("cf_1", state, BODY, "agent", "A-1", "refund", None, "direct", 0, 1)


# The envelope ---------------------------------------------------------------------------------------------------------


def test_an_envelope_reads_back_as_the_same_bytes() -> None:
    assert Envelope.from_bytes(BODY).to_bytes() == BODY
    assert canonical(json.loads(BODY)) == BODY
    assert make(State.PENDING).envelope == envelope_of(DESK)
    assert make(State.PENDING).digest == digest("application/vnd.counterfoil.envelope.v1+json", BODY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        BODY + b" ",
        b" " + BODY,
        BODY.replace(b'":"cf_1"', b'": "cf_1"'),
        BODY.replace(b'{"account":"A-1",', b'{"account":"A-2","account":"A-1",'),
        BODY.replace(b'"v":1', b'"v":2'),
        BODY.replace(b'"v":1', b'"v":1.0'),
        BODY.replace(b'"v":1', b'"v":1,"w":1'),
        BODY.replace(b'"tainted":false', b'"tainted":0'),
        BODY.replace(b'"tainted":false', b'"surprise":1,"tainted":false'),
        BODY.replace(b'"note":null,', b""),
        BODY.replace(b'"agent"', b'"\\u0061gent"'),
        BODY.replace(b'"expires_at":1800086400', b'"expires_at":9007199254740993'),
        BODY.replace(b'"expires_at":1800086400', b'"expires_at":"1800086400"'),
        BODY.replace(b'"delivery":"direct"', b'"delivery":"sometimes"'),
        BODY.replace(b'"holder":"passkey"', b'"holder":"nobody"'),
        BODY.replace(b'"finance":1', b'"finance":0'),
        BODY.replace(b'"hold":0', b'"hold":-1'),
    ],
)
def test_T40_bytes_that_are_not_exactly_an_envelope_are_refused(body: bytes) -> None:
    assert body != BODY
    with pytest.raises(TamperDetected):
        Envelope.from_bytes(body)


@given(st.integers(0, len(BODY) - 1), st.binary(min_size=0, max_size=3))
def test_T40_any_edit_of_an_envelope_is_refused_or_changes_its_digest(at: int, put: bytes) -> None:
    edited = BODY[:at] + put + BODY[at + 1 :]
    if edited == BODY:
        return
    try:
        read = Envelope.from_bytes(edited)
    except TamperDetected:
        return
    assert envelope_digest(edited) != envelope_digest(BODY)
    assert read != envelope_of(DESK)


OTHER: dict[str, Any] = {
    "issuer": "https://other", "tenant": "other", "ticket": "cf_2", "operation": "send_gift", "arguments": "{}",
    "account": None, "principal": "other", "owner": "fay", "actor": "ann", "conversation": "c", "grant": "cf_3",
    "delivery": "collected",
    "executor": "other", "facts": None, "requirements": (), "policy": "other", "tool": "other", "code": "other",
    "signals": Signals(tainted=True), "note": "hello", "undoes": "cf_0", "requested_at": 1, "expires_at": 2,
    "salt": "AA",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(Envelope.__struct_fields__) - {"v"}))
def test_every_field_of_an_envelope_is_in_its_digest(name: str) -> None:
    changed = envelope_of(DESK).changed(**{name: OTHER[name]})
    assert envelope_digest(changed.to_bytes()) != envelope_digest(BODY)


def test_arguments_and_facts_are_read_from_the_frozen_text() -> None:
    envelope = envelope_of(DESK)
    assert envelope.argument_values["amount"] == {"value": "49.00", "currency": "EUR"}
    assert (envelope.fact_values or {})["guard"] == "v1"
    assert envelope_of(DESK, facts=None).fact_values is None
    assert envelope.salt_bytes == b"s" * 32
