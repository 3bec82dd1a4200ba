"""The embedded store: the port ``counterfoil.store.Store`` over one SQLite file.

It serves one process, which holds the state folder (``folder.py``). What was answered is durable: WAL with
``synchronous=FULL``, and no caller hears of a change before its commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from counterfoil.store import Store
from counterfoil_server.store.chain import Chain
from counterfoil_server.store.clock import Clock
from counterfoil_server.store.connections import Readers, connect_writer, reading
from counterfoil_server.store.log_verbs import LogVerbs
from counterfoil_server.store.outbox_verbs import OutboxVerbs
from counterfoil_server.store.people_verbs import PeopleVerbs
from counterfoil_server.store.redemption import RedemptionVerbs
from counterfoil_server.store.secret_verbs import SecretVerbs
from counterfoil_server.store.settling import SettlingVerbs
from counterfoil_server.store.stopping import StoppingVerbs
from counterfoil_server.store.ticket_verbs import TicketVerbs
from counterfoil_server.store.tree_verbs import TreeVerbs
from counterfoil_server.store.turn_verbs import TurnVerbs
from counterfoil_server.store.writer import Writer

if TYPE_CHECKING:
    from counterfoil_server.store.forgetting import Forgetter
    from counterfoil_server.store.statistics import Statistics


class SQLiteStore(
    TicketVerbs,
    RedemptionVerbs,
    SettlingVerbs,
    StoppingVerbs,
    PeopleVerbs,
    SecretVerbs,
    OutboxVerbs,
    LogVerbs,
    TreeVerbs,
    TurnVerbs,
):
    """An open store. Made by :meth:`open`; closed by :meth:`close` or by leaving ``async with``."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock, chain: Chain) -> None:
        super().__init__(writer, readers, clock)
        self._chain = chain

    @classmethod
    def open(cls, path: Path, *, log_key: bytes, clock: Callable[[], float] = time.time) -> SQLiteStore:
        """Open or create the database file ``path``; ``log_key`` (32 bytes) is the MAC key of the log.

        Raises NewerSchema, StoreFailed for a damaged or unusable file, or TamperDetected where the end of the log
        does not verify with this key.
        """
        connection = connect_writer(path)
        try:
            with reading():
                chain = Chain(log_key)
                store_clock = Clock(clock)
                store_clock.raise_to(chain.load(connection))
                readers = Readers(path)
        except BaseException:
            connection.close()
            raise
        return cls(Writer(connection, chain, store_clock), readers, store_clock, chain)

    def forgetter(self) -> Forgetter:
        """Who deletes what is personal and no longer needed."""
        from counterfoil_server.store.forgetting import Forgetter  # nobody does most of the time

        return Forgetter(self._readers, self._writer, self.now, self.log_size)

    @property
    def commits(self) -> int:
        """How many transactions changed something since the store was opened."""
        return self._writer.commits

    def statistics(self, tools: frozenset[str]) -> Statistics:
        """What can be counted, for metrics; calls of any other tool than these are counted together."""
        from counterfoil_server.store.statistics import Statistics  # most stores are never asked

        return Statistics(self._readers, tools)

    async def close(self) -> None:
        """Finish what was asked for, then close the file."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Like :meth:`close`, for callers outside an event loop; blocks."""
        self._writer.close()
        self._readers.close()

    async def __aenter__(self) -> SQLiteStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


_: type[Store] = SQLiteStore
