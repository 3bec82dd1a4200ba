"""THE transaction: a capability is spent, its ticket claimed and the leaf written, or nothing at all.

Everything that could have changed since the authority looked is looked at again here, at one moment (T28): the
capability, the state, expiry, hold, suspensions, the number of statements and the counters, each a condition of the
one statement that claims the ticket. Where that claims nothing, the same is read again to say why. A capability is
spent by its ticket's state, which no step of the table leads back.

What was asked for is not read here: the order is made of the ticket that was judged, and the executor compares its
digest with what is stored. What the people signed, the executor verifies again.
"""

from __future__ import annotations

from functools import cache

from counterfoil.errors import (
    AlreadyUndone,
    CapabilityRefused,
    CountersMoved,
    Expired,
    NoAccess,
    Suspended,
    TamperDetected,
    WrongState,
)
from counterfoil.store import Redeeming
from counterfoil.tickets import COUNTED, STOPPABLE, Event, State, after, sources
from counterfoil_server.store.ticket_rows import counters_query, effect, from_counters, spelled, to_counters, within
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

STATEMENTS = "(SELECT count(*) FROM statement WHERE statement.ticket = ticket.number)"
COUNTERS = counters_query(COUNTED)
UNDONE = f"SELECT 1 FROM ticket WHERE undoes = ? AND id <> ? AND {within(COUNTED)} LIMIT 1"  # noqa: S608
"""Whether another ticket undoes the same one, or may have."""


def suspended(scopes: int, first: int = 1) -> str:
    """Whether one of that many scopes is stopped; they are the parameters from ``first`` on. Mostly nothing is stopped,
    and that is known much sooner."""
    listed = ", ".join(f"?{number}" for number in range(first, first + scopes))
    return f"(EXISTS (SELECT 1 FROM suspension) AND EXISTS (SELECT 1 FROM suspension WHERE scope IN ({listed})))"  # noqa: S608


@cache
def claim_query(scopes: int, *, counting: bool) -> str:
    """The claim with its conditions; parameters are those of :func:`redeem`."""
    return (
        f"UPDATE ticket SET state = '{State.EXECUTING.value}', effect = {effect(State.EXECUTING)}, redeemed_at = ?6 "  # noqa: S608 - constants
        f"WHERE id = ?5 AND state IN {spelled(sources(Event.REDEEM))} "
        "AND expires_at > ?6 AND coalesce(hold_until, 0) <= ?6 "
        "AND number = (SELECT ticket FROM capability WHERE id = ?7 AND expires_at > ?6 AND ended_at IS NULL) "
        f"AND {STATEMENTS} = ?8 AND NOT {suspended(scopes, first=12 if counting else 9)}"
        + (f" AND ({COUNTERS}) = (?9, ?10, ?11)" if counting else "")
    )


@cache
def refusal_query(scopes: int) -> str:
    """What the claim's conditions are about; parameters are the scopes, the capability and the ticket."""
    return (
        "SELECT ticket.state, ticket.expires_at, ticket.hold_until, capability.expires_at, capability.ended_at, "  # noqa: S608
        f"{STATEMENTS}, {suspended(scopes)} "
        "FROM capability JOIN ticket ON ticket.number = capability.ticket WHERE capability.id = ? AND ticket.id = ?"
    )


def redeem(transaction: Transaction, redeeming: Redeeming) -> int:
    """Check everything, spend, claim, record; answers the time."""
    now, ticket, scopes = transaction.now, redeeming.ticket, redeeming.scopes
    if redeeming.before is not None and redeeming.before <= now:
        raise NoAccess()
    if redeeming.undoes is not None and transaction.rows(UNDONE, (redeeming.undoes, ticket.id)):
        raise AlreadyUndone()
    counting = () if redeeming.counters is None else from_counters(redeeming.counters)
    conditions = (
        redeeming.currency, ticket.account, ticket.operation, redeeming.counter_since, ticket.id,
        now, redeeming.capability, redeeming.statements, *counting, *scopes,
    )  # fmt: skip
    if not transaction.claim(claim_query(len(scopes), counting=bool(counting)), conditions):
        raise _refusal(transaction, redeeming)
    transaction.write_leaf(redeeming.leaf)
    return now


def _refusal(transaction: Transaction, redeeming: Redeeming) -> Exception:
    """Why nothing was claimed."""
    now, scopes, ticket = transaction.now, redeeming.scopes, redeeming.ticket
    if redeeming.counters is not None:
        counted = (redeeming.currency, ticket.account, ticket.operation, redeeming.counter_since, ticket.id)
        if to_counters(transaction.rows(COUNTERS, counted)[0]) != redeeming.counters:
            return CountersMoved()
    row = transaction.row(refusal_query(len(scopes)), (*scopes, redeeming.capability, ticket.id))
    if row is None:
        return CapabilityRefused()
    state, expires, held, capability_expires, capability_ended, statements, stopped = row
    claimed = State(state) not in STOPPABLE
    if claimed or capability_ended is not None or capability_expires <= now:
        return CapabilityRefused()
    after(State(state), Event.REDEEM)
    if expires <= now:
        return Expired("The ticket has expired.")
    if (held or 0) > now:
        return WrongState("The ticket is held until its waiting time is over.")
    if stopped:
        return Suspended()
    if statements < redeeming.statements:
        return TamperDetected()
    if statements > redeeming.statements:
        return CountersMoved("Another person's decision on this ticket was recorded at the same moment.")
    raise AssertionError("the claim and its refusals disagree")


class RedemptionVerbs(Verbs):
    """Redemption."""

    async def redeem(self, redeeming: Redeeming) -> int:
        """Claim the ticket once and answer when; raises CapabilityRefused, Expired, Suspended, WrongState,
        CountersMoved or TamperDetected, and then nothing changed."""
        return await self._write(lambda transaction: redeem(transaction, redeeming))
