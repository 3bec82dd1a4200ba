"""The business database of Northlight, a small furniture and lighting shop: it plays the organisation's own systems.

Customers, orders and refunds are here; sign-ins, invoices, memberships, store credit and colleagues have modules of
their own over the same file.

Nothing here knows Counterfoil. Amounts are whole cents; versions are the shop's own row versions. Rules held:

* an effect is one transaction: its idempotency key, the version it was decided on, and the change, or nothing;
* the same idempotency key again answers the same receipt and changes nothing, as payment providers do;
* the file is made and filled when it is first used, so importing this module touches no disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import seed


class Unknown(LookupError):
    """The shop's records hold nothing of that number. The text is a sentence for people."""


class UnknownOrder(Unknown):
    """The shop has no order of that number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Northlight has no order {number!r}.")


class UnknownCustomer(Unknown):
    """The shop has no customer of that number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Northlight has no customer {number!r}.")


class NotDone(Exception):
    """The shop refused an effect and rolled everything back. The text is a sentence for people."""


class KeyReused(Exception):
    """An idempotency key came again with other contents: its first effect stands, this one was not looked at."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and the state of their sign-in. Dates are ISO 8601."""

    number: str
    name: str
    email: str
    phone: str
    sign_in_email: str
    customer_since: str
    registered: str
    """When the online account was made."""
    locked: bool
    fraud_score: int
    """From 0 (nothing unusual) to 100."""
    version: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order; the unit price is in cents."""

    product: str
    quantity: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its payment. Amounts are in cents of ``currency``."""

    number: str
    customer: str
    placed: str
    delivered: str | None
    currency: str
    lines: tuple[Line, ...]
    method: str
    captured: int
    refunded: int
    version: int
    """The payment's version: every refund and every cancellation of one raises it."""

    @property
    def total(self) -> int:
        """What was bought, in cents."""
        return sum(line.quantity * line.unit_price for line in self.lines)

    @property
    def refundable(self) -> int:
        """What was paid and not yet given back, in cents."""
        return self.captured - self.refunded


@dataclass(frozen=True, slots=True)
class Done:
    """The shop's own record that an effect happened."""

    reference: str
    summary: str


