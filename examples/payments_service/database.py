"""One SQLite file: everything in a transaction is durable together when it ends, or nothing of it is."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]


class StartRefused(Exception):
    """The service does not start like this. The text says why, and what to do."""


class Database:
    """Any thread may call. ``lock``: whoever holds it is the only one who reads or writes."""

    def __init__(self, path: Path, schema: str) -> None:
        self.lock = threading.RLock()
        try:
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
        except (OSError, sqlite3.Error) as error:
            raise StartRefused(
                f"{path} cannot be opened: {error.strerror if isinstance(error, OSError) else error}."
                " Let this user write in it and its folder; if it is damaged, restore it from its newest backup."
            ) from None

    def close(self) -> None:
        """Release the file."""
        with self.lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Whatever is written inside; raises ``sqlite3.Error`` if it could not be."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def row(self, question: str, values: Sequence[object] = ()) -> Row | None:
        """The first row of an answer."""
        with self.lock:
            found: Row | None = self._connection.execute(question, values).fetchone()
            return found

    def rows(self, question: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of an answer."""
        with self.lock:
            return self._connection.execute(question, values).fetchall()
