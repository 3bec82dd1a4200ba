"""No hot verb reads a whole table: SQLite's own plan of every statement it runs says so."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from counterfoil.store import NoticeDraft, Secret
from counterfoil.tickets import PLANNED, Event, State
from counterfoil_server.store import SQLiteStore
from server.store.world import DAY, START, HandClock, World, counted, leaf, open_store


class _Recording(sqlite3.Connection):
    """A connection that remembers what it was asked."""

    asked: set[str] = set()  # noqa: RUF012 - one record for all connections of the test

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.asked.add(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        self.asked.add(sql)
        return super().executemany(sql, parameters)


@contextmanager
def _recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    connect = sqlite3.connect

    def recording(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=_Recording, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", recording)
        _Recording.asked = set()
        yield _Recording.asked


async def _every_hot_verb(store: SQLiteStore, clock: HandClock) -> None:
    world = World(store)
    notice = NoticeDraft("approve", "ann", "ann@example.com")
    ticket = await world.pending(conversation="talk", notices=[notice, notice])
    await world.sign(ticket, "ann")
    await store.wrong_code(ticket.id)
    await world.step(ticket, Event.APPROVE)
    await world.step(ticket, Event.HOLD, hold_until=START)
    capability = await world.minted(ticket)
    await store.ready()
    claim = world.redeeming(ticket, capability, statements=1, counters=counted(0, "0"))
    await store.redeem(claim)
    await world.step(ticket, Event.REPORT_EXECUTED)
    await store.counters(
        account="1", operation="refund", currency="EUR", since=0, states=tuple(PLANNED), excluding=ticket.id
    )
    await store.ticket(ticket.id)
    await store.tickets()
    await store.tickets(states=[State.PENDING, State.EXECUTING])
    await store.tickets(principal="agent")
    await store.tickets(account="1", states=[State.PENDING])
    await store.request_leaf(ticket.id)
    await store.statements(ticket.id)
    for scope in ("ticket:1", "account:1", "principal:1", "conversation:1", "person:1", "capability:1"):
        await store.revoke(scope, reason="r", leaf=leaf("revoke_scope"), final=False)
    await store.suspensions(["everything"])
    await store.principal_by_token("digest")
    await store.put_secret(Secret("link", "digest", "x", {}, START))
    await store.secret("link", "digest")
    await store.take_secret("link", "digest")
    for sent in await store.lease_notices(limit=5, lease=60, cap=1, window=60):
        await store.settle_notice(sent.id, sent=True, error=None, next_try=None)
    await store.notices(ticket.id)
    await store.leaves(after=0)
    await store.leaves(ticket=ticket.id)
    await store.append_leaf(leaf("x"))
    await store.calls()
    await store.setting("x")
    await world.pending()
    clock.time += 2 * DAY
    await store.expire_due()


async def test_no_hot_verb_scans_a_table(path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with _recorded(monkeypatch) as asked:
        async with open_store(path, clock) as store:
            asked.clear()  # what a start reads is no hot verb's
            await _every_hot_verb(store, clock)
            await store.put_setting("x", "y")
    statements = {sql for sql in asked if sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE"))}
    assert len(statements) > 45
    scans = {}
    with closing(sqlite3.connect(path)) as connection:
        for sql in statements:
            numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
            blanks: Any = (None,) * (max(numbered, default=0) + len(re.findall(r"\?(?!\d)", sql)))
            if ":" in sql:
                blanks = dict.fromkeys(_names(sql), None)
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", blanks)]
            bad = [line for line in plan if _walks(line, sql) and not _harmless(line, sql)]
            if bad:
                scans[sql] = bad
    assert scans == {}


def _names(sql: str) -> list[str]:
    return [
        name
        for name in ("principal", "account", "limit", "name", "now", "ends", "before", "since")
        if f":{name}" in sql
    ]


def _walks(line: str, sql: str) -> bool:
    """A scan, or a search that begins somewhere and filters all that follows."""
    return line.startswith("SCAN") or ("PRIMARY KEY (rowid>?)" in line and "WHERE number > ?" not in sql)


def _harmless(line: str, sql: str) -> bool:
    """Walks that a LIMIT ends in the order asked for, rows found before, and the table of one row."""
    table = line.split()[1]
    newest_first = (
        "DESC LIMIT" in sql and table in {"t", "ticket", "call"} and "WHERE" not in sql and "INDEX" not in line
    )
    found_before = table in {"newest", "found", "json_each", "CONSTANT"} or table.startswith(("(", "SUBQUERY"))
    one_row = (
        table == "head"
        or "UPDATE head" in sql
        or (table == "suspension" and "EXISTS (SELECT 1 FROM suspension)" in sql)
    )
    return newest_first or found_before or one_row
