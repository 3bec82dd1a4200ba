"""The shop's tables and the same beginning every time: customers, orders, payments, staff, texts.

People and addresses are invented; the addresses use domains that can never receive mail (RFC 2606).
"""

# ruff: noqa: E501  (a row of a table stays on one line)

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

TABLES = """
CREATE TABLE customers (
    number TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE COLLATE NOCASE, phone TEXT NOT NULL,
    sign_in_email TEXT NOT NULL UNIQUE COLLATE NOCASE, customer_since TEXT NOT NULL, registered TEXT NOT NULL,
    locked INTEGER NOT NULL CHECK (locked IN (0, 1)), fraud_score INTEGER NOT NULL CHECK (fraud_score BETWEEN 0 AND 100),
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE addresses (
    email TEXT NOT NULL COLLATE NOCASE, customer TEXT NOT NULL REFERENCES customers, first_seen TEXT NOT NULL,
    PRIMARY KEY (email, customer)
) STRICT;
CREATE TABLE orders (
    number TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers, placed TEXT NOT NULL, delivered TEXT,
    currency TEXT NOT NULL
) STRICT;
CREATE TABLE order_lines (
    order_number TEXT NOT NULL REFERENCES orders, position INTEGER NOT NULL, product TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0), unit_price INTEGER NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_number, position)
) STRICT;
CREATE TABLE payments (
    order_number TEXT PRIMARY KEY REFERENCES orders, method TEXT NOT NULL, captured INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured), version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE refunds (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, order_number TEXT NOT NULL REFERENCES payments,
    cents INTEGER NOT NULL CHECK (cents > 0), currency TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
    cancelled_by TEXT UNIQUE
) STRICT;
CREATE TABLE sign_in_changes (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL REFERENCES customers,
    "before" TEXT NOT NULL, "after" TEXT NOT NULL
) STRICT;
CREATE TABLE credit_balances (
    customer TEXT PRIMARY KEY REFERENCES customers, cents INTEGER NOT NULL DEFAULT 0 CHECK (cents >= 0),
    version INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE credit_entries (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL REFERENCES customers,
    cents INTEGER NOT NULL CHECK (cents > 0), reason TEXT NOT NULL
) STRICT;
CREATE TABLE staff (
    email TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (email, role)
) STRICT;
CREATE TABLE policies (topic TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE opening_hours (
    position INTEGER PRIMARY KEY, day TEXT NOT NULL, opens TEXT NOT NULL, closes TEXT NOT NULL
) STRICT;
"""

# number, name, e-mail, phone, sign-in e-mail, customer since, registered, locked, fraud score
CUSTOMERS = [
    ("C-1001", "Maria Lindqvist", "maria.lindqvist@post.example", "+46 8 555 01 12", "maria.lindqvist@post.example", "2019-03-14", "2019-03-14", 0, 4),
    ("C-1002", "Jonathan Okafor", "j.okafor@mail.example", "+44 20 7946 0102", "j.okafor@mail.example", "2021-11-02", "2021-11-02", 0, 9),
    ("C-1003", "Annelies de Vries", "annelies@devries.example", "+31 20 555 0103", "annelies@devries.example", "2018-06-21", "2020-01-09", 0, 2),
    ("C-1004", "Marco Bellini", "marco.bellini@posta.example", "+39 02 5550 104", "bellini.marco@old-mail.example", "2020-09-30", "2020-09-30", 0, 11),
    ("C-1005", "Sabine Krüger", "sabine.krueger@web.example", "+49 30 5550 105", "sabine.krueger@web.example", "2022-02-17", "2022-02-18", 1, 37),
    ("C-1006", "Viktor Halloran", "v.halloran@inbox.example", "+353 1 555 0106", "v.halloran@inbox.example", "2026-09-28", "2026-09-28", 0, 88),
    ("C-1007", "Ines Carvalho", "ines.carvalho@correio.example", "+351 21 555 0107", "ines.carvalho@correio.example", "2023-05-05", "2023-05-05", 0, 6),
    ("C-1008", "Studio Brandt Architekten", "einkauf@studio-brandt.example", "+49 40 5550 108", "einkauf@studio-brandt.example", "2017-10-11", "2019-08-01", 0, 1),
    ("C-1009", "Hélène Marchand", "helene.marchand@courrier.example", "+33 1 55 50 01 09", "helene.marchand@courrier.example", "2024-01-23", "2024-01-23", 0, 15),
    ("C-1010", "Lukas Steiner", "lukas.steiner@bergpost.example", "+41 44 555 01 10", "lukas.steiner@bergpost.example", "2022-12-06", "2022-12-06", 0, 8),
    ("C-1011", "Agnieszka Nowak", "a.nowak@poczta.example", "+48 22 555 01 11", "a.nowak@poczta.example", "2025-04-19", "2025-04-19", 0, 22),
    ("C-1012", "Erik Johansson", "erik.johansson@brev.example", "+46 31 555 01 12", "erik.johansson@brev.example", "2020-03-03", "2021-06-15", 0, 5),
    ("C-1013", "Erik Johansson", "erik@johansson-snickeri.example", "+46 90 555 01 13", "erik@johansson-snickeri.example", "2023-08-27", "2023-08-27", 0, 3),
    ("C-1014", "Siobhán Byrne", "siobhan.byrne@post.example", "+353 1 555 0114", "siobhan.byrne@post.example", "2021-01-30", "2021-01-30", 0, 79),
]  # fmt: skip

