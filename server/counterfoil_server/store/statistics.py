"""What the store can count without being read from the beginning each time: for metrics.

What the log and the record of calls hold never changes, so both are read once, in chunks, and then only what came
since: the totals are the same after a restart. Everything else is a question about what is under way, which an index
answers, or about a bounded number of rows.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from counterfoil.store import NO_LONGER_NEEDED
from counterfoil.tickets import Event, State
from counterfoil_server.store.connections import Readers, Row

COUNTED_AT_ONCE = 20_000
"""Rows per chunk: others that read get their turn in between."""

NEWEST_MESSAGES = 10_000
"""Messages among which those that failed are counted."""

BOUNDS = (1, 5, 15, 60, 300, 900, 3_600, 4 * 3_600, 12 * 3_600, 86_400)
"""Upper bounds of the spans of time that are told apart, in seconds."""

UNDER_WAY = (State.PENDING, State.APPROVED, State.HELD, State.EXECUTING, State.UNKNOWN)
"""What still has to be looked after."""

DECISIONS = frozenset({Event.APPROVE.value, Event.DECLINE.value})
"""Timed from the request on."""

OUTCOMES = frozenset({Event.REPORT_EXECUTED.value, Event.REPORT_NOT_EXECUTED.value, Event.REPORT_UNKNOWN.value})
"""Timed from the redemption on."""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


EVENTS = (
    "SELECT l.event, t.operation, count(*) FROM leaf l JOIN ticket t ON t.id = l.ticket "
    "WHERE l.number >= ? AND l.number < ? GROUP BY 1, 2"
)
# A leaf's body begins with '{"at":' and the time (log.py).
TIMES = (
    "SELECT l.event, t.operation, CAST(CAST(substr(l.body, 7, 16) AS TEXT) AS INTEGER) - "  # noqa: S608 - constants
    f"CASE WHEN l.event IN ({_listed(OUTCOMES)}) THEN coalesce(t.redeemed_at, t.requested_at) ELSE t.requested_at END, "
    "count(*) FROM leaf l JOIN ticket t ON t.id = l.ticket "
    f"WHERE l.number >= ? AND l.number < ? AND l.event IN ({_listed(DECISIONS | OUTCOMES)}) GROUP BY 1, 2, 3"
)
CALLS = "SELECT tool, status, count(*) FROM call WHERE id > ? AND id <= ? GROUP BY 1, 2"
STATES = (
    "SELECT state, operation, count(*) FROM ticket "  # noqa: S608 - constants
    f"WHERE state IN ({_listed(UNDER_WAY)}) GROUP BY 1, 2"
)
WAITING = "SELECT count(*), min(created_at) FROM notice WHERE state = 'queued'"
FAILED = (
    "SELECT count(*) FROM (SELECT state, error FROM notice ORDER BY id DESC LIMIT ?) "  # noqa: S608 - constants
    f"WHERE state = 'failed' AND coalesce(error, '') NOT LIKE '{NO_LONGER_NEEDED}%'"
)
SUSPENSIONS = (
    "SELECT substr(scope, 1, instr(scope || ':', ':') - 1), count(*) FROM suspension WHERE final = 0 GROUP BY 1"
)


@dataclass
class Spans:
    """Spans of time: how many lay within each of BOUNDS and not within the one before, the last without a bound."""

    within: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: int = 0


@dataclass(frozen=True)
class Figures:
    """What was counted. ``events``: by event and operation; ``calls``: by tool, as callers named it, and result;
    ``spans``: by event and operation; ``states``: tickets under way; ``waiting``: messages, and since when the oldest
    (Unix seconds); ``suspensions``: by kind of scope."""

    events: Counter[tuple[str, str]]
    spans: dict[tuple[str, str], Spans]
    calls: Counter[tuple[str, str]]
    states: dict[tuple[str, str], int]
    leaves: int
    waiting: int
    waiting_since: int | None
    failed: int
    suspensions: dict[str, int]


class Statistics:
    """Counts over one store; keep it, so that nothing is counted twice. ``tools``: the names of tools to tell apart;
    callers can name any other."""

    def __init__(self, readers: Readers, tools: frozenset[str]) -> None:
        self._readers = readers
        self._tools = tools
        self._leaves = 0
        self._call = 0
        self._events: Counter[tuple[str, str]] = Counter()
        self._spans: dict[tuple[str, str], Spans] = {}
        self._calls: Counter[tuple[str, str]] = Counter()

    async def figures(self) -> Figures:
        """Count what came since the last time; one at a time. Raises StoreFailed."""
        [(leaves,)] = await self._readers.query("SELECT leaves FROM head")
        while self._leaves < leaves:
            end = min(self._leaves + COUNTED_AT_ONCE, leaves)
            events, times = await self._readers.run(partial(_happened, self._leaves, end))
            self._add(events, times)
            self._leaves = end
        [(last,)] = await self._readers.query("SELECT coalesce(max(id), 0) FROM call")
        while self._call < last:
            end = min(self._call + COUNTED_AT_ONCE, last)
            for tool, status, count in await self._readers.query(CALLS, (self._call, end)):
                self._calls[tool if tool in self._tools else "", status] += count
            self._call = end
        states, waiting, failed, suspended = await self._readers.run(_now)
        return Figures(
            events=self._events,
            spans=self._spans,
            calls=self._calls,
            states={(state, operation): count for state, operation, count in states},
            leaves=leaves,
            waiting=waiting[0],
            waiting_since=waiting[1],
            failed=failed,
            suspensions=dict(suspended),
        )

    def _add(self, events: list[Row], times: list[Row]) -> None:
        for event, operation, count in events:
            self._events[event, operation] += count
        for event, operation, seconds, count in times:
            spans = self._spans.setdefault((event, operation), Spans())
            spans.within[bisect_left(BOUNDS, seconds)] += count
            spans.seconds += max(0, seconds) * count


def _happened(first: int, end: int, connection: sqlite3.Connection) -> tuple[list[Row], list[Row]]:
    return connection.execute(EVENTS, (first, end)).fetchall(), connection.execute(TIMES, (first, end)).fetchall()


def _now(connection: sqlite3.Connection) -> tuple[list[Row], Row, int, list[Row]]:
    return (
        connection.execute(STATES).fetchall(),
        connection.execute(WAITING).fetchone(),
        connection.execute(FAILED, (NEWEST_MESSAGES,)).fetchone()[0],
        connection.execute(SUSPENSIONS).fetchall(),
    )
