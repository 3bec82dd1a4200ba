"""The shop's books, read from its own database, past Counterfoil: what truly happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from business import amount_text

ENTRIES: Mapping[str, tuple[str, Callable[..., str]]] = {
    "refunds": (
        "SELECT idempotency_key, order_number, cents FROM refunds",
        lambda order, cents: f"{amount_text(cents, 'EUR')} refunded",
    ),
    "credit_entries": (
        "SELECT idempotency_key, customer, cents FROM credit_entries",
        lambda customer, cents: f"{amount_text(cents, 'EUR')} credited",
    ),
    "sign_in_changes": (
        'SELECT idempotency_key, customer, "after" FROM sign_in_changes',
        lambda customer, after: f"sign-in e-mail now {after}",
    ),
    "password_resets": (
        "SELECT idempotency_key, customer, sessions_ended FROM password_resets",
        lambda customer, ended: f"password of {customer} reset",
    ),
    "unlocks": ("SELECT idempotency_key, customer FROM unlocks", lambda customer: f"account {customer} unlocked"),
    "invoice_corrections": (
        "SELECT idempotency_key, invoice, position FROM invoice_corrections",
        lambda invoice, line: f"line {line} of {invoice} corrected",
    ),
    "membership_changes": (
        "SELECT idempotency_key, customer, asked FROM membership_changes",
        lambda customer, tier: f"membership of {customer}: {tier}",
    ),
    "permission_changes": (
        "SELECT idempotency_key, colleague, permission, change FROM permission_changes",
        lambda colleague, permission, change: f"{change} {permission}: {colleague}",
    ),
}
"""The journals, one entry for each effect, and each entry in words. The first column is the effect's key."""

BALANCES = {
    "payments": "SELECT order_number, refunded, version FROM payments",
    "credit_balances": "SELECT customer, cents, version FROM credit_balances",
    "customers": "SELECT number, email, sign_in_email, locked, version FROM customers",
    "sign_ins": "SELECT customer, password_set FROM sign_ins",
    "sign_in_locks": "SELECT customer, why FROM sign_in_locks",
    "sessions": "SELECT number, ended_by FROM sessions",
    "mail_to_send": "SELECT number, recipient FROM mail_to_send",
    "invoices": "SELECT number, paid_on, version FROM invoices",
    "invoice_lines": "SELECT invoice, position, amount FROM invoice_lines",
    "memberships": "SELECT customer, tier, paid_until, next_tier, version FROM memberships",
    "colleagues": "SELECT number, closed, version FROM colleagues",
    "permissions": "SELECT colleague, permission FROM permissions",
}
"""Everything else that an operation could change."""


@dataclass(frozen=True)
class Entries:
    """What is in the shop's journals, and a digest of all that operations could change."""

    journals: Mapping[str, tuple[Any, ...]]
    digest: str

    @property
    def keys(self) -> list[str]:
        """The keys of all effects."""
        return [row[0] for rows in self.journals.values() for row in rows]

    @property
    def refunds(self) -> tuple[tuple[str, str, int], ...]:
        """Key, order and cents of every refund."""
        return self.journals["refunds"]

    @property
    def sign_ins(self) -> tuple[tuple[str, str, str], ...]:
        """Key, customer and new address of every change of a sign-in e-mail."""
        return self.journals["sign_in_changes"]


class Books:
    """The shop's own database. What counts is what was added since :meth:`mark`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._marked = self.read()

    def read(self) -> Entries:
        """Everything that an operation could change."""
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)) as connection:

            def rows(query: str) -> tuple[Any, ...]:
                return tuple(connection.execute(f"{query} ORDER BY 1, 2").fetchall())

            journals = {name: rows(query) for name, (query, _) in ENTRIES.items()}
            balances = {name: rows(query) for name, query in BALANCES.items()}
        return Entries(journals, sha256(repr((journals, balances)).encode()).hexdigest())

    def mark(self) -> None:
        """From here on."""
        self._marked = self.read()

    @property
    def unchanged(self) -> bool:
        """Whether not a byte of what operations could change is different."""
        return self.read().digest == self._marked.digest

    @property
    def entries_added(self) -> int:
        """How many entries of any kind were added."""
        return len(self.read().keys) - len(self._marked.keys)

    def refunded(self, order: str) -> int:
        """How many cents of an order were ever given back."""
        return sum(cents for _, number, cents in self.read().refunds if number == order)

    def added(self, ticket: str) -> int:
        """How often the effect of this ticket is in the books, which hold its id as idempotency key."""
        return self.read().keys.count(ticket)

    def in_words(self) -> str:
        """What was added."""
        now, then = self.read(), self._marked
        parts = [
            words(*row[1:])
            for name, (_, words) in ENTRIES.items()
            for row in now.journals[name]
            if row not in then.journals[name]
        ]
        if not parts:
            return "nothing changed" if now.digest == then.digest else "changed, but not by an operation"
        return "; ".join(parts)
