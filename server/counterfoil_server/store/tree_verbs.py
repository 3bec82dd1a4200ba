"""The tiles of the log's tree, and proofs that are made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeVar

from counterfoil.tlog import Tile, Tree, leaf_hash, read_tile
from counterfoil_server.store.verbs import Verbs

T = TypeVar("T")

HASHED_AT_ONCE = 4096
"""Leaves per chunk: others that read get their turn in between."""

Tiles = Sequence[tuple[int, int, bytes]]
"""Level, number and hashes of each."""


class TreeVerbs(Verbs):
    """What the sealer asks of the store."""

    async def leaf_count(self) -> int:
        """How many leaves are committed."""
        return int(self._readers.lookup("SELECT leaves FROM head")[0][0])

    async def leaf_hashes(self, first: int, end: int) -> list[bytes]:
        """The tree's hashes of the leaves from ``first`` on and before ``end``; of no more than a chunk."""
        count = min(end - first, HASHED_AT_ONCE)
        return await self._readers.run(partial(_hashes, first, count))

    async def add_tiles(self, tiles: Tiles) -> None:
        """Keep full tiles."""
        await self._write(
            lambda transaction: transaction.change_many(
                "INSERT INTO tile (level, number, hashes) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET hashes = excluded.hashes",
                tiles,
            )
        )

    async def has_tile(self, level: int, number: int, hashes: bytes) -> bool:
        """Whether exactly this tile is stored."""
        sql = "SELECT 1 FROM tile WHERE level = ? AND number = ? AND hashes = ?"
        return bool(await self._readers.query(sql, (level, number, hashes)))

    async def with_tiles(self, tree: Tree, work: Callable[[Tree], T]) -> T:
        """Run ``work`` in the reader's thread, with a copy of the tree that reads stored tiles there, each once."""
        return await self._readers.run(lambda connection: work(tree.copy(cache(partial(_tile, connection)))))


def _hashes(first: int, count: int, connection: sqlite3.Connection) -> list[bytes]:
    rows = connection.execute("SELECT body FROM leaf WHERE number >= ? ORDER BY number LIMIT ?", (first, count))
    return [leaf_hash(body) for (body,) in rows]


def _tile(connection: sqlite3.Connection, level: int, number: int) -> Tile:
    row = connection.execute("SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)).fetchone()
    return read_tile(row[0] if row else b"")
