"""The Merkle tree over the log's leaves, and what proves that something is in it (RFC 6962, section 2.1).

The tree is kept as tiles of 32 hashes (as in https://c2sp.org/tlog-tiles, but narrower): a tile of level 0 holds
leaves' hashes, one of level ``n`` the roots of full tiles of level ``n - 1``. Full tiles never change; of each level
the one that is not full yet is its *edge*. A proof reads and folds one tile of each level, so narrow tiles keep it
short. Everything here is a function of tiles and sizes. Who signs a root is said in ``checkpoints.py``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from counterfoil.errors import ProofRefused

HEIGHT = 5
WIDTH = 1 << HEIGHT
HASH = 32
MAX_SIZE = 1 << 62

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Tile = Sequence[bytes]
ReadTile = Callable[[int, int], Tile]
"""Level and number of a full tile -> its 32 hashes."""


def leaf_hash(body: bytes) -> bytes:
    """What stands for a leaf in the tree."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """What stands for two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Tile) -> bytes:
    """The root over a power of two of hashes."""
    row = list(hashes)
    sha256 = hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + row[place] + row[place + 1]).digest() for place in range(0, len(row), 2)]
    return row[0]


class Tree:
    """A tree of so many leaves: its edges, and a way to read its full tiles.

    It grows by :meth:`append`; a :meth:`copy` of it goes on answering for its own size.
    """

    def __init__(self, read: ReadTile) -> None:
        self._read = read
        self._edges: list[list[bytes]] = [[]]
        self.size = 0

    def copy(self, read: ReadTile | None = None) -> Tree:
        """The same tree, on its own; ``read`` gives it another way to read tiles."""
        copied = Tree(read or self._read)
        copied._edges, copied.size = [list(edge) for edge in self._edges], self.size
        return copied

    def append(self, hashes: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Add leaves' hashes; answers the tiles that became full, as level, number and bytes."""
        full: list[tuple[int, int, bytes]] = []
        begin = 0
        while begin < len(hashes):
            part = hashes[begin : begin + WIDTH - len(self._edges[0])]
            self._edges[0].extend(part)
            self.size += len(part)
            begin += len(part)
            level = 0
            while len(self._edges[level]) == WIDTH:
                number = (self.size >> HEIGHT * (level + 1)) - 1
                full.append((level, number, b"".join(self._edges[level])))
                if len(self._edges) == level + 1:
                    self._edges.append([])
                self._edges[level + 1].append(fold(self._edges[level]))
                self._edges[level] = []
                level += 1
        return full

    def restore(self, size: int) -> None:
        """Take the edges of a tree of ``size``, a whole number of tiles, from the full tiles."""
        if size % WIDTH:
            raise ValueError("only whole tiles can be restored")
        self._edges, self.size = [[]], size
        level, count = 1, size >> HEIGHT
        while count:
            first = count >> HEIGHT << HEIGHT
            self._edges.append([fold(self._read(level - 1, number)) for number in range(first, count)])
            level, count = level + 1, count >> HEIGHT

    def root(self, size: int | None = None) -> bytes:
        """The root over the first ``size`` leaves, all of them by default."""
        end = self._within(self.size if size is None else size)
        return self._subtree(0, end) if end else EMPTY

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path of a leaf in the tree of the first ``size`` leaves; ``ValueError`` where it has none."""
        end = self._within(self.size if size is None else size)
        if not 0 <= index < end:
            raise ValueError("there is no such leaf")
        path: list[bytes] = []
        begin = 0
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(begin, middle))
                begin = middle
        return path[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """What proves that the tree of ``old`` leaves, at least one, is the beginning of the tree of ``size``."""
        end = self._within(self.size if size is None else size)
        if not 0 < old <= end:
            raise ValueError("there was no such tree")
        proof: list[bytes] = []
        begin, whole = 0, True
        while old < end:
            middle = begin + _split(end - begin)
            if old <= middle:
                proof.append(self._subtree(middle, end))
                end = middle
            else:
                proof.append(self._subtree(begin, middle))
                begin, whole = middle, False
        if not whole:
            proof.append(self._subtree(begin, end))
        return proof[::-1]

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError("the tree is not that large")
        return size

    def _subtree(self, begin: int, end: int) -> bytes:
        """The root over a subtree as RFC 6962 splits them."""
        count = end - begin
        if count & (count - 1) == 0:
            return self._complete(count.bit_length() - 1, begin)
        middle = begin + _split(count)
        return node_hash(self._subtree(begin, middle), self._subtree(middle, end))

    def _complete(self, height: int, begin: int) -> bytes:
        """The root over ``2 ** height`` leaves, the first of which is ``begin``."""
        level, above = divmod(height, HEIGHT)
        place = begin >> HEIGHT * level
        number, offset = divmod(place, WIDTH)
        is_full = number < self.size >> HEIGHT * (level + 1)
        tile = self._read(level, number) if is_full else self._edges[level]
        return fold(tile[offset : offset + (1 << above)])


def read_tile(content: bytes) -> Tile:
    """The hashes of a stored tile; raises :class:`ProofRefused` unless there are 32."""
    if len(content) != WIDTH * HASH:
        raise ProofRefused("A stored tile of the log's tree has a wrong length.")
    return [content[begin : begin + HASH] for begin in range(0, len(content), HASH)]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise :class:`ProofRefused` unless the path leads from the leaf's hash to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE or any(len(each) != HASH for each in path):
        raise ProofRefused("The proof names no leaf of its tree.")
    found, place, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise ProofRefused("The proof is longer than its tree is high.")
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last or not hmac.compare_digest(found, root):
        raise ProofRefused("The proof does not lead from the leaf to the root that was signed.")


def check_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise :class:`ProofRefused` unless the first tree is the beginning of the second (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= size <= MAX_SIZE or any(len(each) != HASH for each in proof):
        raise ProofRefused("The proof is not about these trees.")
    if old in (0, size):
        if proof or not hmac.compare_digest(old_root, root if old == size else EMPTY):
            raise ProofRefused("The two trees are not consistent.")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofRefused("The proof is too short.")
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("The proof is longer than its tree is high.")
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        place, last = place >> 1, last >> 1
    if last or not (hmac.compare_digest(first, old_root) and hmac.compare_digest(second, root)):
        raise ProofRefused("The log was not only appended to: the two trees are not consistent.")


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1
