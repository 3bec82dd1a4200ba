"""The log, recorded tool calls and pinned settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from counterfoil.errors import TamperDetected
from counterfoil.leaves import ENROL
from counterfoil.log import GENESIS, Leaf, LeafDraft
from counterfoil.store import Call
from counterfoil_server.store.chain import LEAF_COLUMNS, REMEDY, Chain, Mark
from counterfoil_server.store.verbs import Verbs

if TYPE_CHECKING:
    from counterfoil_server.store.log_reader import LogReader

VERIFIED_AT_ONCE = 2000
"""Leaves per chunk of a verification: memory stays small, and other readers get their turn in between."""

SELECT_LEAVES = f"SELECT {LEAF_COLUMNS} FROM leaf WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608 - constants
SELECT_ENROLMENT_LEAVES = (
    f"SELECT {', '.join(f'l.{name.strip()}' for name in LEAF_COLUMNS.split(','))}, p.mac "  # noqa: S608 - constants
    "FROM leaf l INDEXED BY leaf_of_enrolment LEFT JOIN leaf p ON p.number = l.number - 1 "
    f"WHERE l.event = '{ENROL}' AND l.number > ? ORDER BY l.number"
)
SELECT_TICKET_LEAVES = f"SELECT {LEAF_COLUMNS} FROM leaf WHERE ticket = ? AND number > ? ORDER BY number LIMIT ?"  # noqa: S608 - constants


class LogVerbs(Verbs):
    """Leaves, calls, settings."""

    _chain: Chain

    async def append_leaf(self, leaf: LeafDraft) -> Leaf:
        """Record something that has no row of its own."""
        index = await self._write(lambda transaction: transaction.write_leaf(leaf))
        return Leaf(*self._readers.lookup(SELECT_LEAVES, (index - 1, 1))[0])

    async def leaves(self, *, after: int = -1, ticket: str | None = None, limit: int = 1000) -> list[Leaf]:
        """In order."""
        if ticket is None:
            rows = await self._readers.query(SELECT_LEAVES, (after, limit))
        else:
            rows = await self._readers.query(SELECT_TICKET_LEAVES, (ticket, after, limit))
        return [Leaf(*row) for row in rows]

    async def enrolment_leaves(self, *, after: int = -1) -> list[tuple[Leaf, bytes]]:
        """In order, each with the MAC of the one before it in the log."""
        rows = await self._readers.query(SELECT_ENROLMENT_LEAVES, (after,))
        return [(Leaf(*row[:6]), row[6] or GENESIS) for row in rows]

    async def log_size(self) -> int:
        """How many leaves the log has now, as the writer knows it."""
        return await self._write(lambda transaction: transaction.next_leaf)

    def log_reader(self) -> LogReader:
        """The log for those who look through it."""
        from counterfoil_server.store.log_reader import LogReader  # nobody does most of the time

        return LogReader(self._readers, self._chain, self.log_size)

    async def verify_log(self) -> int:
        """Walk the whole log as it is now and answer how many leaves it has.

        Raises TamperDetected naming the first leaf that was edited, removed, inserted or moved, or a ticket whose
        request was never recorded.
        """
        end = await self.log_size()
        mark = (0, GENESIS)
        while mark[0] < end:
            mark = await self._readers.run(partial(self._verify_chunk, mark, min(VERIFIED_AT_ONCE, end - mark[0])))
        strangers = await self._readers.query(
            "SELECT t.id FROM ticket t LEFT JOIN leaf l ON l.number = t.request_leaf WHERE l.ticket IS NOT t.id LIMIT 1"
        )
        if strangers:
            raise TamperDetected(f"The request of ticket {strangers[0][0]} is not on the log.", REMEDY)
        return end

    def _verify_chunk(self, start: Mark, limit: int, connection: sqlite3.Connection) -> Mark:
        rows = connection.execute(SELECT_LEAVES, (start[0] - 1, limit)).fetchall()
        if not rows:
            raise TamperDetected(f"Leaf {start[0]} of the log is missing.", REMEDY)
        return self._chain.verify(rows, start)

    async def record_calls(self, calls: Sequence[Call]) -> None:
        """Append tool calls."""
        await self._write(
            lambda transaction: transaction.change_many(
                "INSERT INTO call (at, principal, tool, ticket, status, arguments) VALUES (?, ?, ?, ?, ?, ?)",
                [(call.at, call.principal, call.tool, call.ticket, call.status, call.arguments) for call in calls],
            )
        )

    async def calls(self, limit: int = 100) -> list[Call]:
        """Newest first."""
        rows = await self._readers.query(
            "SELECT at, principal, tool, ticket, status, arguments FROM call ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Call(*row) for row in rows]

    async def setting(self, name: str) -> str | None:
        """A pinned value."""
        rows = self._readers.lookup("SELECT value FROM setting WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    async def put_setting(self, name: str, value: str) -> None:
        """Pin a value; a later one takes its place."""
        await self._write(
            lambda transaction: transaction.change(
                "INSERT INTO setting (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
        )
