"""The tables of the embedded store, and how an older file becomes a current one.

Rules: a migration is never edited once released, only followed by another; all pending ones run in one transaction; a
file written by a newer version is left exactly as it is. Amounts are integers of 1/10,000 of the currency's unit.
Every list that a hot verb reads has an index. ``effect`` says what a ticket's state means to those who count: 1 where
its effect may still come (STOPPABLE), 2 where it may have happened (COUNTED), else NULL. It stands in indexes and their
conditions, which SQLite evaluates at every change of a row, because a list of states costs it more there than all the
rest of a redemption's update.
"""

from __future__ import annotations

import sqlite3

from counterfoil.errors import NewerSchema

FIRST = (
    """
    CREATE TABLE ticket (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        principal TEXT NOT NULL,
        account TEXT,
        operation TEXT NOT NULL,
        conversation TEXT,
        delivery TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        approved_at INTEGER,
        hold_until INTEGER,
        redeemed_at INTEGER,
        ended_at INTEGER,
        outcome TEXT,
        refusal TEXT,
        currency TEXT,
        amount INTEGER,
        dedupe TEXT NOT NULL,
        request_leaf INTEGER NOT NULL,
        waiting INTEGER,
        planned INTEGER,
        wrong_codes INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    # Untouched by a change of state.
    "CREATE INDEX ticket_by_principal ON ticket (principal)",
    "CREATE INDEX ticket_by_account ON ticket (account)",
    "CREATE INDEX ticket_by_conversation ON ticket (conversation) WHERE conversation IS NOT NULL",
    "CREATE INDEX ticket_by_dedupe ON ticket (dedupe, requested_at)",
    # Only what waits: small, and left behind by the first step that ends the wait.
    "CREATE INDEX waiting_by_principal ON ticket (principal) WHERE waiting = 1",
    """
    CREATE INDEX waiting_by_conversation ON ticket (conversation)
    WHERE conversation IS NOT NULL AND waiting = 1
    """,
    "CREATE INDEX waiting_by_expiry ON ticket (expires_at) WHERE waiting = 1",
    "CREATE INDEX held_by_end ON ticket (hold_until) WHERE state = 'held'",
    "CREATE INDEX ticket_by_state ON ticket (state)",
    """
    CREATE INDEX ticket_by_counter
    ON ticket (account, state, operation, coalesce(redeemed_at, requested_at), currency, amount)
    WHERE planned = 1
    """,
    "CREATE TABLE envelope (ticket INTEGER PRIMARY KEY REFERENCES ticket (number), body BLOB NOT NULL) STRICT",
    """
    CREATE TRIGGER envelope_is_frozen BEFORE UPDATE ON envelope
    BEGIN SELECT raise(ABORT, 'an envelope never changes'); END
    """,
    """
    CREATE TABLE statement (
        number INTEGER PRIMARY KEY,
        ticket INTEGER NOT NULL REFERENCES ticket (number),
        person TEXT NOT NULL,
        seat TEXT NOT NULL,
        credential TEXT NOT NULL,
        decision TEXT NOT NULL,
        statement BLOB NOT NULL,
        assertion TEXT NOT NULL,
        recorded_at INTEGER NOT NULL,
        UNIQUE (ticket, person)
    ) STRICT
    """,
    "CREATE INDEX statement_by_person ON statement (person)",
    """
    CREATE TABLE capability (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        ticket INTEGER NOT NULL REFERENCES ticket (number),
        key TEXT NOT NULL,
        issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        ended_at INTEGER
    ) STRICT
    """,
    "CREATE INDEX capability_by_ticket ON capability (ticket)",
    """
    CREATE TABLE suspension (
        scope TEXT PRIMARY KEY,
        final INTEGER NOT NULL CHECK (final IN (0, 1)),
        since INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE leaf (
        number INTEGER PRIMARY KEY,
        ticket TEXT,
        event TEXT NOT NULL,
        body BLOB NOT NULL,
        mac BLOB NOT NULL,
        opening BLOB
    ) STRICT
    """,
    "CREATE INDEX leaf_by_ticket ON leaf (ticket) WHERE ticket IS NOT NULL",
    """
    CREATE TABLE head (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        leaves INTEGER NOT NULL,
        seal BLOB,
        clock INTEGER NOT NULL
    ) STRICT
    """,
    "INSERT INTO head VALUES (1, 0, NULL, 0)",
    """
    CREATE TABLE principal (
        id TEXT PRIMARY KEY,
        owner TEXT,
        created_at INTEGER NOT NULL,
        disabled_at INTEGER,
        token_digest TEXT NOT NULL UNIQUE
    ) STRICT
    """,
    "CREATE TABLE roster_record (version INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT",
    """
    CREATE TABLE enrolment (
        number INTEGER PRIMARY KEY,
        credential TEXT NOT NULL UNIQUE,
        invitation TEXT NOT NULL UNIQUE,
        record TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE secret (
        kind TEXT NOT NULL,
        digest TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (kind, digest)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX secret_by_expiry ON secret (expires_at)",
    """
    CREATE TABLE notice (
        id INTEGER PRIMARY KEY,
        ticket TEXT,
        kind TEXT NOT NULL,
        recipient TEXT NOT NULL,
        address TEXT NOT NULL,
        seat TEXT,
        capped INTEGER NOT NULL CHECK (capped IN (0, 1)),
        state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),
        tries INTEGER NOT NULL DEFAULT 0,
        next_try INTEGER NOT NULL,
        error TEXT,
        created_at INTEGER NOT NULL,
        sent_at INTEGER,
        counted_at INTEGER
    ) STRICT
    """,
    "CREATE INDEX notice_by_ticket ON notice (ticket)",
    "CREATE INDEX notice_by_turn ON notice (next_try) WHERE state = 'queued'",
    "CREATE INDEX notice_by_count ON notice (recipient, counted_at) WHERE counted_at IS NOT NULL",
    """
    CREATE TABLE call (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        principal TEXT NOT NULL,
        tool TEXT NOT NULL,
        ticket TEXT,
        status TEXT NOT NULL,
        arguments TEXT NOT NULL
    ) STRICT
    """,
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

SECOND = (
    # At most one for each ticket: what a person established of an outcome that nobody knew.
    """
    CREATE TABLE settlement (
        ticket INTEGER PRIMARY KEY REFERENCES ticket (number),
        person TEXT NOT NULL,
        seat TEXT NOT NULL,
        credential TEXT NOT NULL,
        found TEXT NOT NULL CHECK (found IN ('executed', 'not_executed')),
        reference TEXT NOT NULL,
        statement BLOB NOT NULL,
        assertion TEXT NOT NULL,
        recorded_at INTEGER NOT NULL
    ) STRICT
    """,
)

THIRD = (
    """
    CREATE TABLE conversation (
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX conversation_by_principal ON conversation (principal, expires_at)",
    "ALTER TABLE ticket ADD COLUMN undoes TEXT",
    "CREATE INDEX ticket_by_undone ON ticket (undoes) WHERE undoes IS NOT NULL",
)

FOURTH = (
    # One column, and a shorter search, in place of two flags and a list of states.
    "DROP INDEX waiting_by_principal",
    "DROP INDEX waiting_by_conversation",
    "DROP INDEX waiting_by_expiry",
    "DROP INDEX ticket_by_counter",
    "ALTER TABLE ticket ADD COLUMN effect INTEGER",
    "UPDATE ticket SET effect = CASE WHEN waiting = 1 THEN 1 WHEN planned = 1 THEN 2 END",
    "ALTER TABLE ticket DROP COLUMN waiting",
    "ALTER TABLE ticket DROP COLUMN planned",
    "CREATE INDEX waiting_by_principal ON ticket (principal) WHERE effect = 1",
    "CREATE INDEX waiting_by_conversation ON ticket (conversation) WHERE conversation IS NOT NULL AND effect = 1",
    "CREATE INDEX waiting_by_expiry ON ticket (expires_at) WHERE effect = 1",
    """
    CREATE INDEX ticket_by_counter
    ON ticket (account, effect, operation, coalesce(redeemed_at, requested_at), currency, amount)
    WHERE effect IS NOT NULL
    """,
)

FIFTH = (
    # The full tiles of the tree over the leaves (tlog.py): made from them, and checked against what was signed.
    """
    CREATE TABLE tile (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, number)
    ) STRICT, WITHOUT ROWID
    """,
)

SIXTH = (
    # Words of a chat, as its host sent them. ``key``: digest of the id that the host gave the turn. Text and salt may
    # be deleted; the digest of both stays, and so does what it takes to recognise the turn when it is sent again.
    """
    CREATE TABLE turn (
        number INTEGER PRIMARY KEY,
        conversation TEXT NOT NULL,
        principal TEXT NOT NULL,
        leaf INTEGER NOT NULL,
        key TEXT,
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
        text TEXT,
        salt BLOB,
        digest TEXT NOT NULL,
        characters INTEGER NOT NULL,
        said_at INTEGER,
        recorded_at INTEGER NOT NULL,
        deleted_at INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX turn_by_key ON turn (conversation, key) WHERE key IS NOT NULL",
    "CREATE INDEX turn_by_conversation ON turn (conversation, characters)",
    "CREATE INDEX turn_by_principal ON turn (principal, recorded_at)",
    "CREATE INDEX turn_by_leaf ON turn (leaf)",
)

SEVENTH = (
    # What is personal and still there, in the sequence in which it grows old.
    "CREATE INDEX leaf_by_opening ON leaf (number) WHERE opening IS NOT NULL",
    "CREATE INDEX turn_by_age ON turn (recorded_at) WHERE text IS NOT NULL",
    "CREATE INDEX notice_by_age ON notice (created_at) WHERE address <> ''",
    # Which enrolment of an invitation was the first.
    "CREATE INDEX leaf_of_enrolment ON leaf (number) WHERE event = 'enrol'",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH)
"""Entry ``n`` leads from ``user_version`` n to n + 1."""


def check_version(connection: sqlite3.Connection) -> int:
    """The file's version; raises :class:`NewerSchema` where this program knows none so high. Writes nothing."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise NewerSchema()
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the current version, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[check_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
