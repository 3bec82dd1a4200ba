"""THE transaction: a capability is spent, its ticket claimed and the leaf written, or nothing at all.

Everything that could have changed since the authority looked is looked at again here, in one place and at one moment
(T28): the capability, the envelope's bytes and the leaf that recorded them, the state, expiry, hold, suspensions, the
number of statements and the counters. A benchmark holds the number of SQL statements down.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from functools import cache

from counterfoil.errors import CapabilityRefused, CountersMoved, Expired, Suspended, TamperDetected, WrongState
from counterfoil.log import GENESIS, chain_mac
from counterfoil.store import Redeeming
from counterfoil.tickets import COUNTED, Event, State, Ticket, after, envelope_digest, sources
from counterfoil_server.store.connections import Row
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
        f"SELECT {TICKET_COLUMNS}, t.number, t.currency, c.expires_at, c.ended_at, l.number, l.body, l.mac, p.mac, "  # noqa: S608
        "(SELECT count(*) FROM statement s WHERE s.ticket = t.number), "
        f"EXISTS (SELECT 1 FROM suspension WHERE scope IN ({', '.join('?' * scopes)})) "
        "FROM capability c JOIN ticket t ON t.number = c.ticket JOIN envelope e ON e.ticket = t.number "
        "LEFT JOIN leaf l ON l.number = t.request_leaf LEFT JOIN leaf p ON p.number = l.number - 1 "
        "WHERE c.id = ? AND t.id = ?"
    )


def redeem(transaction: Transaction, redeeming: Redeeming, log_key: bytes) -> Ticket:
    """Check everything, spend, claim, record."""
    now = transaction.now
    row = transaction.row(
        everything_query(len(redeeming.scopes)), (*redeeming.scopes, redeeming.capability, redeeming.ticket)
    )
    if row is None:
        raise CapabilityRefused()
    ticket = to_ticket(row[:16])
    number, currency, capability_expires, capability_ended, *leaf, statements, suspended = row[16:]
    if capability_ended is not None or capability_expires <= now:
        raise CapabilityRefused()
    check_record(ticket, redeeming.digest, tuple(leaf), log_key)
    after(ticket.state, Event.REDEEM)
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
    return replace(ticket, state=State.EXECUTING, redeemed_at=now)


def check_record(ticket: Ticket, digest: str, leaf: Row, log_key: bytes) -> None:
    """Raise TamperDetected unless the envelope is the one the capability names and its request is on the log."""
    number, body, mac, previous = leaf
    if number is None or envelope_digest(ticket.envelope_bytes) != digest:
        raise TamperDetected()
    if not hmac.compare_digest(chain_mac(log_key, previous or GENESIS, body), mac):
        raise TamperDetected()
    if json.loads(body)["ticket"] != ticket.id:
        raise TamperDetected()


class RedemptionVerbs(Verbs):
    """Redemption."""

    _log_key: bytes

    async def redeem(self, redeeming: Redeeming) -> Ticket:
        """Claim the ticket once; raises CapabilityRefused, Expired, Suspended, WrongState, CountersMoved or
        TamperDetected, and then nothing changed."""
        return await self._write(lambda transaction: redeem(transaction, redeeming, self._log_key))
