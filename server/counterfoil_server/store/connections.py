"""How the database file is opened and read.

One connection writes (see ``writer.py``); readers may only query. A small indexed lookup runs at once on the caller's
thread, because it takes microseconds; whatever may be long runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from counterfoil.errors import StoreFailed
from counterfoil_server.store.schema import check_version, migrate

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


@contextmanager
def reading() -> Iterator[None]:
    """Turn what SQLite raises into :class:`StoreFailed`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _unread() from error


def _unread() -> StoreFailed:
    return StoreFailed(
        "The database could not be read.", "Check the disk and run 'counterfoil doctor', then try again."
    )


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open or create the file, bring it to the current schema, and answer the connection that writes.

    Raises NewerSchema, or StoreFailed where the file is damaged or cannot be opened.
    """
    connection = None
    try:
        with suppress(OSError):  # the connection tells it better
            path.touch(mode=0o600)
        connection = _connect(path)
        check_version(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL could un-spend a capability after a power loss.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # What is deleted is overwritten (a default of some systems only): texts of people are (retention_verbs.py).
        connection.execute("PRAGMA secure_delete = ON")
        # Savepoints keep what they might take back in a temporary file otherwise.
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise StoreFailed(
                f"The database file {path.name} cannot be opened: {error}.",
                "Check that the state folder exists, has free space, and that this user may write in it.",
            ) from error
        if isinstance(error, sqlite3.DatabaseError):
            raise StoreFailed(
                f"The database file {path.name} is damaged: {error}.",
                "Keep it, and restore the state folder from your newest backup.",
            ) from error
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA trusted_schema = OFF")
    # The operating system keeps the file's pages; a cache that grows with the file would keep them twice.
    connection.execute("PRAGMA cache_size = -256")
    return connection


class Readers:
    """The reading connections of an open file."""

    def __init__(self, path: Path) -> None:
        self._near = self._query_only(path)
        self._far = self._query_only(path)
        self._near_lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="counterfoil-store-reader")

    def lookup(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a short, indexed query now. All rows are fetched: a half-read cursor would pin an old snapshot."""
        try:  # a call has ten of these, and entering reading() takes as long as a short query
            with self._near_lock:
                return self._near.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise _unread() from error

    async def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query that may be long, in the reader's thread."""
        return await self.run(lambda connection: connection.execute(sql, parameters).fetchall())

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in the reader's thread."""
        with reading():
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._far)

    def close(self) -> None:
        """Wait for running queries and close."""
        self._thread.shutdown()
        self._far.close()
        # SQLite does not survive a connection that is closed under a query of another thread.
        with self._near_lock:
            self._near.close()

    @staticmethod
    def _query_only(path: Path) -> sqlite3.Connection:
        connection = _connect(path)
        connection.execute("PRAGMA query_only = ON")
        return connection
