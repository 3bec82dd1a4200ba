"""The tables of the shop's database. Amounts are whole cents, dates ISO 8601, versions the shop's own row versions."""

from __future__ import annotations

TABLES = """
CREATE TABLE customers (
    number TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE COLLATE NOCASE, phone TEXT NOT NULL,
    sign_in_email TEXT NOT NULL UNIQUE COLLATE NOCASE, customer_since TEXT NOT NULL, registered TEXT NOT NULL,
    locked INTEGER NOT NULL CHECK (locked IN (0, 1)),
    fraud_score INTEGER NOT NULL CHECK (fraud_score BETWEEN 0 AND 100), version INTEGER NOT NULL DEFAULT 1
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
CREATE TABLE sign_ins (
    customer TEXT PRIMARY KEY REFERENCES customers, password_set TEXT, last_on TEXT NOT NULL,
    last_from TEXT NOT NULL
) STRICT;
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers, device TEXT NOT NULL, place TEXT NOT NULL,
    since TEXT NOT NULL, ended_by TEXT
) STRICT;
CREATE TABLE sign_in_locks (
    customer TEXT PRIMARY KEY REFERENCES customers, why TEXT NOT NULL CHECK (why IN ('failed_sign_ins', 'fraud_desk')),
    since TEXT NOT NULL, tries TEXT NOT NULL
) STRICT;
CREATE TABLE unlocks (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL REFERENCES customers
) STRICT;
CREATE TABLE password_resets (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL REFERENCES customers,
    sessions_ended INTEGER NOT NULL, link_digest TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE mail_to_send (
    number INTEGER PRIMARY KEY, recipient TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE invoices (
    number TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers, order_number TEXT REFERENCES orders,
    issued TEXT NOT NULL, due TEXT NOT NULL, paid_on TEXT, currency TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE invoice_lines (
    invoice TEXT NOT NULL REFERENCES invoices, position INTEGER NOT NULL, text TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0), PRIMARY KEY (invoice, position)
) STRICT;
CREATE TABLE invoice_corrections (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, invoice TEXT NOT NULL, position INTEGER NOT NULL,
    "before" INTEGER NOT NULL, "after" INTEGER NOT NULL, currency TEXT NOT NULL, reason TEXT NOT NULL,
    cancelled_by TEXT UNIQUE, FOREIGN KEY (invoice, position) REFERENCES invoice_lines
) STRICT;
CREATE TABLE memberships (
    customer TEXT PRIMARY KEY REFERENCES customers, tier TEXT NOT NULL, paid_until TEXT, next_tier TEXT,
    method TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE membership_changes (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL REFERENCES customers,
    asked TEXT NOT NULL, "before" TEXT NOT NULL, "after" TEXT NOT NULL, charged INTEGER NOT NULL CHECK (charged >= 0),
    former_tier TEXT NOT NULL, former_paid_until TEXT, former_next_tier TEXT, version INTEGER NOT NULL,
    undone_by TEXT UNIQUE
) STRICT;
CREATE TABLE colleagues (
    number TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE COLLATE NOCASE, job TEXT NOT NULL,
    since TEXT NOT NULL, closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)), version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE permissions (
    colleague TEXT NOT NULL REFERENCES colleagues, permission TEXT NOT NULL, PRIMARY KEY (colleague, permission)
) STRICT;
CREATE TABLE permission_changes (
    number INTEGER PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, colleague TEXT NOT NULL REFERENCES colleagues,
    permission TEXT NOT NULL, change TEXT NOT NULL CHECK (change IN ('grant', 'withdraw'))
) STRICT;
CREATE TABLE policies (topic TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE reviews (
    number INTEGER PRIMARY KEY, product TEXT NOT NULL, stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    text TEXT NOT NULL
) STRICT;
CREATE TABLE opening_hours (
    position INTEGER PRIMARY KEY, day TEXT NOT NULL, opens TEXT NOT NULL, closes TEXT NOT NULL
) STRICT;
"""
