"""Deleting what is personal and no longer needed, for real, and without keeping other writers waiting.

What may go, by kind: the words of turns with their salts; the openings of leaves, which tell whom and what a leaf is
about; to whom notices went. What never goes: leaves, MACs and tiles; tickets, envelopes, statements and roster records,
which are the proof itself; the executor's ledger.

Rule: nothing that is still needed is deleted, however old it is. An opening proves the request of a ticket that people
may still decide, that runs, whose outcome nobody knows, or that is a grant; a notice says who was asked. So both
stay until a day after their ticket has ended (:data:`RESTS`), which is longer than a grant lives and an order may run.
Turns are needed by nothing. What bars something, and the roster's records and enrolments, are told to executors by
their leaves, so those stay open.

Rows are looked for by readers, a stretch at a time, and changed in small transactions that ask for the same again. Each
kind has an index of the rows that still hold something, by age: a look reads those that are old enough, and nothing of
what is gone or young. SQLite overwrites what is deleted (``secure_delete``); :meth:`Forgetter.overwrite` then empties
the write-ahead log, where older pages would still hold it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from counterfoil.feed_leaves import RESUME, REVOKE_SCOPE, SUSPEND
from counterfoil.leaves import ENROL, ROSTER
from counterfoil.store import NO_LONGER_NEEDED
from counterfoil.tickets import TERMINAL
from counterfoil_server.store.connections import Readers
from counterfoil_server.store.log_reader import CONDITIONS, first_at, opened
from counterfoil_server.store.ticket_rows import spelled
from counterfoil_server.store.writer import Transaction, Writer

AT_ONCE = 500
"""Rows that one transaction changes at most, and of which one query looks at four times as many."""

RESTS = 86400
"""Seconds after the end of its ticket until something may be deleted."""

PATIENCE = 200
"""Milliseconds that emptying the write-ahead log waits for whoever reads."""

RETENTION_EVENTS = ("retention_started", "retention")
"""Leaves that tell of deletions: they name nobody."""

KEPT_OPEN = (*RETENTION_EVENTS, REVOKE_SCOPE, SUSPEND, RESUME, ROSTER, ENROL)
"""Leaves whose openings stay for good: an executor that begins to follow the log has to hear what is barred, and which
records and enrolments the roster has (which stay, too)."""


@dataclass(frozen=True)
class Scope:
    """What is to go: what came ``before`` (Unix seconds), where it is about the ``account`` or ``conversation``, if one
    is named."""

    before: int
    account: str | None = None
    conversation: str | None = None


@dataclass(frozen=True)
class _Kind:
    """Rows of ``table``, numbered by ``number``, with what is ``joined`` to them (the row is ``l``): the ``index`` of
    those that hold something personal (``held``) by their ``age``, which is old enough before the parameter ``end``;
    the condition that one may go, further ones where an account or a conversation is named, and the change that deletes
    what is personal."""

    table: str
    number: str
    index: str
    held: str
    age: str
    end: str
    joined: str
    condition: str
    of_account: str
    of_conversation: str
    change: str

    def where(self, scope: Scope) -> str:
        named = [
            condition
            for condition, name in ((self.of_account, scope.account), (self.of_conversation, scope.conversation))
            if name is not None
        ]
        old = f"l.{self.held} AND l.{self.age} < :{self.end}"
        return " AND ".join([old, self.condition, *(f"({condition})" for condition in named)])


_TICKETS_OF = {
    "account": "SELECT {} FROM ticket WHERE account = :account",
    "conversation": "SELECT {} FROM ticket WHERE conversation = :conversation",
}
_RESTED = f"(l.ticket IS NULL OR (t.state IN {spelled(TERMINAL)} AND coalesce(t.ended_at, t.requested_at) <= :rested))"
_JOINED = "LEFT JOIN ticket t ON t.id = l.ticket"

KINDS: dict[str, _Kind] = {
    "turns": _Kind(
        table="turn",
        number="number",
        index="turn_by_age",
        held="text IS NOT NULL",
        age="recorded_at",
        end="before",
        joined="",
        condition="TRUE",
        of_account=f"l.conversation IN ({_TICKETS_OF['account'].format('conversation')})",
        of_conversation="l.conversation = :conversation",
        change="text = NULL, salt = NULL, deleted_at = :now",
    ),
    "openings": _Kind(
        table="leaf",
        number="number",
        index="leaf_by_opening",
        held="opening IS NOT NULL",
        age="number",
        end="until",
        joined=_JOINED,
        condition=f"l.event NOT IN {KEPT_OPEN} AND {_RESTED}",
        of_account=(
            f"{CONDITIONS['account']} OR {opened('conversation')} IN "
            f"({_TICKETS_OF['account'].format('conversation')} AND conversation IS NOT NULL)"
        ),
        of_conversation=f"t.conversation = :conversation OR {opened('conversation')} = :conversation",
        change="opening = NULL",
    ),
    "notices": _Kind(
        table="notice",
        number="id",
        index="notice_by_age",
        held="address <> ''",
        age="created_at",
        end="before",
        joined=_JOINED,
        condition=f"l.state IN ('sent', 'failed') AND coalesce(l.counted_at, 0) <= :rested AND {_RESTED}",
        of_account=f"l.recipient = 'account:' || :account OR l.ticket IN ({_TICKETS_OF['account'].format('id')})",
        of_conversation=f"l.ticket IN ({_TICKETS_OF['conversation'].format('id')})",
        change=(
            f"recipient = '', address = '', error = CASE WHEN error LIKE '{NO_LONGER_NEEDED}%' "
            f"THEN '{NO_LONGER_NEEDED}' END"
        ),
    ),
}
"""What can be deleted, by the words in which an administrator names it."""


_ROWS = (
    "SELECT l.{found.number} FROM {found.table} l {found.joined} "
    "WHERE l.{found.number} IN (SELECT value FROM json_each(:numbers)) AND {where}"
)


class Forgetter:
    """Finds and deletes. ``now``: the store's clock; ``size``: how many leaves there are, as the writer knows it."""

    def __init__(
        self, readers: Readers, writer: Writer, now: Callable[[], int], size: Callable[[], Awaitable[int]]
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._now = now
        self._size = size

    async def due(self, kind: str, scope: Scope) -> AsyncIterator[list[int]]:
        """The numbers of the rows that may go, a stretch at a time."""
        found = KINDS[kind]
        parameters = await self._parameters(scope)
        place = f"(l.{found.age}, l.{found.number})"
        old = (
            f"SELECT l.{found.age}, l.{found.number} FROM {found.table} l INDEXED BY {found.index} "  # noqa: S608
            f"WHERE l.{found.held} AND l.{found.age} < :{found.end} AND {place} > (:age, :number) "
            f"ORDER BY l.{found.age}, l.{found.number} LIMIT {AT_ONCE * 4}"
        )
        due = _ROWS.format(found=found, where=found.where(scope))
        age = number = -1
        while looked_at := await self._readers.query(old, parameters | {"age": age, "number": number}):
            age, number = looked_at[-1]
            among = json.dumps([row[1] for row in looked_at])
            numbers = [row[0] for row in await self._readers.query(due, parameters | {"numbers": among})]
            for first in range(0, len(numbers), AT_ONCE):
                yield numbers[first : first + AT_ONCE]

    async def delete(self, kind: str, scope: Scope, numbers: list[int]) -> int:
        """Delete what is personal of these rows, of those that may still go; answers how many."""
        found = KINDS[kind]
        parameters = await self._parameters(scope) | {"numbers": json.dumps(numbers)}
        rows = _ROWS.format(found=found, where=found.where(scope))
        sql = f"UPDATE {found.table} SET {found.change} WHERE {found.number} IN ({rows})"  # noqa: S608 - constants

        def change(transaction: Transaction) -> int:
            return transaction.change(sql, parameters | _times(transaction.now))

        return await self._writer.submit(change)

    async def overwrite(self) -> bool:
        """Empty the write-ahead log; False where somebody reads at this moment, and it has to be tried again."""
        return await self._writer.submit_alone(_emptied)

    async def _parameters(self, scope: Scope) -> dict[str, Any]:
        end = await self._size()
        until = await self._readers.run(partial(_leaf_at, scope.before, end))
        return {
            "before": scope.before, "until": until, "account": scope.account, "conversation": scope.conversation,
        } | _times(self._now())  # fmt: skip


def _times(now: int) -> dict[str, int]:
    return {"now": now, "rested": now - RESTS}


def _leaf_at(at: int, end: int, connection: sqlite3.Connection) -> int:
    return first_at(connection, at, end)


def _emptied(connection: sqlite3.Connection) -> bool:
    waits = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waits}")
    return not busy
