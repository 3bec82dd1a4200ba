"""The ledger of tickets, never pruned: why each of them has its effect at most once, whoever presents what how often.

``begin`` is durable before the effect, and ``close`` before anybody is promised that nothing happened and nothing will.
A ticket that began and has no end is neither: nobody begins it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterfoil.values import Receipt
from payments_service.database import Database, Row

SCHEMA = """
CREATE TABLE IF NOT EXISTS ticket (
    number INTEGER PRIMARY KEY, issuer TEXT NOT NULL, ticket TEXT NOT NULL, operation TEXT, at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('begun', 'executed', 'not_executed')),
    reference TEXT, summary TEXT, reason TEXT,
    UNIQUE (issuer, ticket)
) STRICT;
CREATE INDEX IF NOT EXISTS ticket_state ON ticket (state, number);
"""


@dataclass(frozen=True)
class Entry:
    """What is known of a ticket. ``receipt`` of what was executed, ``reason`` of what was not."""

    ticket: str
    operation: str | None
    state: Literal["begun", "executed", "not_executed"]
    receipt: Receipt | None
    reason: str


class Ledger:
    """The tickets of one issuer. Safe to call from several threads."""

    def __init__(self, database: Database, issuer: str) -> None:
        self._database = database
        self._issuer = issuer

    def entry(self, ticket: str) -> Entry | None:
        """What is known of the ticket; None if it was never seen."""
        row = self._database.row(f"{_SELECT} WHERE issuer = ? AND ticket = ?", (self._issuer, ticket))
        return _entry(row) if row else None

    def without_end(self) -> list[Entry]:
        """Tickets that began, and of which no end is known."""
        rows = self._database.rows(f"{_SELECT} WHERE issuer = ? AND state = 'begun'", (self._issuer,))
        return [_entry(row) for row in rows]

    def newest_executed(self) -> str | None:
        """The ticket that began last of those that were executed."""
        question = "SELECT ticket FROM ticket WHERE issuer = ? AND state = 'executed' ORDER BY number DESC LIMIT 1"
        row = self._database.row(question, (self._issuer,))
        return row[0] if row else None

    def begin(self, ticket: str, operation: str, *, at: int) -> bool:
        """Record that the effect begins now; False if the ticket was ever begun or closed before."""
        return self._add(ticket, operation, at, "begun", None)

    def close(self, ticket: str, reason: str, *, at: int) -> bool:
        """Record that nothing was done and nothing will be; False if the ticket was ever begun or closed before."""
        return self._add(ticket, None, at, "not_executed", reason)

    def executed(self, ticket: str, receipt: Receipt) -> None:
        """Record the receipt of a ticket that began."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE ticket SET state = 'executed', reference = ?, summary = ?"
                " WHERE issuer = ? AND ticket = ? AND state = 'begun'",
                (receipt.reference, receipt.summary, self._issuer, ticket),
            )

    def not_executed(self, ticket: str, reason: str) -> None:
        """Record that nothing came of a ticket that began, and nothing will."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE ticket SET state = 'not_executed', reason = ?"
                " WHERE issuer = ? AND ticket = ? AND state = 'begun'",
                (reason, self._issuer, ticket),
            )

    def _add(self, ticket: str, operation: str | None, at: int, state: str, reason: str | None) -> bool:
        with self._database.transaction() as rows:
            added = rows.execute(
                "INSERT INTO ticket (issuer, ticket, operation, at, state, reason) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (self._issuer, ticket, operation, at, state, reason),
            )
            return added.rowcount == 1


_SELECT = "SELECT ticket, operation, state, reference, summary, reason FROM ticket"


def _entry(row: Row) -> Entry:
    ticket, operation, state, reference, summary, reason = row
    receipt = Receipt(reference=reference, summary=summary) if reference is not None else None
    return Entry(ticket, operation, state, receipt, reason or "")
