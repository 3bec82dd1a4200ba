"""A ticket: what is frozen when an operation is requested, and its whole life.

Rule 1: every transition is in :data:`TRANSITIONS`. Stores turn the table into their conditional updates; nobody else
knows which state may follow which.

Rule 2: this module knows no clock, no I/O and no random numbers. A world small enough to explore exhaustively can be
made of it (``tests/capabilities/test_exploration.py``).

Theory of operation
===================

A ticket waits for people (``pending``), has what it needs (``approved``), waits out an objection period (``held``), is
claimed by exactly one redemption (``executing``) and ends in what the executor found out: ``executed``,
``not_executed`` or ``unknown``. Whoever may stop it can do so until it is claimed, and never after: a stop that lost
against a redemption is told so. ``unknown`` is left only by the connector's own lookup or by a person's signed
statement, never by a guess.

What a pending ticket waits for is *derived* (requirements minus evidence) and never stored. The undo of an executed
ticket is a ticket of its own that names it in ``undoes``; the first ticket's state does not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from counterfoil.canonical import digest, parse_strict, unb64
from counterfoil.errors import BadJSON, TamperDetected, WrongState
from counterfoil.rungs import Rung
from counterfoil.spelling import SafeInteger, Spelled
from counterfoil.values import Version


class State(StrEnum):
    """Where a ticket stands."""

    PENDING = "pending"
    APPROVED = "approved"
    HELD = "held"
    EXECUTING = "executing"
    EXECUTED = "executed"
    NOT_EXECUTED = "not_executed"
    UNKNOWN = "unknown"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Event(StrEnum):
    """What can happen to a ticket; also the name of the leaf that records it."""

    APPROVE = "approve"
    HOLD = "hold"
    REDEEM = "redeem"
    REPORT_EXECUTED = "report_executed"
    REPORT_NOT_EXECUTED = "report_not_executed"
    REPORT_UNKNOWN = "report_unknown"
    FIND_EXECUTED = "find_executed"
    FIND_NOT_EXECUTED = "find_not_executed"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REVOKE = "revoke"


STOPS: Mapping[Event, State] = MappingProxyType(
    {
        Event.DECLINE: State.DECLINED,
        Event.CANCEL: State.CANCELLED,
        Event.EXPIRE: State.EXPIRED,
        Event.REVOKE: State.REVOKED,
    }
)
"""The events that end a ticket before it is claimed."""

STOPPABLE = frozenset({State.PENDING, State.APPROVED, State.HELD})

TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.PENDING, Event.APPROVE): State.APPROVED,
        (State.APPROVED, Event.HOLD): State.HELD,
        (State.APPROVED, Event.REDEEM): State.EXECUTING,
        (State.HELD, Event.REDEEM): State.EXECUTING,
        (State.EXECUTING, Event.REPORT_EXECUTED): State.EXECUTED,
        (State.EXECUTING, Event.REPORT_NOT_EXECUTED): State.NOT_EXECUTED,
        (State.EXECUTING, Event.REPORT_UNKNOWN): State.UNKNOWN,
        (State.UNKNOWN, Event.FIND_EXECUTED): State.EXECUTED,
        (State.UNKNOWN, Event.FIND_NOT_EXECUTED): State.NOT_EXECUTED,
        **{(state, event): end for state in STOPPABLE for event, end in STOPS.items()},
    }
)

NOTHING_HAPPENS = frozenset({*STOPS, Event.REPORT_NOT_EXECUTED, Event.FIND_NOT_EXECUTED})
"""After one of these events the ticket's effect never starts."""

STEPS = frozenset(event.value for event in Event)
"""The names of the leaves that record a transition."""

TERMINAL = frozenset(State) - {state for state, _ in TRANSITIONS}
"""States that nothing leaves."""

UNDOABLE = frozenset({State.EXECUTED})
"""States in which a linked ticket may ask for the undo."""

COUNTED = frozenset({State.EXECUTING, State.EXECUTED, State.UNKNOWN})
"""States whose effect may have happened: policy's counters add them up at redemption."""

PLANNED = COUNTED | STOPPABLE
"""States that may still lead to an effect: counters add them up when a ticket's requirements are found (T45)."""


