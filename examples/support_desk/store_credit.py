"""Northlight's store credit: what the shop owes a customer, to be spent on their next order.

One balance per customer, in whole cents of euro, with a version that every entry raises. The same promises as in
``business.py``: an entry is one transaction, and the same idempotency key answers the same entry.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from business import Business, Done, KeyReused, NotDone, amount_text

CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has, in cents, and the version of that."""

    cents: int
    version: int


class StoreCredit:
    """The credit ledger of a shop."""

    def __init__(self, shop: Business) -> None:
        self._shop = shop

    def balance(self, customer: str) -> Balance:
        """The customer's credit; nothing, in version 0, for those who never had any."""
        with self._shop.reading() as database:
            row = database.execute("SELECT cents, version FROM credit_balances WHERE customer = ?", (customer,))
            found = row.fetchone()
        return Balance(found["cents"], found["version"]) if found else Balance(0, 0)

    def add(self, key: str, customer: str, cents: int, reason: str, version: str | None) -> Done:
        """Credit ``cents``, if the customer's balance still has ``version``; raises NotDone."""
        with self._shop.writing() as database:
            same = database.execute("SELECT * FROM credit_entries WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if (same["customer"], same["cents"], same["reason"]) != (customer, cents, reason):
                    raise KeyReused(f"The key {key} was used for another credit.")
                return _done(same)
            database.execute("INSERT OR IGNORE INTO credit_balances (customer) VALUES (?)", (customer,))
            changed = database.execute(
                "UPDATE credit_balances SET cents = cents + :cents, version = version + 1"
                " WHERE customer = :customer AND CAST(version AS TEXT) = :version AND :cents > 0",
                {"cents": cents, "customer": customer, "version": version},
            ).rowcount
            if not changed:
                raise NotDone("Nothing was credited: the balance changed in the meantime, or the amount is nothing.")
            row = database.execute(
                "INSERT INTO credit_entries (idempotency_key, customer, cents, reason) VALUES (?, ?, ?, ?) RETURNING *",
                (key, customer, cents, reason),
            ).fetchone()
            return _done(row)

    def find(self, key: str) -> Done | None:
        """The entry made under an idempotency key; None proves that there is none."""
        with self._shop.reading() as database:
            row = database.execute("SELECT * FROM credit_entries WHERE idempotency_key = ?", (key,)).fetchone()
        return _done(row) if row else None


def _done(row: sqlite3.Row) -> Done:
    return Done(f"SC-{row['number']}", f"{amount_text(row['cents'], CURRENCY)} of store credit were added.")
