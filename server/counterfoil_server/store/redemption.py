"""THE transaction: a capability is spent, its ticket claimed and the leaf written, or nothing at all.

Everything that could have changed since the authority looked is looked at again here, in one place and at one moment
(T28): the capability, the envelope's bytes, the state, expiry, hold, suspensions, the number of statements and the
counters. (That the envelope is the one whose request is on the log, the authority verifies just before, and what the
people signed the executor verifies again.) A benchmark holds the number of SQL statements down.
"""

from __future__ import annotations

from functools import cache

from counterfoil.errors import CapabilityRefused, CountersMoved, Expired, Suspended, TamperDetected, WrongState
from counterfoil.store import Redeeming
from counterfoil.tickets import COUNTED, Event, State, Ticket, after, envelope_digest, sources
from counterfoil_server.store.ticket_rows import (
    END_CAPABILITIES,
    TICKET_COLUMNS,
    counters_query,
    spelled,
    to_counters,
    to_ticket,
)
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

CLAIM = (
    f"UPDATE ticket SET state = '{State.EXECUTING.value}', waiting = NULL, redeemed_at = ? "  # noqa: S608 - constants
    f"WHERE number = ? AND state IN {spelled(sources(Event.REDEEM))}"
)
COUNTERS = counters_query(COUNTED)


@cache
def everything_query(scopes: int) -> str:
    """All that is checked, in one row; parameters are ``scopes`` scopes, the capability and the ticket."""
    return (
        f"SELECT {TICKET_COLUMNS}, t.number, t.currency, c.expires_at, c.ended_at, "  # noqa: S608
        "(SELECT count(*) FROM statement s WHERE s.ticket = t.number), "
        f"EXISTS (SELECT 1 FROM suspension WHERE scope IN ({', '.join('?' * scopes)})) "
        "FROM capability c JOIN ticket t ON t.number = c.ticket JOIN envelope e ON e.ticket = t.number "
        "WHERE c.id = ? AND t.id = ?"
    )


def redeem(transaction: Transaction, redeeming: Redeeming) -> Ticket:
    """Check everything, spend, claim, record."""
    now = transaction.now
    row = transaction.row(
        everything_query(len(redeeming.scopes)), (*redeeming.scopes, redeeming.capability, redeeming.ticket)
    )
    if row is None:
        raise CapabilityRefused()
    state = State(row[1])
    ticket = to_ticket((row[0], State.EXECUTING, *row[2:12], now, *row[13:16]))
    number, currency, capability_expires, capability_ended, statements, suspended = row[16:]
    if capability_ended is not None or capability_expires <= now:
        raise CapabilityRefused()
    if envelope_digest(ticket.envelope_bytes) != redeeming.digest:
        raise TamperDetected()
    after(state, Event.REDEEM)
    if ticket.expires_at <= now:
        raise Expired("The ticket has expired.")
    if (ticket.hold_until or 0) > now:
        raise WrongState("The ticket is held until its waiting time is over.")
    if suspended:
        raise Suspended()
    if statements < redeeming.statements:
        raise TamperDetected()
    if statements > redeeming.statements:
        raise CountersMoved("Another person's decision on this ticket was recorded at the same moment.")
    if redeeming.counters is not None:
        parameters = (ticket.account, ticket.operation, currency, redeeming.counter_since, ticket.id)
        if to_counters(transaction.rows(COUNTERS, parameters)[0]) != redeeming.counters:
            raise CountersMoved()
    transaction.change(END_CAPABILITIES, (now, number))
    if transaction.change(CLAIM, (now, number)) != 1:
        raise WrongState()
    transaction.write_leaf(redeeming.leaf)
    return ticket


class RedemptionVerbs(Verbs):
    """Redemption."""

    async def redeem(self, redeeming: Redeeming) -> Ticket:
        """Claim the ticket once; raises CapabilityRefused, Expired, Suspended, WrongState, CountersMoved or
        TamperDetected, and then nothing changed."""
        return await self._write(lambda transaction: redeem(transaction, redeeming))
