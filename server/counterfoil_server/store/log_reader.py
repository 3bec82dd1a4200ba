"""The log for those who look through it: leaves with what they follow and what they are about, found and verified.

Rules: whoever looks through a stretch of the log is told of the first leaf in it that was edited, removed or moved,
because what is missing cannot be found; openings included where it was searched by what they tell. A stretch is read in
chunks, so that memory stays small and other readers get their turn; and since the store's clock never goes back, times
are found without reading what lies before them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from counterfoil.errors import TamperDetected
from counterfoil.log import GENESIS, Leaf
from counterfoil_server.store.chain import LEAF_COLUMNS, REMEDY, Chain, Mark
from counterfoil_server.store.connections import Readers, Row

LOOKED_THROUGH_AT_ONCE = 2000
"""Leaves per chunk."""

_AT = re.compile(rb'\{"at":([0-9]{1,15}),')
"""How the body of every leaf begins."""

FILED = (
    "SELECT l.number, l.body, l.mac, l.opening, l.ticket, l.event, p.mac, t.operation, t.account, t.principal "
    "FROM leaf l LEFT JOIN leaf p ON p.number = l.number - 1 LEFT JOIN ticket t ON t.id = l.ticket "
)
OF_TICKET = FILED + "WHERE l.ticket = ? ORDER BY l.number"
NEWEST = FILED + "ORDER BY l.number DESC LIMIT ?"
AFTER = FILED + "WHERE l.number > ? ORDER BY l.number LIMIT ?"
BETWEEN = f"SELECT {LEAF_COLUMNS} FROM leaf WHERE number >= ? AND number < ? ORDER BY number"  # noqa: S608 - constants

_TEXT = "CAST(l.opening AS TEXT)"


def opened(name: str) -> str:
    """What the opening of a leaf ``l`` says under that name, in SQL."""
    return f"json_extract(iif(json_valid({_TEXT}), {_TEXT}, NULL), '$.groups.{name}')"


_SCOPE = opened("scope")

CONDITIONS = {
    "event": "l.event = :event",
    "account": (
        f"(t.account = :account OR {opened('account')} = :account OR {_SCOPE} = 'account:' || :account "
        f"OR ({_SCOPE} LIKE 'principal-account:%' AND substr({_SCOPE}, instr({_SCOPE}, '|') + 1) = :account))"
    ),
    "operation": (
        f"(t.operation = :operation OR {opened('operation')} = :operation OR {_SCOPE} = 'operation:' || :operation)"
    ),
    "principal": (
        f"(t.principal = :principal OR {opened('principal')} = :principal OR {_SCOPE} = 'principal:' || :principal "
        f"OR instr({_SCOPE}, 'principal-account:' || :principal || '|') = 1)"
    ),
    "person": f"({opened('person')} = :person OR {_SCOPE} = 'person:' || :person)",
}
"""What each word of a search asks of a leaf: of its ticket, of its opening, or of the scope that was stopped."""

OPENED = frozenset(CONDITIONS) - {"event"}
"""Words that look into openings, which are verified then as well."""


@dataclass(frozen=True)
class FiledLeaf:
    """A leaf, the MAC before it (None where that leaf is missing), and what its ticket's record says."""

    leaf: Leaf
    previous: bytes | None
    operation: str | None
    account: str | None
    principal: str | None


@dataclass
class Stretch:
    """What was found from one leaf on. ``following``: where to go on, None at the end; ``broken``: what is wrong with
    the first leaf of it that does not verify."""

    found: list[FiledLeaf] = field(default_factory=list)
    following: int | None = None
    broken: str | None = None


