"""The measure for the store's redeem verb: the raw changes of a redemption, group-committed, and nothing else.

It works on a copy of the same database, with the same tables and indexes: one conditional update of the ticket and one
log row that was made beforehand, by one writing thread that commits what is waiting together. No checks, no hashing.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from pathlib import Path

BATCH = 256
UPDATE = (
    "UPDATE ticket SET state = 'executing', effect = 2, redeemed_at = ? WHERE id = ? AND state IN ('approved', 'held')"
)
INSERT = "INSERT INTO leaf (number, body, mac, opening, ticket, event) VALUES (?, ?, ?, ?, ?, 'redeem')"

Job = tuple[str, "asyncio.Future[int]", asyncio.AbstractEventLoop]


class RawStore:
    """A copy of a store's database, and one verb over it."""

    def __init__(self, original: Path, path: Path) -> None:
        source, target = sqlite3.connect(original), sqlite3.connect(path)
        source.backup(target)
        source.close()
        target.close()
        self._path = path
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def claim(self, ticket: str) -> int:
        """One conditional update and one log row, durable when it returns; answers how many tickets were claimed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._jobs.put((ticket, future, loop))
        return await future

    def close(self) -> None:
        """End the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA cache_size = -256")  # as the store has it
        (number,) = database.execute("SELECT max(number) FROM leaf").fetchone()
        body, mac, opening = database.execute(
            "SELECT body, mac, opening FROM leaf WHERE number = ?", (number,)
        ).fetchone()
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
                number += 1
                results.append(database.execute(UPDATE, (number, ticket)).rowcount)
                database.execute(INSERT, (number, body, mac, opening, ticket))
            database.execute("COMMIT")
            batch[0][2].call_soon_threadsafe(_resolve, batch, results)
        database.close()


def _resolve(batch: list[Job], results: list[int]) -> None:
    for (_, future, _), result in zip(batch, results, strict=True):
        future.set_result(result)
