"""The tree against its definition, and proofs that must not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.errors import ProofRefused
from counterfoil.tlog import (
    EMPTY,
    HASH,
    WIDTH,
    Tree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
    read_tile,
)

HASHES = [leaf_hash(f"leaf {number}".encode()) for number in range(WIDTH * 3 + 5)]
SIZES = st.integers(1, len(HASHES))


def defined(hashes: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return node_hash(defined(hashes[:half]), defined(hashes[half:]))


def grown(hashes: list[bytes], steps: list[int] | None = None) -> tuple[Tree, dict[tuple[int, int], bytes]]:
    """A tree that grew by so many leaves at a time, the rest at once; and its full tiles."""
    tiles: dict[tuple[int, int], bytes] = {}
    tree = Tree(lambda level, number: read_tile(tiles[level, number]))
    begin = 0
    for count in [*(steps or []), len(hashes)]:
        for level, number, content in tree.append(hashes[begin : begin + count]):
            assert (level, number) not in tiles
            tiles[level, number] = content
        begin += count
    return tree, tiles


WHOLE, TILES = grown(HASHES)


@given(st.lists(st.integers(0, 300), max_size=6), SIZES)
def test_a_tree_has_the_root_of_its_definition_however_it_grew(steps: list[int], size: int) -> None:
    tree, tiles = grown(HASHES[:size], steps)
    assert (tree.size, tree.root()) == (size, defined(HASHES[:size]))
    assert tiles == {place: content for place, content in TILES.items() if (place[1] + 1) * WIDTH <= size}


@given(st.data())
def test_every_leaf_of_every_tree_is_proven(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    check_inclusion(HASHES[index], index, size, WHOLE.inclusion(index, size), defined(HASHES[:size]))


@given(st.data())
def test_every_tree_is_proven_to_begin_every_later_one(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    old = data.draw(st.integers(1, size))
    proof = WHOLE.consistency(old, size)
    check_consistency(old, defined(HASHES[:old]), size, defined(HASHES[:size]), proof)


@given(st.data())
def test_a_changed_proof_of_inclusion_is_refused(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    root, path = defined(HASHES[:size]), WHOLE.inclusion(index, size)
    wrong = [(leaf_hash(b"another"), index, size, path, root), (HASHES[index], index, size, path, bytes(HASH))]
    wrong += [(HASHES[index], index, size, [*path, bytes(HASH)], root), (HASHES[index], size, size, path, root)]
    wrong += [(HASHES[index], index, size, [bytes(HASH), *path[1:]], root)] if path else []
    wrong += [(HASHES[index], index, size, path[:-1], root), (HASHES[index], index, size, [b"", *path[1:]], root)] * (
        len(path) > 0
    )
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index)) if size > 1 else index + 1
    wrong += [(HASHES[index], other, size, path, root)]
    for leaf, place, count, given_path, given_root in wrong:
        with pytest.raises(ProofRefused):
            check_inclusion(leaf, place, count, given_path, given_root)


@given(st.data())
def test_a_log_that_was_not_only_appended_to_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, len(HASHES)))
    old = data.draw(st.integers(1, size))
    proof, roots = WHOLE.consistency(old, size), (defined(HASHES[:old]), defined(HASHES[:size]))
    edited = list(HASHES[:old])
    edited[data.draw(st.integers(0, old - 1))] = leaf_hash(b"edited")
    wrong = [(old, defined(edited), size, roots[1], proof), (old, roots[0], size, bytes(HASH), proof)]
    wrong += [(old, roots[0], size, roots[1], [*proof, bytes(HASH)]), (size + 1, roots[0], size, roots[1], proof)]
    wrong += [(old, roots[0], size, roots[1], proof[:-1])] if proof else []
    for count, first, later, second, given_proof in wrong:
        with pytest.raises(ProofRefused):
            check_consistency(count, first, later, second, given_proof)


def test_the_empty_tree_begins_every_tree() -> None:
    check_consistency(0, EMPTY, 5, defined(HASHES[:5]), [])
    with pytest.raises(ProofRefused):
        check_consistency(0, bytes(HASH), 5, defined(HASHES[:5]), [])
    assert Tree(lambda level, number: []).root() == EMPTY


@pytest.mark.parametrize("tiles", [0, 1, 3])
def test_a_tree_is_restored_from_its_full_tiles(tiles: int) -> None:
    size = tiles * WIDTH
    restored = Tree(lambda level, number: read_tile(TILES[level, number]))
    restored.restore(size)
    assert (restored.size, restored.root()) == (size, defined(HASHES[:size]))
    restored.append(HASHES[size:])
    assert restored.root() == WHOLE.root()
    with pytest.raises(ValueError, match="whole tiles"):
        restored.restore(size + 1)


def test_a_copy_goes_on_answering_for_its_own_size() -> None:
    tree, _ = grown(HASHES[:10])
    copied = tree.copy()
    tree.append(HASHES[10:20])
    assert (copied.size, copied.root()) == (10, defined(HASHES[:10]))


def test_what_is_not_in_the_tree_is_not_asked_for() -> None:
    tree, _ = grown(HASHES[:10])
    for wrong in (lambda: tree.inclusion(10), lambda: tree.inclusion(-1), lambda: tree.root(11)):
        with pytest.raises(ValueError, match=r"no such leaf|not that large"):
            wrong()
    for old, size in ((0, 10), (11, 10), (3, 2)):
        with pytest.raises(ValueError, match=r"no such tree|not that large"):
            tree.consistency(old, size)
    with pytest.raises(ProofRefused, match="wrong length"):
        read_tile(b"short")
