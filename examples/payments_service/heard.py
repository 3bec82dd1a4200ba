"""What was heard of the authority's feed, kept beside the ledger: a reading is kept as a whole or not at all.

Nothing heard is ever forgotten: a refusal that is erased from the authority's database afterwards stays a refusal here.
A scope is barred until it is resumed (1), or for good (2): what was revoked for good is not opened by any later leaf.
"""

from __future__ import annotations

from collections.abc import Collection

from counterfoil.errors import BadJSON
from counterfoil.feed import Position, Reading
from counterfoil.feed_leaves import is_bar, is_for_good, is_roster_record
from counterfoil.tickets import NOTHING_HAPPENS, Event
from payments_service.database import Database, StartRefused

CARRIED_OUT = frozenset({Event.REPORT_EXECUTED.value, Event.FIND_EXECUTED.value})

SCHEMA = """
CREATE TABLE IF NOT EXISTS stopped (ticket TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS carried_out (ticket TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS redeemed (
    ticket TEXT PRIMARY KEY, envelope TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scope (name TEXT PRIMARY KEY, barred INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS enrolled (invitation TEXT PRIMARY KEY, enrolment TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    one INTEGER PRIMARY KEY CHECK (one = 1), issuer TEXT NOT NULL, position TEXT NOT NULL,
    heard_at INTEGER, roster_records INTEGER NOT NULL, roster_head TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS pinned (one INTEGER PRIMARY KEY CHECK (one = 1), roster_version INTEGER NOT NULL) STRICT;
"""


def check_pinned(database: Database, roster_version: int) -> None:
    """Remember the newest trust file that was used; raises :class:`StartRefused` for an older one, which may trust what
    the newer one trusts no longer."""
    with database.transaction() as rows:
        (newest,) = rows.execute(
            "INSERT INTO pinned VALUES (1, ?) ON CONFLICT DO UPDATE"
            " SET roster_version = max(roster_version, excluded.roster_version) RETURNING roster_version",
            (roster_version,),
        ).fetchone()
    if roster_version < newest:
        raise StartRefused(
            f"The trust file is older than one that was used here before: it pins {roster_version} records of the"
            f" roster, and that one {newest}. On the desk, run 'counterfoil prove --trust', and bring what it writes."
        )


class FeedMemory:
    """A ``counterfoil.feed.Memory`` in the ledger's file. Safe to call from several threads."""

    def __init__(self, database: Database, issuer: str) -> None:
        self._database = database
        with database.transaction() as rows:
            rows.execute(
                "INSERT INTO log VALUES (1, ?, ?, NULL, 0, '') ON CONFLICT DO NOTHING", (issuer, Position().to_text())
            )
        row = database.row("SELECT issuer FROM log")
        if row is None or row[0] != issuer:
            raise StartRefused(
                "The ledger belongs to another authority. Give each authority a state folder of its own."
            )
        try:
            self.position()
        except BadJSON:
            raise StartRefused("The ledger is damaged. Restore it from its newest backup.") from None

    def keep(self, reading: Reading) -> None:
        """Remember a reading; raises ``sqlite3.Error`` if it could not be kept, and then nothing of it is."""
        records = [each for each in reading.heard if is_roster_record(each.event)]
        with self._database.transaction() as rows:
            rows.executemany("INSERT INTO stopped VALUES (?) ON CONFLICT DO NOTHING", _of(reading, NOTHING_HAPPENS))
            rows.executemany("INSERT INTO carried_out VALUES (?) ON CONFLICT DO NOTHING", _of(reading, CARRIED_OUT))
            rows.executemany(
                "INSERT INTO redeemed VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(each.ticket, each.envelope, each.at) for each in reading.heard if each.ticket and each.envelope],
            )
            rows.executemany(
                "INSERT INTO scope VALUES (?, ?) ON CONFLICT DO UPDATE SET barred = excluded.barred WHERE barred < 2",
                # A resumption whose opening was deleted after its time does not say of what: it stays barred.
                [
                    (each.scope, 2 if is_for_good(each.event) else is_bar(each.event))
                    for each in reading.heard
                    if each.scope is not None
                ],
            )
            rows.executemany(
                "INSERT INTO enrolled VALUES (?, ?) ON CONFLICT DO NOTHING",  # the first counts
                [each.enrolled for each in reading.heard if each.enrolled is not None],
            )
            rows.execute(
                "UPDATE log SET position = ?, heard_at = coalesce(?, heard_at), roster_records = roster_records + ?,"
                " roster_head = coalesce(?, roster_head)",
                (
                    reading.position.to_text(),
                    reading.at if reading.complete else None,
                    len(records),
                    records[-1].record or "" if records else None,
                ),
            )

    def position(self) -> Position:
        """How far the log was read."""
        row = self._database.row("SELECT position FROM log")
        return Position.from_text(row[0] if row else "")

    def carried_out(self, ticket: str) -> bool:
        """Whether the log tells that the ticket was executed: then this file must know it, or is an old copy."""
        return self._database.row("SELECT 1 FROM carried_out WHERE ticket = ?", (ticket,)) is not None

    def heard_at(self) -> int | None:
        row = self._database.row("SELECT heard_at FROM log")
        return row[0] if row else None

    def stopped(self, ticket: str) -> bool:
        return self._database.row("SELECT 1 FROM stopped WHERE ticket = ?", (ticket,)) is not None

    def redeemed(self, ticket: str) -> tuple[str, int] | None:
        row = self._database.row("SELECT envelope, at FROM redeemed WHERE ticket = ?", (ticket,))
        return (row[0], row[1]) if row else None

    def barred(self, scopes: Collection[str]) -> bool:
        question = "SELECT 1 FROM scope WHERE name = ? AND barred"
        return any(self._database.row(question, (scope,)) is not None for scope in scopes)

    def roster_records(self) -> int:
        row = self._database.row("SELECT roster_records FROM log")
        return row[0] if row else 0

    def roster_head(self) -> str:
        row = self._database.row("SELECT roster_head FROM log")
        return row[0] if row else ""

    def enrolled(self, invitation: str) -> str | None:
        row = self._database.row("SELECT enrolment FROM enrolled WHERE invitation = ?", (invitation,))
        return row[0] if row else None


def _of(reading: Reading, events: Collection[str]) -> list[tuple[str]]:
    return [(each.ticket,) for each in reading.heard if each.ticket is not None and each.event in events]
