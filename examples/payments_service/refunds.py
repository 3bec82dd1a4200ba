"""The business: payments that were made, and what was paid back of them. It knows nothing of Counterfoil.

Amounts are whole cents. Rules held, as payment providers hold them:

* an effect is one transaction, and the same key again answers the same effect and changes nothing;
* nothing is done under a key that was closed: so that a key is not there becomes a proof that nothing will be done;
* never more is paid back than was paid, and never more than this service's own limits, whoever signed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from payments_service.database import Database, Row

DAY = 86_400

SCHEMA = """
CREATE TABLE IF NOT EXISTS payment (
    order_id TEXT PRIMARY KEY, account TEXT NOT NULL, method TEXT NOT NULL, currency TEXT NOT NULL,
    captured INTEGER NOT NULL, refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured),
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS refund (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL REFERENCES payment,
    cents INTEGER NOT NULL CHECK (cents > 0), made_at INTEGER NOT NULL, taken_back_by TEXT UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS closed (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO payment (order_id, account, method, currency, captured)
SELECT * FROM (VALUES
    ('O-1001', 'A-1', 'Visa ending 4242', 'EUR', 12000), ('O-1002', 'A-1', 'SEPA account ending 88', 'EUR', 4900),
    ('O-1003', 'A-1', 'Visa ending 4242', 'EUR', 250000), ('O-2001', 'A-2', 'Mastercard ending 4444', 'EUR', 90000),
    ('O-2002', 'A-2', 'Visa ending 1881', 'SEK', 250000)
) WHERE NOT EXISTS (SELECT 1 FROM payment);
"""


class NotDone(Exception):
    """Nothing was done. The text is a sentence for people."""


@dataclass(frozen=True)
class Payment:
    """What was paid for an order. ``version`` rises with every refund, and with every one taken back."""

    order_id: str
    account: str
    method: str
    currency: str
    captured: int
    refunded: int
    version: int


@dataclass(frozen=True)
class Done:
    """What was done under a key."""

    reference: str
    summary: str


@dataclass(frozen=True)
class Limit:
    """In cents: for one refund, and for a day and account."""

    one: int
    day: int


class Refunds:
    """The payments in one file. ``limits``: by currency; others are not paid back."""

    def __init__(self, database: Database, limits: Mapping[str, Limit]) -> None:
        self._database = database
        self._limits = limits

    def payment(self, order_id: str) -> Payment | None:
        """What was paid for an order."""
        row = self._database.row(_PAYMENT, (order_id,))
        return Payment(*row) if row else None

    def refund(
        self, key: str, *, account: str, order_id: str, cents: int, currency: str, version: str | None, at: int
    ) -> Done:
        """Pay ``cents`` of an order back, if its payment still has ``version``; raises :class:`NotDone`."""
        with self._database.transaction() as rows:
            if (done := _done(rows, key)) is not None:
                return done
            _check_open(rows, key)
            row = rows.execute(_PAYMENT, (order_id,)).fetchone()
            payment = Payment(*row) if row else None
            if payment is None or payment.account != account:
                raise NotDone("This account has no payment for such an order.")
            if str(payment.version) != version:
                raise NotDone("The payment has changed since the refund was approved.")
            if currency != payment.currency or not 0 < cents <= payment.captured - payment.refunded:
                raise NotDone("That is not what is left to be paid back.")
            self._check_limits(rows, account, currency, cents, at)
            rows.execute(
                "UPDATE payment SET refunded = refunded + ?, version = version + 1 WHERE order_id = ?",
                (cents, order_id),
            )
            rows.execute(
                "INSERT INTO refund (key, order_id, cents, made_at) VALUES (?, ?, ?, ?)", (key, order_id, cents, at)
            )
            made = _done(rows, key)
            assert made is not None
            return made

    def take_back(self, key: str, *, account: str, refund: str) -> Done:
        """Take back, once, the refund that was made under the key ``refund``; raises :class:`NotDone`."""
        with self._database.transaction() as rows:
            if (done := _done(rows, key)) is not None:
                return done
            _check_open(rows, key)
            found = rows.execute(
                "SELECT order_id, cents, taken_back_by FROM refund JOIN payment USING (order_id)"
                " WHERE key = ? AND account = ?",
                (refund, account),
            ).fetchone()
            if found is None or found[2] is not None:
                raise NotDone("There is no such refund, or it was taken back already.")
            rows.execute("UPDATE refund SET taken_back_by = ? WHERE key = ?", (key, refund))
            rows.execute(
                "UPDATE payment SET refunded = refunded - ?, version = version + 1 WHERE order_id = ?",
                (found[1], found[0]),
            )
            made = _done(rows, key)
            assert made is not None
            return made

    def find(self, key: str) -> Done | None:
        """What was done under the key until now."""
        with self._database.transaction() as rows:
            return _done(rows, key)

    def find_or_close(self, key: str) -> Done | None:
        """What was done under the key; None: nothing, and from now on nothing can be."""
        with self._database.transaction() as rows:
            done = _done(rows, key)
            if done is None:
                rows.execute("INSERT INTO closed VALUES (?) ON CONFLICT DO NOTHING", (key,))
            return done

    def newest_key(self) -> str | None:
        """The key of the refund that was made last."""
        row = self._database.row("SELECT key FROM refund ORDER BY number DESC LIMIT 1")
        return row[0] if row else None

    def _check_limits(self, rows: sqlite3.Connection, account: str, currency: str, cents: int, at: int) -> None:
        limit = self._limits.get(currency)
        if limit is None or cents > limit.one:
            raise NotDone("That is more than this service pays back at once, whoever approved it.")
        paid = rows.execute(
            "SELECT coalesce(sum(cents), 0) FROM refund JOIN payment USING (order_id)"
            " WHERE account = ? AND currency = ? AND made_at > ? AND taken_back_by IS NULL",
            (account, currency, at - DAY),
        ).fetchone()[0]
        if paid + cents > limit.day:
            raise NotDone("That is more than this service pays back to one account in a day, whoever approved it.")


_PAYMENT = "SELECT order_id, account, method, currency, captured, refunded, version FROM payment WHERE order_id = ?"


def text_of(cents: int, currency: str) -> str:
    """An amount for people."""
    return f"{cents // 100}.{cents % 100:02d} {currency}"


def _check_open(rows: sqlite3.Connection, key: str) -> None:
    if rows.execute("SELECT 1 FROM closed WHERE key = ?", (key,)).fetchone() is not None:
        raise NotDone("The key was closed before anything was done under it.")


def _done(rows: sqlite3.Connection, key: str) -> Done | None:
    row: Row | None = rows.execute(
        "SELECT number, order_id, cents, currency, method, key = ?1 FROM refund JOIN payment USING (order_id)"
        " WHERE key = ?1 OR taken_back_by = ?1",
        (key,),
    ).fetchone()
    if row is None:
        return None
    number, order_id, cents, currency, method, paid = row
    amount = text_of(cents, currency)
    if paid:
        return Done(f"R-{number}", f"{amount} of order {order_id} go back to {method}.")
    return Done(f"T-{number}", f"The refund of {amount} of order {order_id} was taken back.")