class LogReader:
    """Reads only. ``size``: how many leaves there are, as the writer knows it."""

    def __init__(self, readers: Readers, chain: Chain, size: Callable[[], Awaitable[int]]) -> None:
        self._readers = readers
        self._chain = chain
        self._size = size

    async def of_ticket(self, ticket: str) -> list[FiledLeaf]:
        """All leaves of one ticket, in order."""
        return [_filed(row) for row in await self._readers.query(OF_TICKET, (ticket,))]

    async def newest(self, limit: int) -> list[FiledLeaf]:
        """The last leaves, in order."""
        return [_filed(row) for row in reversed(await self._readers.query(NEWEST, (limit,)))]

    async def after(self, number: int, limit: int) -> list[FiledLeaf]:
        """The leaves that follow, in order."""
        return [_filed(row) for row in await self._readers.query(AFTER, (number, limit))]

    async def verified_from(self, start: int) -> str | None:
        """Verify that from the leaf ``start`` to the end no leaf was edited, removed or moved, without looking into
        openings; answers what is wrong with the first bad one."""
        return (await self.search({}, after=start - 1, limit=0)).broken

    async def search(
        self,
        wanted: dict[str, str],
        *,
        after: int = -1,
        since: int | None = None,
        until: int | None = None,
        limit: int,
        openings: bool = False,
    ) -> Stretch:
        """The first ``limit`` leaves that fit all of ``wanted`` (names of CONDITIONS), recorded at or after ``since``
        and before ``until`` (Unix seconds); without a limit (0) none, but all is verified. ``openings``: those, too."""
        end = await self._size()
        start, stop = await self._readers.run(partial(_bounds, after + 1, end, since, until))
        stretch, openings = Stretch(), openings or not OPENED.isdisjoint(wanted)
        while start < stop and (limit == 0 or len(stretch.found) < limit):
            # Where every leaf fits, as many are looked at as are wanted.
            most = LOOKED_THROUGH_AT_ONCE if wanted or not limit else limit
            upto = min(start + most, stop)
            if stretch.broken is None:
                stretch.broken = await self._readers.run(partial(self._verify, start, upto, openings))
            if room := limit - len(stretch.found):
                stretch.found += await self._readers.run(partial(_matching, wanted, start, upto, room))
            start = upto
        if limit and len(stretch.found) == limit:
            start = stretch.found[-1].leaf.index + 1
        stretch.following = start if start < stop else None
        return stretch

    def _verify(self, start: int, upto: int, openings: bool, connection: sqlite3.Connection) -> str | None:
        try:
            rows = connection.execute(BETWEEN, (start, upto)).fetchall()
            end = self._chain.verify(rows, _mark(connection, start), openings=openings)[0]
            if end < upto:
                raise TamperDetected(f"Leaf {end} of the log is missing.", REMEDY)
        except TamperDetected as error:
            return error.happened
        return None


def _mark(connection: sqlite3.Connection, start: int) -> Mark:
    """The mark before the leaf ``start``."""
    if start == 0:
        return 0, GENESIS
    row = connection.execute("SELECT mac FROM leaf WHERE number = ?", (start - 1,)).fetchone()
    if row is None:
        raise TamperDetected(f"Leaf {start - 1} of the log is missing.", REMEDY)
    return start, row[0]


def _matching(
    wanted: dict[str, str], start: int, upto: int, limit: int, connection: sqlite3.Connection
) -> list[FiledLeaf]:
    met = ["l.number >= :start", "l.number < :upto", *(CONDITIONS[name] for name in wanted)]
    rows = connection.execute(
        f"{FILED} WHERE {' AND '.join(met)} ORDER BY l.number LIMIT :limit",
        wanted | {"start": start, "upto": upto, "limit": limit},
    )
    return [_filed(row) for row in rows]


def _bounds(
    start: int, end: int, since: int | None, until: int | None, connection: sqlite3.Connection
) -> tuple[int, int]:
    """Between which leaves to look: from the first at or after ``since`` to the first at or after ``until``."""
    if since is not None:
        start = max(start, first_at(connection, since, end))
    return start, end if until is None else first_at(connection, until, end)


def first_at(connection: sqlite3.Connection, at: int, end: int) -> int:
    """The number of the first leaf before ``end`` that was recorded at that time or later, or ``end``."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT number, body FROM leaf WHERE number >= ? ORDER BY number LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[0] < high and _time(row[1]) < at:
            low = row[0] + 1
        else:
            high = middle
    return low


def _time(body: bytes) -> int:
    found = _AT.match(body)
    return int(found[1]) if found else 0


def _filed(row: Row) -> FiledLeaf:
    return FiledLeaf(Leaf(*row[:6]), GENESIS if row[0] == 0 else row[6], *row[7:])
