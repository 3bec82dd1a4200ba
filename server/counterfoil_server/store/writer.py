"""The one thread that writes.

Callers hand it functions. It takes all that are waiting, runs them inside one transaction, commits once, and only then
tells each caller how its own went. So there is one order of all changes, a redemption and a revocation can never pass
each other, and the cost of making a commit durable is shared by whoever waits.

Rules: a function that raises takes back only its own changes, leaves included. A commit that fails takes back
everyone's, and everyone is told so. A caller who stops waiting changes nothing for anybody: what it asked for stands.

Savepoints cost about a third of a redemption, and are needed only where a function raises after it has changed
something, which is rare. So a batch runs without them first; where one turns out to be needed, the transaction is
rolled back and the batch runs again, each function under a savepoint. Functions must therefore be repeatable: they
read and write nothing but the transaction.

In the same spirit a claim, a change that is to meet exactly one row, is taken to succeed: those that follow each other
are run as one, and counted together. Where one met nothing, the batch runs again and each claim is answered by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil.log import LeafDraft
from counterfoil_server.store.chain import Chain
from counterfoil_server.store.clock import Clock
from counterfoil_server.store.connections import Parameters, Row

T = TypeVar("T")

MAX_BATCH = 256
"""More would keep the first caller of a batch waiting without saving much: the commit is then a small part."""


class Transaction:
    """What a function may do to the database. ``now`` is the store's time, the same for all of one commit."""

    __slots__ = ("_chain", "_claims", "_connection", "careful", "claimed", "now")

    def __init__(self, connection: sqlite3.Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain
        self._claims: list[tuple[str, list[Parameters]]] = []
        self.claimed = 0
        self.now = 0
        self.careful = True

    def begin(self, now: int, *, careful: bool) -> None:
        """Begin a transaction; ``careful``: whether each claim is run by itself."""
        self._claims.clear()
        self._connection.execute("BEGIN IMMEDIATE")
        self.now, self.careful = now, careful

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a query."""
        return self._execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The only row of a query, or None."""
        rows: list[Row] = self._execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    def change(self, sql: str, parameters: Parameters = ()) -> int:
        """Change rows and answer how many."""
        return self._execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[Any]) -> int:
        """Insert a row and answer its number."""
        return self._execute(sql, parameters).lastrowid or 0

    def change_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each tuple of parameters."""
        self.make_claims()
        self._connection.executemany(sql, parameters)

    def claim(self, sql: str, parameters: Parameters) -> bool:
        """Change exactly one row and answer whether there was one.

        Unless :attr:`careful`, this answers True at once; where it was wrong, what ran is rolled back and runs again.
        """
        if self.careful:
            return self.change(sql, parameters) == 1
        self.claimed += 1
        if self._claims and self._claims[-1][0] == sql:
            self._claims[-1][1].append(parameters)
        else:
            self._claims.append((sql, [parameters]))
        return True

    def make_claims(self) -> None:
        """Run the claims that were taken to succeed, in their order; raises :class:`Again` where one did not.

        Also where one raises: that is an error of whoever made the claim, and not of whoever runs now.
        """
        while self._claims:
            sql, parameters = self._claims.pop(0)
            try:
                met = self._connection.executemany(sql, parameters).rowcount
            except Exception as error:
                raise Again from error
            if met != len(parameters):
                raise Again

    def _execute(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        if self._claims:
            self.make_claims()
        return self._connection.execute(sql, parameters)

    @property
    def next_leaf(self) -> int:
        """The index that the next leaf will have."""
        return self._chain.mark[0]

    def write_leaf(self, draft: LeafDraft) -> int:
        """Append to the log; answers the leaf's index."""
        return self._chain.append(draft, self.now)


class Again(Exception):
    """The batch has to run again, each function under a savepoint: one raised after it had changed something, or a
    claim met no row."""


class _Job(Generic[T]):
    __slots__ = ("alone", "error", "future", "loop", "result", "work")

    def __init__(
        self,
        work: Callable[[Transaction], T],
        loop: asyncio.AbstractEventLoop,
        alone: Callable[[sqlite3.Connection], T] | None = None,
    ) -> None:
        self.work = work
        self.alone = alone
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.result: T
        self.error: BaseException | None = None


