"""Ticket rows: how they are read, and the one place where a ticket's state changes.

Every change is a conditional update whose condition comes from the transition table, and writes its leaf. The states
in a condition are spelled out in the order of :class:`State`, as in the partial indexes, so that SQLite uses those.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from counterfoil.errors import UnknownTicket, WrongState
from counterfoil.log import LeafDraft
from counterfoil.store import Counters, Step
from counterfoil.tickets import COUNTED, PLANNED, STOPPABLE, STOPS, TERMINAL, Event, State, Ticket, after, sources
from counterfoil_server.store.connections import Row
from counterfoil_server.store.outbox_verbs import insert_notices
from counterfoil_server.store.writer import Transaction


def spelled(states: Iterable[State]) -> str:
    """The states as a list for SQL, in the order of :class:`State`."""
    chosen = frozenset(states)
    return "(" + ", ".join(f"'{state.value}'" for state in State if state in chosen) + ")"


WAITING = "effect = 1"
"""The state is in STOPPABLE, and the index may be used."""

EFFECTS = {1: STOPPABLE, 2: COUNTED}
"""The column ``effect``: what each number says of the state."""

TICKET_COLUMNS = (
    "t.id, t.state, e.body, t.principal, t.account, t.operation, t.conversation, t.delivery, t.requested_at, "
    "t.expires_at, t.approved_at, t.hold_until, t.redeemed_at, t.ended_at, t.outcome, t.refusal"
)
FROM_TICKET = "FROM ticket t JOIN envelope e ON e.ticket = t.number"
SELECT_TICKET = f"SELECT {TICKET_COLUMNS} {FROM_TICKET} WHERE t.id = ?"

CHANGE_STATE = {
    event: (
        "UPDATE ticket SET state = ?, effect = ?, approved_at = coalesce(?, approved_at), "  # noqa: S608
        "hold_until = coalesce(?, hold_until), "
        "ended_at = coalesce(?, ended_at), outcome = coalesce(?, outcome) "
        f"WHERE id = ? AND state IN {spelled(sources(event))} RETURNING number"
    )
    for event in Event
}
TARGETS = {event: after(sources(event)[0], event) for event in Event}
"""Where each event leads; from whichever state, it is the same one."""

END_CAPABILITIES = "UPDATE capability SET ended_at = ? WHERE ticket = ? AND ended_at IS NULL"

SCALE = 4
"""Amounts are stored as integers of 10^-4 units: exactly what a declared amount can hold."""
_HALF = 10_000_000_000
"""Sums are added and answered in two halves: SQLite's integer sum would overflow at the tenth largest amount."""


def effect(state: State) -> int | None:
    """The column ``effect`` of a ticket in this state."""
    return next((number for number, states in EFFECTS.items() if state in states), None)


def within(states: Iterable[State]) -> str:
    """The condition that a ticket is in one of the PLANNED states, by way of ``effect`` and its index."""
    chosen = frozenset(states)
    if not chosen <= PLANNED:
        raise ValueError("tickets that ended without an effect are in no index")
    met = [number for number, states in EFFECTS.items() if chosen & states]
    condition = f"effect = {met[0]}" if len(met) == 1 else "effect IN (1, 2)"
    exact = bool(chosen) and chosen == frozenset().union(*(EFFECTS[number] for number in met))
    return condition if exact else f"{condition} AND state IN {spelled(chosen)}"


def to_ticket(row: Row) -> Ticket:
    """The ticket of :data:`TICKET_COLUMNS`."""
    return Ticket(row[0], State(row[1]), *row[2:])


def scaled(amount: Decimal | None) -> int | None:
    """The stored integer of an amount; raises ValueError where it would not be exact."""
    if amount is None:
        return None
    number = int(amount.scaleb(SCALE))
    if amount < 0 or Decimal(number).scaleb(-SCALE) != amount:
        raise ValueError("an amount has at most four decimals and is not negative")
    return number


def counters_query(states: Iterable[State]) -> str:
    """How many tickets are in ``states``, and the two halves of their sum in one currency; parameters are the currency,
    account, operation, since when, and the ticket that is not counted itself.

    What nobody can approve is not counted: asking for it must not use up what the account's holder may have.
    """
    high, low = (f"sum(iif(currency IS ?1, amount {part} {_HALF}, 0))" for part in "/%")
    return (
        f"SELECT count(*), coalesce({high} + {low} / {_HALF}, 0), coalesce({low} % {_HALF}, 0) FROM ticket "  # noqa: S608
        "WHERE account = ?2 AND operation = ?3 AND coalesce(redeemed_at, requested_at) >= ?4 "
        f"AND {within(states)} AND refusal IS NULL AND id <> ?5"
    )


def to_counters(row: Row) -> Counters:
    """The counters of a row of :func:`counters_query`."""
    count, high, low = row
    return Counters(count, Decimal(high * _HALF + low).scaleb(-SCALE))


def from_counters(counters: Counters) -> tuple[int, int, int]:
    """The row that :func:`to_counters` makes them of."""
    return (counters.count, *divmod(int(counters.total.scaleb(SCALE)), _HALF))


def read_ticket(transaction: Transaction, ticket: str) -> Ticket:
    """The ticket; raises UnknownTicket."""
    row = transaction.row(SELECT_TICKET, (ticket,))
    if row is None:
        raise UnknownTicket()
    return to_ticket(row)


def change_state(transaction: Transaction, ticket: str, step: Step) -> None:
    """Take a transition other than a redemption; write its leaf and notices; a stop ends the capabilities too.

    Raises WrongState naming the actual state, or UnknownTicket.
    """
    event, now = step.event, transaction.now
    if event is Event.REDEEM:
        raise WrongState("A ticket is claimed by a redemption and by nothing else.")
    target = TARGETS[event]
    parameters = (
        target.value,
        effect(target),
        now if event is Event.APPROVE else None,
        step.hold_until,
        now if target in TERMINAL else None,
        step.outcome,
        ticket,
    )
    row = transaction.row(CHANGE_STATE[event], parameters)
    if row is None:
        after(read_ticket(transaction, ticket).state, event)
        raise AssertionError("the update and the transition table disagree")
    if event in STOPS:
        transaction.change(END_CAPABILITIES, (now, row[0]))
    transaction.write_leaf(step.leaf)
    insert_notices(transaction, ticket, step.notices)


def stop(
    transaction: Transaction, ticket: str, event: Event, groups: dict[str, str], outcome: str | None = None
) -> None:
    """End a waiting ticket, with a leaf of the event's name; ``outcome`` (JSON) says why."""
    change_state(transaction, ticket, Step(event, LeafDraft(event.value, ticket, groups), outcome=outcome))
