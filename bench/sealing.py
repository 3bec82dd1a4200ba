"""Sealing the log and proving what is on it, in process, over a store's own file.

``seal_ratio``: leaves sealed in a second (read, hashed, put into tiles that are stored, the root signed and written
durably) over leaves hashed in a second from memory. ``proof_growth``: the time of one leaf's proof out of ten million
over that out of ten thousand. The large tree repeats one tile: a proof reads and hashes as much of it as of any other.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from operator import methodcaller
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterfoil.checkpoints import LOG, NoteSigner, sign_checkpoint, write_proof
from counterfoil.log import LeafDraft
from counterfoil.tlog import Tree, leaf_hash
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer

KEY = b"b" * 32
SIGNER = NoteSigner.of("bench.example/log", LOG, Ed25519PrivateKey.generate())
SEALED = 20_000
ROUNDS = 5
SMALL, LARGE = 10_000, 10_000_000
PROOFS = 300
APART = 7919
"""A prime: the leaves that are proven lie all over the tree."""


async def measure() -> dict[str, float]:
    """seal_ratio, proof_growth."""
    with tempfile.TemporaryDirectory() as name:
        return {"seal_ratio": await seal_ratio(Path(name)), "proof_growth": await proof_growth(Path(name))}


async def seal_ratio(folder: Path) -> float:
    """Measured in turn; each round seals leaves that came since the last."""
    ratios: list[float] = []
    async with SQLiteStore.open(folder / "sealed.db", log_key=KEY) as store:
        sealer = await Sealer.open(store, SIGNER, folder / "checkpoint")
        draft = LeafDraft("request", "cf_bench", {"envelope": "e" * 43, "principal": "agent", "operation": "refund"})
        for number in range(ROUNDS):
            for _ in range(SEALED // 1000):
                await asyncio.gather(*(store.append_leaf(draft) for _ in range(1000)))
            leaves = await store.leaves(after=number * SEALED - 1, limit=SEALED)
            begun = time.perf_counter()
            for leaf in leaves:
                leaf_hash(leaf.body)
            between = time.perf_counter()
            await sealer.seal()
            ratios.append((between - begun) / (time.perf_counter() - between))
    return statistics.median(ratios)


async def proof_growth(folder: Path) -> float:
    """Measured in turn, leaf by leaf."""
    async with (
        SQLiteStore.open(folder / "small.db", log_key=KEY) as few,
        SQLiteStore.open(folder / "large.db", log_key=KEY) as many,
    ):
        trees = [(few, await _tree(few, SMALL)), (many, await _tree(many, LARGE))]
        notes = [sign_checkpoint(SIGNER, tree.size, bytes(32)) for _, tree in trees]
        times: list[list[float]] = [[], []]
        for number in range(1, PROOFS + 1):
            for which, (store, tree) in enumerate(trees):
                index = number * APART * tree.size // PROOFS % tree.size
                begun = time.perf_counter()
                write_proof(index, await store.with_tiles(tree, methodcaller("inclusion", index)), notes[which])
                times[which].append(time.perf_counter() - begun)
    small, large = (statistics.median(each[PROOFS // 10 :]) for each in times)
    return large / small


async def _tree(store: SQLiteStore, size: int) -> Tree:
    """A tree of so many leaves, its full tiles in the store."""
    tree = Tree(lambda level, number: [])
    hashes = [leaf_hash(number.to_bytes(2, "big")) for number in range(2560)]
    while tree.size < size:
        await store.add_tiles(tree.append(hashes[: size - tree.size]))
    return tree