class Writer:
    """Owns the writing connection and the end of the log. ``commits`` counts transactions that changed something."""

    def __init__(self, connection: sqlite3.Connection, chain: Chain, clock: Clock) -> None:
        self.commits = 0
        self._connection = connection
        self._chain = chain
        self._clock = clock
        self._transaction = Transaction(connection, chain)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._closing = False
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="counterfoil-store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Transaction], T]) -> asyncio.Future[T]:
        """Run ``work`` in a transaction; what is awaited is its result, once that is durable.

        It raises what ``work`` raises, or StoreFailed where SQLite could not do it or could not commit.
        """
        return self._hand_in(_Job(work, asyncio.get_running_loop()))

    def submit_alone(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run ``work`` between two transactions, for what SQLite does not do inside one; it must change no row.

        It raises StoreFailed where SQLite could not do it.
        """
        return self._hand_in(_Job(_nothing, asyncio.get_running_loop(), work))

    def _hand_in(self, job: _Job[T]) -> asyncio.Future[T]:
        with self._door:
            if self._closing:
                raise StoreFailed("The store is closed.", "Start Counterfoil again.")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Finish what was handed in, then close the connection. Blocks until done; a second call does nothing."""
        with self._door:
            if not self._closing:
                self._jobs.put(None)
            self._closing = True
        self._thread.join()

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            batch: list[_Job[Any]] = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) == MAX_BATCH or job.alone is not None or self._jobs.empty():
                    break
                job = self._jobs.get()
            open_for_more = job is not None
            alone = batch.pop() if batch and batch[-1].alone is not None else None
            if batch:
                self._process(batch)
                self._tell(batch)
            if alone is not None:
                self._run_alone(alone)
                self._tell([alone])
        self._connection.close()

    def _run_alone(self, job: _Job[Any]) -> None:
        try:
            if self._connection.in_transaction:  # a rollback that failed before
                self._connection.execute("ROLLBACK")
            assert job.alone is not None  # noqa: S101 - what submit_alone handed in
            job.result = job.alone(self._connection)
        except Exception as error:
            job.error = StoreFailed()
            job.error.__cause__ = error

    def _process(self, batch: list[_Job[Any]]) -> None:
        """Run and commit the batch. Afterwards each job has its result or its error."""
        try:
            try:
                self._commit(batch, savepoints=False)
            except Again:
                self._commit(batch, savepoints=True)
        except Exception as error:
            for job in batch:
                job.error = StoreFailed()
                job.error.__cause__ = error

    def _commit(self, batch: list[_Job[Any]], *, savepoints: bool) -> None:
        """Run the batch in one transaction; where this raises, nothing of it was kept."""
        connection, mark = self._connection, self._chain.mark
        if connection.in_transaction:  # a rollback that failed before
            connection.execute("ROLLBACK")
        try:
            before = connection.total_changes
            self._transaction.begin(self._clock.now(), careful=savepoints)
            for job in batch:
                self._attempt(job, savepoints)
            self._transaction.make_claims()
            changed = connection.total_changes != before or self._chain.mark != mark
            if changed:
                self._chain.insert(connection)
                self._write_head()
            connection.execute("COMMIT")
            self.commits += changed
        except BaseException:
            self._chain.go_back(mark)
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    def _attempt(self, job: _Job[Any], savepoints: bool) -> None:
        """Run one job, and take its changes back where it raises."""
        connection, mark = self._connection, self._chain.mark
        job.error = None
        if savepoints:
            connection.execute("SAVEPOINT job")
        changes, claimed = connection.total_changes, self._transaction.claimed
        try:
            job.result = job.work(self._transaction)
        except Again:
            raise
        except Exception as error:
            if savepoints:
                # SQLite gives up the whole transaction at some errors of the disk; this raises then.
                connection.execute("ROLLBACK TO job")
            elif self._changed_since(changes, claimed) or not isinstance(error, CounterfoilError):
                # A refusal that came before any change leaves the transaction as it was. After anything else, such as
                # a lack of memory, SQLite may have given it up.
                raise Again from error
            self._chain.go_back(mark)
            job.error = error
            if isinstance(error, sqlite3.Error):
                job.error = StoreFailed()
                job.error.__cause__ = error
        if savepoints:
            connection.execute("RELEASE job")

    def _changed_since(self, changes: int, claimed: int) -> bool:
        return self._connection.total_changes != changes or self._transaction.claimed != claimed

    def _write_head(self) -> None:
        leaves, now = self._chain.mark[0], self._clock.now()
        self._connection.execute(
            "UPDATE head SET leaves = ?, seal = ?, clock = ?", (leaves, self._chain.head_seal(now), now)
        )

    @staticmethod
    def _tell(batch: list[_Job[Any]]) -> None:
        """Hand results over, waking each event loop once."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
        for job in batch:
            by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            # A closed loop refuses; nobody waits there any more, and what was committed stands.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, jobs)


def _nothing(_: Transaction) -> Any:
    raise AssertionError("what runs alone is in no transaction")


def _resolve(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
