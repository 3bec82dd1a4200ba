"""The measure for the store: raw conditional updates with a log row, group-committed by one thread, and nothing else."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from pathlib import Path

BATCH = 256
SCHEMA = """
CREATE TABLE ticket (id TEXT PRIMARY KEY, state TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE log (number INTEGER PRIMARY KEY, ticket TEXT NOT NULL, body BLOB NOT NULL);
"""
UPDATE = "UPDATE ticket SET state = 'executing' WHERE id = ? AND state = 'approved'"
INSERT = "INSERT INTO log (ticket, body) VALUES (?, ?)"

Job = tuple[str, "asyncio.Future[int]", asyncio.AbstractEventLoop]


class RawStore:
    """Tickets with a state and a log; one verb."""

    def __init__(self, path: Path, tickets: list[str], body: bytes) -> None:
        self._path = path
        self._body = body
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        database = self._connect()
        database.executescript(SCHEMA)
        database.execute("BEGIN")
        database.executemany("INSERT INTO ticket VALUES (?, 'approved', ?)", [(name, body) for name in tickets])
        database.execute("COMMIT")
        database.close()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        return database

    async def claim(self, ticket: str) -> int:
        """One conditional update and one log row, durable when it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._jobs.put((ticket, future, loop))
        return await future

    def close(self) -> None:
        """End the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        database = self._connect()
        while (first := self._jobs.get()) is not None:
            batch = [first]
            while len(batch) < BATCH and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    self._jobs.put(None)
                    break
                batch.append(job)
            database.execute("BEGIN IMMEDIATE")
            results = []
            for ticket, _, _ in batch:
                results.append(database.execute(UPDATE, (ticket,)).rowcount)
                database.execute(INSERT, (ticket, self._body[:300]))
            database.execute("COMMIT")
            batch[0][2].call_soon_threadsafe(_resolve, batch, results)
        database.close()


def _resolve(batch: list[Job], results: list[int]) -> None:
    for (_, future, _), result in zip(batch, results, strict=True):
        future.set_result(result)