def after(state: State, event: Event) -> State:
    """The state that follows; raises :class:`WrongState` where the table has no such step."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise WrongState(f"A ticket that is {state.value} cannot take the step '{event.value}'.")
    return following


def sources(event: Event) -> tuple[State, ...]:
    """The states from which ``event`` leads on, in the order of :class:`State`."""
    return tuple(state for state in State if (state, event) in TRANSITIONS)


ACCESS = "access"
"""The operation whose executed ticket is a grant: personal reads of one account, in one conversation, for a while."""


GRANT_LIFE = 900
"""Seconds from the last signature to the end of a grant."""


def state_told(events: Iterable[str]) -> State:
    """Where a ticket stands of which the log tells these events, in order; names that are no steps change nothing.

    Raises :class:`WrongState` where the table has no such step.
    """
    state = State.PENDING
    for event in events:
        if event in STEPS:
            state = after(state, Event(event))
    return state


class Signals(Spelled, frozen=True, kw_only=True):
    """What the conversation layer observed. Signals only ever add requirements."""

    tainted: bool = False


class Envelope(Spelled, frozen=True, kw_only=True):
    """What was requested, frozen; people sign its digest. Unknown fields are refused, so that no one signs past them.

    ``owner`` is the person behind the principal, ``actor`` the one at its keyboard, where they are known;
    ``grant`` is the ticket of the access under which it may run without anybody's signature, where policy says so;
    ``arguments`` and ``facts`` are canonical JSON as text; ``code`` is the salted digest of the match code; ``salt``
    (32 bytes, base64url) makes the digest of the whole unguessable. Times are Unix seconds.
    """

    v: Version = 1
    issuer: str
    tenant: str
    ticket: str
    operation: str
    arguments: str
    account: str | None
    principal: str
    owner: str | None
    actor: str | None
    conversation: str | None
    grant: str | None
    delivery: Literal["direct", "collected"]
    executor: str
    facts: str | None
    requirements: tuple[Rung, ...]
    policy: str
    tool: str
    code: str
    signals: Signals
    note: str | None
    undoes: str | None
    requested_at: SafeInteger
    expires_at: SafeInteger
    salt: str

    @staticmethod
    def from_bytes(body: bytes) -> Envelope:
        """Read stored bytes; raises :class:`TamperDetected` unless they are exactly what :meth:`to_bytes` writes."""
        try:
            return Envelope.read(body)
        except (ValueError, BadJSON):
            raise TamperDetected() from None

    @property
    def has_one_order(self) -> bool:
        """Whether each requirement has."""
        return all([rung.has_one_order for rung in self.requirements])

    @property
    def salt_bytes(self) -> bytes:
        """The salt as bytes."""
        return unb64(self.salt)

    @property
    def argument_values(self) -> dict[str, Any]:
        """The arguments as the AI gave them."""
        value = parse_strict(self.arguments.encode())
        assert isinstance(value, dict)  # noqa: S101 - written by the authority from a validated model
        return value

    @property
    def fact_values(self) -> dict[str, Any] | None:
        """The facts of the preview, or None where it gave none."""
        if self.facts is None:
            return None
        value = parse_strict(self.facts.encode())
        return value if isinstance(value, dict) else None


def envelope_digest(body: bytes) -> str:
    """The digest that statements, capabilities and orders name."""
    return digest("application/vnd.counterfoil.envelope.v1+json", body)


@dataclass(frozen=True)
class Ticket:
    """A ticket as the store holds it: the frozen envelope, and what happened to it since."""

    id: str
    state: State
    envelope_bytes: bytes
    principal: str
    account: str | None
    operation: str
    conversation: str | None
    delivery: str
    requested_at: int
    expires_at: int
    approved_at: int | None = None
    hold_until: int | None = None
    redeemed_at: int | None = None
    ended_at: int | None = None
    outcome: str | None = None
    """JSON: the receipt, the reason of ``not_executed``, or why a ticket was stopped."""
    refusal: str | None = None
    """Why nobody can approve it (policy or preview said no); for the holder's page and administrators."""

    @property
    def envelope(self) -> Envelope:
        """The parsed envelope."""
        return Envelope.from_bytes(self.envelope_bytes)

    @property
    def digest(self) -> str:
        """The digest of the envelope."""
        return envelope_digest(self.envelope_bytes)

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in TERMINAL
