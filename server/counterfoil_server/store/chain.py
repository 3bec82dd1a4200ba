"""The end of the log, kept in memory by the one writer, and its verification.

The chain of MACs shows edits and gaps; that nothing was cut off its end is shown by the ``head`` row, which holds the
number of leaves and the highest time under a seal made with the same key: whoever could put the clock forward there
would end every hold. (Setting the whole file back to an earlier copy is what the
executor's own ledger is for.)
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable

from counterfoil.errors import TamperDetected
from counterfoil.log import GENESIS, Leaf, LeafDraft, check_link, is_filed_as_recorded, keyed_mac, opens, seal

LEAF_COLUMNS = "number, body, mac, opening, ticket, event"
INSERT_LEAF = "INSERT INTO leaf (number, body, mac, opening, ticket, event) VALUES (?, ?, ?, ?, ?, ?)"
REMEDY = "Stop Counterfoil, keep a copy of the state folder, and restore it with its keys from a backup."

LeafRow = tuple[int, bytes, bytes, bytes | None, str | None, str]
Mark = tuple[int, bytes]
"""How many leaves there are, and the MAC of the last."""


class Chain:
    """Where the next leaf goes, and the sealed leaves of the open transaction, which are inserted together.

    What rolls back sets it back to a :attr:`mark` taken before.
    """

    __slots__ = ("_key", "_sealed", "mark")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sealed: list[LeafRow] = []
        self.mark: Mark = (0, GENESIS)

    def append(self, draft: LeafDraft, at: int) -> int:
        """Seal the draft; answers its index."""
        number, previous = self.mark
        body, mac = seal(draft, index=number, at=at, previous=previous, key=self._key)
        self._sealed.append((number, body, mac, draft.opening, draft.ticket, draft.event))
        self.mark = (number + 1, mac)
        return number

    def go_back(self, mark: Mark) -> None:
        """Forget what was sealed after ``mark``."""
        kept = len(self._sealed) - (self.mark[0] - mark[0])
        del self._sealed[max(kept, 0) :]
        self.mark = mark

    def insert(self, connection: sqlite3.Connection) -> None:
        """Write the sealed leaves into the open transaction."""
        connection.executemany(INSERT_LEAF, self._sealed)
        self._sealed.clear()

    def head_seal(self, clock: int) -> bytes:
        """What proves that the log ends at :attr:`mark`, and that ``clock`` (Unix seconds) was the highest time."""
        leaves, mac = self.mark
        return keyed_mac(self._key, "counterfoil-log-head", b"%d %d %b" % (leaves, clock, mac))

    def load(self, connection: sqlite3.Connection) -> int:
        """Read the end of the log and answer the highest time (Unix seconds) that was written with it.

        Raises TamperDetected unless both are sealed and the end follows from what precedes.
        """
        rows = connection.execute(f"SELECT {LEAF_COLUMNS} FROM leaf ORDER BY number DESC LIMIT 2").fetchall()  # noqa: S608
        leaves, head_seal, clock = connection.execute("SELECT leaves, seal, clock FROM head").fetchone()
        if rows:
            last = Leaf(*rows[0])
            check_link(last, Leaf(*rows[1]).mac if len(rows) == 2 else GENESIS, self._key)
            self.mark = (last.index + 1, last.mac)
        untouched = (leaves, head_seal, clock) == (0, None, 0)
        if leaves != self.mark[0] or not (
            untouched or hmac.compare_digest(self.head_seal(int(clock)), head_seal or b"")
        ):
            raise TamperDetected(
                f"The log has {self.mark[0]} leaves; that, or the time, is not what its seal says of its end.", REMEDY
            )
        return int(clock)

    def verify(self, rows: Iterable[LeafRow], mark: Mark, *, openings: bool = True) -> Mark:
        """Check the leaves that follow ``mark`` and answer the mark after them; raises naming the first bad leaf.

        To look into the ``openings`` too takes ten times as long.
        """
        number, previous = mark
        for row in rows:
            leaf = Leaf(*row)
            if leaf.index != number:
                raise TamperDetected(f"Leaf {number} of the log is missing.", REMEDY)
            check_link(leaf, previous, self._key)
            if not is_filed_as_recorded(leaf):
                raise TamperDetected(f"Leaf {number} of the log is filed under another ticket or event.", REMEDY)
            if openings and leaf.opening is not None and not opens(leaf.opening, leaf.values["groups"]):
                raise TamperDetected(f"The opening of leaf {number} of the log is not what was recorded.", REMEDY)
            number, previous = number + 1, leaf.mac
        return number, previous