class Business:
    """The shop's systems over one SQLite file. Each thread has a connection of its own: any may call."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._filled = False
        self._open = threading.local()

    # Reading ----------------------------------------------------------------------------------------------------------

    def customer(self, number: str) -> Customer:
        """The customer; raises UnknownCustomer."""
        with self.reading() as database:
            row = database.execute("SELECT * FROM customers WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise UnknownCustomer(number)
        return Customer(**{**dict(row), "locked": bool(row["locked"])})

    def find_account(self, hint: str) -> str | None:
        """The number of the one customer or colleague with this number, e-mail address or full name; None for none or
        several."""
        with self.reading() as database:
            rows = database.execute(
                "SELECT number FROM customers WHERE :hint COLLATE NOCASE IN (number, email, sign_in_email, name)"
                " UNION ALL SELECT number FROM colleagues WHERE :hint COLLATE NOCASE IN (number, email, name) LIMIT 2",
                {"hint": hint.strip()},
            ).fetchall()
        return str(rows[0]["number"]) if len(rows) == 1 else None

    def contact(self, number: str) -> tuple[str, str] | None:
        """Name and contact e-mail address of a customer or colleague, by their number only."""
        with self.reading() as database:
            row = database.execute(
                "SELECT name, email FROM customers WHERE number = :number"
                " UNION ALL SELECT name, email FROM colleagues WHERE number = :number",
                {"number": number},
            ).fetchone()
        return (row["name"], row["email"]) if row else None

    def order(self, number: str) -> Order:
        """The order with its lines and payment; raises UnknownOrder."""
        with self.reading() as database:
            row = database.execute(
                "SELECT orders.*, method, captured, refunded, version FROM orders"
                " JOIN payments ON payments.order_number = orders.number WHERE orders.number = ?",
                (number,),
            ).fetchone()
            lines = database.execute(
                "SELECT product, quantity, unit_price FROM order_lines WHERE order_number = ? ORDER BY position",
                (number,),
            ).fetchall()
        if row is None:
            raise UnknownOrder(number)
        return Order(**dict(row), lines=tuple(Line(**dict(line)) for line in lines))

    def orders_of(self, customer: str) -> list[Order]:
        """A customer's orders, the newest first. Each carries its owner's number."""
        with self.reading() as database:
            rows = database.execute(
                "SELECT number FROM orders WHERE customer = ? ORDER BY placed DESC, number DESC", (customer,)
            ).fetchall()
        return [self.order(row["number"]) for row in rows]

    def policy(self, topic: str) -> str:
        """What the shop tells customers about a topic; raises LookupError."""
        with self.reading() as database:
            row = database.execute("SELECT text FROM policies WHERE topic = ?", (topic,)).fetchone()
        if row is None:
            raise LookupError(f"Northlight has no policy text about {topic!r}.")
        return str(row["text"])

    def opening_hours(self) -> list[tuple[str, str, str]]:
        """Day, opening and closing time, Monday first; days without a row are closed."""
        with self.reading() as database:
            rows = database.execute("SELECT day, opens, closes FROM opening_hours ORDER BY position").fetchall()
        return [(row["day"], row["opens"], row["closes"]) for row in rows]

    # Effects ----------------------------------------------------------------------------------------------------------

    def refund(self, key: str, order_number: str, cents: int, currency: str, version: str | None) -> Done:
        """Give ``cents`` of an order's payment back, if the payment still has ``version``; raises NotDone."""
        with self.writing() as database:
            same = database.execute("SELECT * FROM refunds WHERE idempotency_key = ?", (key,)).fetchone()
            if same is not None:
                if (same["order_number"], same["cents"], same["currency"]) != (order_number, cents, currency):
                    raise KeyReused(f"The key {key} was used for another refund.")
                return _refund_done(same)
            changed = database.execute(
                "UPDATE payments SET refunded = refunded + :cents, version = version + 1"
                " WHERE order_number = :order AND CAST(version AS TEXT) = :version"
                " AND :cents > 0 AND refunded + :cents <= captured"
                " AND (SELECT currency FROM orders WHERE number = :order) = :currency",
                {"cents": cents, "order": order_number, "version": version, "currency": currency},
            ).rowcount
            if not changed:
                raise NotDone(
                    f"No money was moved: the payment of order {order_number} changed in the meantime,"
                    " or the amount does not fit it."
                )
            row = database.execute(
                "INSERT INTO refunds (idempotency_key, order_number, cents, currency) VALUES (?, ?, ?, ?) RETURNING *",
                (key, order_number, cents, currency),
            ).fetchone()
            return _refund_done(row)

    def find_refund(self, key: str) -> Done | None:
        """The refund made under an idempotency key; None proves that there is none."""
        with self.reading() as database:
            row = database.execute("SELECT * FROM refunds WHERE idempotency_key = ?", (key,)).fetchone()
        return _refund_done(row) if row else None

    def cancel_refund(self, key: str, reference: str) -> Done:
        """Take a refund back before it is settled; raises NotDone if that is no longer possible."""
        with self.writing() as database:
            row = database.execute("SELECT * FROM refunds WHERE 'RF-' || number = ?", (reference,)).fetchone()
            if row is None:
                raise NotDone(f"Northlight has no refund {reference}.")
            if row["settled"]:
                raise NotDone(f"The refund {reference} has reached the customer and can't be cancelled.")
            if row["cancelled_by"] not in (None, key):
                raise NotDone(f"The refund {reference} was cancelled before.")
            if row["cancelled_by"] is None:
                database.execute("UPDATE refunds SET cancelled_by = ? WHERE number = ?", (key, row["number"]))
                database.execute(
                    "UPDATE payments SET refunded = refunded - ?, version = version + 1 WHERE order_number = ?",
                    (row["cents"], row["order_number"]),
                )
            summary = (
                f"The refund of {amount_text(row['cents'], row['currency'])} on {row['order_number']} is cancelled."
            )
            return Done(f"RFC-{row['number']}", summary)

    # The file ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, which sees what is committed."""
        if not self._filled:
            seed.create(self._database)
            self._filled = True
        database: sqlite3.Connection | None = getattr(self._open, "database", None)
        if database is None:
            database = sqlite3.connect(self._database, isolation_level=None, timeout=5.0)
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
            self._open.database = database
        yield database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing."""
        with self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")


def amount_text(cents: int, currency: str) -> str:
    """An amount for people: ``149.00 EUR``."""
    return f"{decimal_text(cents)} {currency}"


def decimal_text(cents: int) -> str:
    """Whole cents as a decimal: ``149.00``."""
    return f"{cents // 100}.{cents % 100:02}"


def day_text(day: str) -> str:
    """A date for people: ``3 May 2024``."""
    when = date.fromisoformat(day)
    return f"{when.day} {when:%B %Y}"


def _refund_done(row: sqlite3.Row) -> Done:
    amount = amount_text(row["cents"], row["currency"])
    return Done(f"RF-{row['number']}", f"{amount} of order {row['order_number']} go back to the payment method used.")
