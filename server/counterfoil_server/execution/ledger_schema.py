"""The tables of the executor's ledger, and how a ledger of an earlier version gets them."""

FIRST = """
CREATE TABLE effect (
    issuer TEXT NOT NULL, ticket TEXT NOT NULL, account TEXT NOT NULL, operation TEXT NOT NULL,
    currency TEXT NOT NULL, amount INTEGER NOT NULL, started_at INTEGER NOT NULL,
    ended_at INTEGER, event TEXT, outcome TEXT,
    PRIMARY KEY (issuer, ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_counted ON effect (account, operation, currency, started_at);
CREATE TABLE stopped (ticket TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE pinned (name TEXT PRIMARY KEY, number INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
SECOND = """
ALTER TABLE effect ADD COLUMN undoes TEXT;
CREATE INDEX effect_undone ON effect (undoes) WHERE undoes IS NOT NULL;
"""
THIRD = """
CREATE TABLE enrolled (invitation TEXT PRIMARY KEY, enrolment TEXT NOT NULL) STRICT, WITHOUT ROWID;
UPDATE pinned SET name = 'log before' WHERE name = 'log';
DELETE FROM pinned WHERE name IN ('roster records', 'roster told');
"""
"""The log is read from its beginning again, for the enrolments, and has to have the leaf up to which it was read."""
MIGRATIONS = (FIRST, SECOND, THIRD)
"""Entry ``n`` leads from ``user_version`` n to n + 1."""
SCHEMA_VERSION = len(MIGRATIONS)