# Addresses that customers gave the shop besides the two above: address, customer, first seen
OTHER_ADDRESSES = [
    ("maria@lindqvist-keramik.example", "C-1001", "2023-10-02"),
    ("jonathan.okafor@work.example", "C-1002", "2024-05-13"),
]

# number, customer, placed, delivered, currency, method, captured (None: the total), [(product, quantity, cents)]
ORDERS = [
    ("NL-26001", "C-1003", "2026-01-08", "2026-01-14", "EUR", "iDEAL, ABN AMRO", None, [("Sideboard Fjord, smoked oak", 1, 89900)]),
    ("NL-26002", "C-1001", "2026-01-19", "2026-01-23", "EUR", "Visa ending 4242", None, [("Table lamp Lykta, brass", 1, 12900), ("LED bulb E27, 2700 K", 2, 990)]),
    ("NL-26003", "C-1012", "2026-02-02", "2026-02-09", "SEK", "Swish", None, [("Floor lamp Norr, black", 1, 249500)]),
    ("NL-26004", "C-1008", "2026-02-11", "2026-03-03", "EUR", "Bank transfer", None, [("Pendant lamp Halo 60, white", 24, 28900), ("Ceiling rose, five cables", 4, 6900)]),
    ("NL-26005", "C-1002", "2026-02-20", "2026-02-26", "GBP", "Mastercard ending 5100", None, [("Armchair Vinge, moss green", 1, 64900)]),
    ("NL-26006", "C-1009", "2026-03-05", "2026-03-11", "EUR", "PayPal", None, [("Bedside table Mur, ash", 2, 14900)]),
    ("NL-26007", "C-1004", "2026-03-17", "2026-03-24", "EUR", "Visa ending 8810", None, [("Desk Strand 160, walnut", 1, 74900), ("Desk lamp Vinkel, white", 1, 11900)]),
    ("NL-26008", "C-1005", "2026-03-30", "2026-04-07", "EUR", "SEPA direct debit ending 20 51", None, [("Bookcase Hylla, five shelves", 1, 39900)]),
    ("NL-26009", "C-1010", "2026-04-09", "2026-04-15", "CHF", "TWINT", None, [("Dining table Vik 200, oak", 1, 149000)]),
    ("NL-26010", "C-1001", "2026-04-22", "2026-04-28", "EUR", "Visa ending 4242", None, [("Dining chair Sund, black", 6, 18900)]),
    ("NL-26011", "C-1007", "2026-05-04", "2026-05-08", "EUR", "Mastercard ending 7731", None, [("Wall lamp Måne, frosted glass", 2, 5900)]),
    ("NL-26012", "C-1011", "2026-05-16", "2026-05-22", "EUR", "BLIK", None, [("Shoe bench Gång, birch", 1, 15900)]),
    ("NL-26013", "C-1013", "2026-05-29", "2026-06-05", "SEK", "Visa ending 3307", None, [("Workbench stool Snickar", 2, 119500)]),
    ("NL-26014", "C-1003", "2026-06-10", "2026-06-16", "EUR", "iDEAL, ABN AMRO", None, [("Cushion cover Ull, rust", 4, 2490)]),
    ("NL-26015", "C-1014", "2026-06-21", "2026-06-29", "EUR", "Visa ending 6009", None, [("Sofa Hav, three seats, sand", 1, 169900)]),
    ("NL-26016", "C-1009", "2026-07-03", "2026-07-08", "EUR", "PayPal", None, [("Mirror Sjö 80, round", 1, 17900)]),
    ("NL-26017", "C-1001", "2026-07-15", "2026-07-20", "EUR", "Visa ending 4242", None, [("Lampshade Papper 45", 1, 3900), ("LED bulb E14, dimmable", 1, 1090)]),
    ("NL-26018", "C-1004", "2026-07-28", "2026-08-04", "EUR", "Visa ending 8810", None, [("Rug Ljung 170 × 240, grey", 1, 32900)]),
    ("NL-26019", "C-1002", "2026-08-12", "2026-08-18", "GBP", "Mastercard ending 5100", None, [("Side table Knop, travertine", 1, 21900)]),
    ("NL-26020", "C-1007", "2026-08-25", "2026-08-31", "EUR", "Mastercard ending 7731", None, [("Outdoor lantern Skär, large", 2, 4450)]),
    ("NL-26021", "C-1008", "2026-09-09", "2026-09-30", "EUR", "Bank transfer", None, [("Conference table Kust 360, oak", 2, 389000), ("Task chair Arbete, anthracite", 16, 32900)]),
    ("NL-26022", "C-1012", "2026-09-21", "2026-09-28", "SEK", "Swish", None, [("Pendant lamp Halo 40, black", 2, 189500)]),
    ("NL-26023", "C-1006", "2026-10-01", "2026-10-05", "EUR", "Visa ending 1188", None, [("Floor lamp Båge, marble foot", 3, 45900)]),
    ("NL-26024", "C-1001", "2026-10-14", "2026-10-19", "EUR", "Visa ending 4242", None, [("Pendant lamp Halo 40, brass", 1, 22900), ("Candle holder Is, set of three", 1, 4500)]),
    ("NL-26025", "C-1011", "2026-10-27", "2026-11-03", "EUR", "BLIK", None, [("Bed frame Natt 140, oak", 1, 52900)]),
    ("NL-26026", "C-1010", "2026-11-06", None, "CHF", "Invoice, not paid yet", 0, [("Wardrobe Rum, two doors", 1, 119000)]),
    ("NL-26027", "C-1001", "2026-11-16", None, "EUR", "Visa ending 4242", None, [("Modular sofa Hav, corner, wool", 1, 619000), ("Footstool Hav, wool", 1, 42900)]),
]  # fmt: skip

