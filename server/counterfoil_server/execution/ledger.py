"""The executor's own memory: what it started, what came of it, and what it heard was stopped.

Kept in a file of its own, apart from the ticket database, and never pruned. It is why a ticket's effect starts at most
once even if the ticket database is edited, restored from a backup, or a stolen authority key signs new orders for old
evidence (T42, T47, T50):

* ``start`` commits before the effect, once per (issuer, ticket);
* policy's counters are added up from here, not from the ticket database (T45);
* the feed remembers every ticket that the log said was stopped or not executed, and where in the log it has read to, so
  that erasing a decline or a revocation from the ticket database changes nothing, and what people were told did not
  happen never does;
* the highest roster version ever verified, or counted in the log, is the lowest that is accepted, the last record that
  the log told of is in it, and of each invitation the enrolment that it told of first counts (T49).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from counterfoil.errors import NewerSchema, StoreFailed, TamperDetected
from counterfoil.leaves import ENROL, ROSTER, enrolment_told, record_told
from counterfoil.log import GENESIS, Leaf
from counterfoil.roster import Roster
from counterfoil.store import Counters
from counterfoil.tickets import NOTHING_HAPPENS, Event
from counterfoil_server.execution.ledger_schema import MIGRATIONS, SCHEMA_VERSION

OTHER_LOG = "The log is older than, or different from, what the executor has seen of it."
UNITS = 10_000
"""Amounts are whole ten-thousandths, the precision of DecimalText: sums are exact."""

FIRST_ENROLMENT = "INSERT INTO enrolled VALUES (?, ?) ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class Effect:
    """An effect that was started. ``event`` and ``outcome`` (JSON) are None while nothing is known of its end."""

    ticket: str
    account: str
    operation: str
    started_at: int
    event: str | None
    outcome: str | None


class Ledger:
    """One file; every method is short and durable when it returns. Safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = _connect(path)
        try:
            # First, and without a write: a newer file is left exactly as it is.
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise NewerSchema("The executor's ledger was written by a newer version of Counterfoil.")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            if version < SCHEMA_VERSION:
                steps = "".join(MIGRATIONS[version:])
                self._database.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        except BaseException as error:
            self._database.close()
            if isinstance(error, sqlite3.Error):
                raise _not_opened(error) from None
            raise
        path.chmod(0o600)
        self.reads_again = self._read("SELECT 1 FROM pinned WHERE name = 'log before'", ()) is not None
        """Whether the log is read from its beginning again, and not yet up to where an earlier version had read it."""

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def start(
        self,
        *,
        issuer: str,
        ticket: str,
        account: str,
        operation: str,
        currency: str | None,
        amount: Decimal | None,
        at: int,
        undoes: str | None = None,
    ) -> bool:
        """Record that the effect starts now; False if it was ever started before. Durable when it returns."""
        units = int(amount * UNITS) if amount is not None else 0
        row = (issuer, ticket, account, operation, currency or "", units, at, undoes)
        statement = (
            "INSERT INTO effect (issuer, ticket, account, operation, currency, amount, started_at, undoes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        return self._write(statement, row) == 1

    def finish(self, *, issuer: str, ticket: str, event: str, outcome: str, at: int) -> None:
        """Record what came of it."""
        self._write(
            "UPDATE effect SET ended_at = ?, event = ?, outcome = ? WHERE issuer = ? AND ticket = ?",
            (at, event, outcome, issuer, ticket),
        )

    def effect(self, issuer: str, ticket: str) -> Effect | None:
        """What is known of the ticket's effect; None if it never started."""
        row = self._read(
            "SELECT ticket, account, operation, started_at, event, outcome FROM effect WHERE issuer = ? AND ticket = ?",
            (issuer, ticket),
        )
        return Effect(*row) if row else None

    def undone(self, issuer: str, ticket: str) -> bool:
        """Whether an effect was started that undoes the ticket, unless nothing came of it."""
        row = self._read(
            "SELECT 1 FROM effect WHERE undoes = ? AND issuer = ? AND event IS NOT ?",
            (ticket, issuer, Event.REPORT_NOT_EXECUTED.value),
        )
        return row is not None

    def counters(
        self, *, account: str, operation: str, currency: str | None, since: int, nothing_done: str
    ) -> Counters:
        """Effects on the account since then that happened or may have: how many, and the sum of those in the currency.

        Those ended by ``nothing_done`` do not count.
        """
        row = self._read(
            "SELECT count(*), coalesce(sum(iif(currency = ?3, amount, 0)), 0) FROM effect"
            " WHERE account = ?1 AND operation = ?2 AND started_at >= ?4 AND event IS NOT ?5",
            (account, operation, currency or "", since, nothing_done),
        )
        count, units = row or (0, 0)
        return Counters(count, Decimal(units) / UNITS)

    # What the log says was stopped

    def head(self) -> tuple[int, bytes]:
        """Index and MAC of the last leaf that was read."""
        row = self._read("SELECT number, bytes FROM pinned WHERE name = 'log'", ())
        return (int(row[0]), bytes(row[1])) if row else (-1, GENESIS)

    def follow(self, leaves: Sequence[Leaf]) -> None:
        """Remember leaves that were verified to follow the head: what they stopped, which records and enrolments the
        roster has, and where reading goes on. Those that were followed before are passed over. Raises
        :class:`TamperDetected` for a leaf of an enrolment that does not open, and for another log than an earlier
        version had read; then nothing of them is remembered."""
        with self._transaction():
            head = self._pinned("log", -1)
            fresh = [(leaf, leaf.values) for leaf in leaves if leaf.index > head]
            if not fresh:
                return
            found_again = self._found_again(fresh)
            self._database.executemany(
                "INSERT INTO stopped (ticket) VALUES (?) ON CONFLICT DO NOTHING",
                [(values["ticket"],) for _, values in fresh if values["event"] in NOTHING_HAPPENS],
            )
            if records := [leaf for leaf, values in fresh if values["event"] == ROSTER]:
                count = self._pinned("roster records", 0) + len(records)
                self._pin("roster records", count, b"")
                self._pin("roster told", count, record_told(records[-1]).encode())
            enrolled = (enrolment_told(each["groups"], leaf.opening) for leaf, each in fresh if each["event"] == ENROL)
            self._database.executemany(FIRST_ENROLMENT, [told for told in enrolled if told])
            self._pin("log", fresh[-1][0].index, fresh[-1][0].mac)
        if found_again:
            self.reads_again = False  # not before it is kept: what is read again could be another log

    def _found_again(self, leaves: Sequence[tuple[Leaf, Any]]) -> bool:
        """Whether these leaves reach where an earlier version had read to, which is then forgotten."""
        row = self._database.execute("SELECT number, bytes FROM pinned WHERE name = 'log before'").fetchone()
        if row is None or leaves[-1][0].index < row[0]:
            return False
        if (row[0], bytes(row[1])) not in ((leaf.index, leaf.mac) for leaf, _ in leaves):
            raise TamperDetected(OTHER_LOG)
        self._database.execute("DELETE FROM pinned WHERE name = 'log before'")
        return True

    def forget_head(self) -> None:
        """Read the log from its beginning again: an administrator accepts a log that was restored from a backup."""
        with self._transaction():
            self._database.execute("DELETE FROM pinned WHERE name <> 'roster'")
            self._database.execute("DELETE FROM enrolled")
        self.reads_again = False

    def stopped(self, ticket: str) -> bool:
        """Whether the log ever said that the ticket was declined, cancelled, expired, revoked or not executed."""
        return self._read("SELECT 1 FROM stopped WHERE ticket = ?", (ticket,)) is not None

    # The roster's version

    def roster_version(self) -> int:
        """The highest version ever verified, or the number of records that the log tells of where that is more."""
        row = self._read("SELECT max(number) FROM pinned WHERE name IN ('roster', 'roster records')", ())
        return int(row[0] or 0) if row else 0

    def roster_told(self) -> tuple[int, str]:
        """How many records of the roster the log told of when it last told of one, and the digest of that one; empty
        where it did not say."""
        row = self._read("SELECT number, bytes FROM pinned WHERE name = 'roster told'", ())
        return (int(row[0]), bytes(row[1]).decode()) if row else (0, "")

    def enrolled(self) -> dict[str, str]:
        """What the log told of first, by the invitation's digest (``leaves.enrolment_told``)."""
        return dict(self._rows("SELECT invitation, enrolment FROM enrolled", ()))

    def saw_enrolments(self, roster: Roster) -> None:
        """Remember of a roster that verified with which invitations its passkeys were enrolled, where the log does not
        say it: another one for the same invitation is not the first then."""
        if alone := roster.told_alone(self.enrolled().get):
            with self._transaction():
                self._database.executemany(FIRST_ENROLMENT, alone.items())

    def saw_roster(self, version: int) -> None:
        """Remember a version that verified."""
        if version > self.roster_version():
            with self._transaction():
                self._pin("roster", max(version, self._pinned("roster", 0)), b"")

    def _pinned(self, name: str, otherwise: int) -> int:
        row = self._database.execute("SELECT number FROM pinned WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else otherwise

    def _pin(self, name: str, number: int, content: bytes) -> None:
        self._database.execute(
            "INSERT INTO pinned VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET number = excluded.number,"
            " bytes = excluded.bytes",
            (name, number, content),
        )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database, self._lock)

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        with self._transaction():
            return self._database.execute(statement, values).rowcount

    def _read(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        return next(iter(self._rows(statement, values)), None)

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise StoreFailed(f"The executor's ledger could not be read: {error}.") from None


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _not_opened(error) from None


def _not_opened(error: sqlite3.Error) -> StoreFailed:
    return StoreFailed(
        f"The executor's ledger cannot be opened: {error}.",
        "Restore it from a backup made after the last execution; never start with an empty one.",
    )


class _Transaction:
    """Everything inside is durable together, or a StoreFailed and nothing."""

    def __init__(self, database: sqlite3.Connection, lock: threading.Lock) -> None:
        self._database = database
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._lock.release()
            raise StoreFailed(f"The executor's ledger could not be written: {error}.") from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._database.execute("COMMIT")
        except sqlite3.Error as failure:
            error = failure
        finally:
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise StoreFailed(f"The executor's ledger could not be written: {error}.") from None
