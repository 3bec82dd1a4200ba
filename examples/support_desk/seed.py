"""Makes the shop's database with the same beginning every time; the rows stand in ``seed_*.py``."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from seed_customers import CUSTOMERS, LOCKS, MEMBERSHIPS, OTHER_ADDRESSES, PASSWORDS, SESSIONS
from seed_desk import COLLEAGUES, OPENING_HOURS, POLICIES, REVIEWS
from seed_orders import INVOICES, ORDERS, SETTLED_REFUNDS
from tables import TABLES

__all__ = ["POLICIES", "SETTLED_REFUNDS", "create"]


def create(database: Path) -> None:
    """Make the filled file if it is not there. It appears whole or not at all, and one that is there stays as it is."""
    if database.exists():
        return
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=database.parent, prefix=".new-shop-") as folder:
        draft = Path(folder) / database.name
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in TABLES.split(";\n"):
                connection.execute(statement)
            _fill(connection)
            connection.execute("COMMIT")
        # A link, unlike a rename, never replaces the file of another process that was quicker.
        with suppress(FileExistsError):
            os.link(draft, database)


def _fill(database: sqlite3.Connection) -> None:
    for customer in CUSTOMERS:
        number, _, email, _, sign_in_email, since, registered, _, _ = customer
        database.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", customer)
        database.execute("INSERT OR IGNORE INTO addresses VALUES (?, ?, ?)", (email, number, since))
        database.execute("INSERT OR IGNORE INTO addresses VALUES (?, ?, ?)", (sign_in_email, number, registered))
    database.executemany("INSERT INTO addresses VALUES (?, ?, ?)", OTHER_ADDRESSES)
    for number, customer_number, placed, delivered, currency, method, captured, lines in ORDERS:
        total = sum(quantity * cents for _, quantity, cents in lines)
        database.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", (number, customer_number, placed, delivered, currency)
        )
        database.executemany(
            "INSERT INTO order_lines VALUES (?, ?, ?, ?, ?)",
            [(number, position, *line) for position, line in enumerate(lines, start=1)],
        )
        database.execute(
            "INSERT INTO payments (order_number, method, captured) VALUES (?, ?, ?)",
            (number, method, total if captured is None else captured),
        )
    for key, order, cents, currency in SETTLED_REFUNDS:
        database.execute(
            "INSERT INTO refunds (idempotency_key, order_number, cents, currency, settled) VALUES (?, ?, ?, ?, 1)",
            (key, order, cents, currency),
        )
        database.execute(
            "UPDATE payments SET refunded = refunded + ?, version = version + 1 WHERE order_number = ?", (cents, order)
        )
    _fill_sign_ins(database)
    _fill_invoices(database)
    database.executemany(
        "INSERT INTO memberships (customer, tier, paid_until, next_tier, method) VALUES (?, ?, ?, ?, ?)", MEMBERSHIPS
    )
    for *colleague, permissions in COLLEAGUES:
        database.execute("INSERT INTO colleagues VALUES (?, ?, ?, ?, ?, ?, 1)", colleague)
        database.executemany("INSERT INTO permissions VALUES (?, ?)", [(colleague[0], name) for name in permissions])
    database.executemany("INSERT INTO policies VALUES (?, ?)", POLICIES.items())
    database.executemany("INSERT INTO reviews (product, stars, text) VALUES (?, ?, ?)", REVIEWS)
    database.executemany("INSERT INTO opening_hours (day, opens, closes) VALUES (?, ?, ?)", OPENING_HOURS)


def _fill_sign_ins(database: sqlite3.Connection) -> None:
    changed = dict(PASSWORDS)
    last = {customer: (since, f"{device}, {place}") for customer, device, place, since in SESSIONS}
    for number, *_, registered, _, _ in CUSTOMERS:
        last_on, last_from = last.get(number, (registered, "Firefox on Windows"))
        row = (number, changed.get(number, registered), last_on, last_from)
        database.execute("INSERT INTO sign_ins VALUES (?, ?, ?, ?)", row)
    database.executemany("INSERT INTO sessions (customer, device, place, since) VALUES (?, ?, ?, ?)", SESSIONS)
    database.executemany("INSERT INTO sign_in_locks VALUES (?, ?, ?, ?)", LOCKS)


def _fill_invoices(database: sqlite3.Connection) -> None:
    for *invoice, lines in INVOICES:
        database.execute("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, 1)", invoice)
        database.executemany(
            "INSERT INTO invoice_lines VALUES (?, ?, ?, ?)",
            [(invoice[0], position, *line) for position, line in enumerate(lines, start=1)],
        )