# Refunds that reached their customers before: idempotency key, order, cents, currency
SETTLED_REFUNDS = [
    ("counter-2026-0031", "NL-26006", 14900, "EUR"),
    ("counter-2026-0047", "NL-26010", 18900, "EUR"),
    ("counter-2026-0052", "NL-26016", 17900, "EUR"),
]

STAFF = [
    ("amelie.laurent@northlight.example", "Amélie Laurent", "finance"),
    ("jonas.weber@northlight.example", "Jonas Weber", "finance"),
    ("priya.nair@northlight.example", "Priya Nair", "identity"),
    ("tomasz.zielinski@northlight.example", "Tomasz Zieliński", "identity"),
]

POLICIES = {
    "refunds": (
        "Refunds go back to the payment method that was used, in the currency that was paid, and arrive within five"
        " working days. We never refund more than was paid for the order. The account holder confirms every refund;"
        " more than 50 EUR in a day also needs a colleague in finance, more than 5,000 EUR two of them."
    ),
    "returns": (
        "You can send back anything within 30 days of delivery, unused and with its packaging; lamps without their"
        " bulbs. Pick-up of furniture is 29 EUR, parcels are free. Made-to-measure pieces can't be returned."
    ),
    "delivery": (
        "Lamps and small pieces arrive within four working days. Furniture is brought to the room of your choice on a"
        " day you agree on with the carrier, usually within two to three weeks."
    ),
    "warranty": "Furniture carries five years of warranty, electrical parts two. We repair first, then replace.",
    "account_recovery": (
        "If you can no longer sign in, confirm the new e-mail address with your passkey. If you have lost your passkey"
        " too, two colleagues check who you are, and the change waits one day, in which the old address can object."
        " We never change an address on the strength of a chat, a call or a document alone."
    ),
}

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
OPENING_HOURS = [*((day, "09:00", "18:00") for day in WEEKDAYS), ("Saturday", "10:00", "16:00")]


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
    database.executemany("INSERT INTO staff VALUES (?, ?, ?)", STAFF)
    database.executemany("INSERT INTO policies VALUES (?, ?)", POLICIES.items())
    database.executemany("INSERT INTO opening_hours (day, opens, closes) VALUES (?, ?, ?)", OPENING_HOURS)
