"""The log under its seal: who notices which edit of it, and that sealing goes on where it was interrupted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from capabilities.world import LOG_KEY
from counterfoil.checkpoints import LOG, NoteSigner, check_proof, read_checkpoint
from counterfoil.errors import ProofRefused, StoreFailed, TamperDetected
from counterfoil.log import chain_mac
from counterfoil.tlog import WIDTH, Tree, check_consistency
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer
from server.store.world import leaf

pytestmark = pytest.mark.anyio

SIGNER = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.from_private_bytes(b"l" * 32))


def opened(folder: Path) -> SQLiteStore:
    return SQLiteStore.open(folder / "store.db", log_key=LOG_KEY)


async def filled(folder: Path, leaves: int, event: str = "event") -> None:
    """A store with so many leaves, sealed."""
    async with opened(folder) as store:
        await Sealer.open(store, SIGNER, folder / "checkpoint")
        for _ in range(leaves - await store.leaf_count()):
            await store.append_leaf(leaf(event))
        await Sealer.open(store, SIGNER, folder / "checkpoint")


def size_in(folder: Path) -> int:
    return read_checkpoint((folder / "checkpoint").read_text(), SIGNER.key).size


async def test_every_leaf_is_proven_as_soon_as_somebody_asks(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        for number in range(WIDTH + 2):
            found = await store.append_leaf(leaf("event"))
            if number % 50 == 0:
                assert check_proof(await sealing.proof(found.index), found.body, SIGNER.key)[0] == found.index
        await sealing.seal()
        for found in await store.leaves():
            index, checkpoint = check_proof(await sealing.proof(found.index), found.body, SIGNER.key)
            assert (index, checkpoint.size) == (found.index, WIDTH + 2)
        with pytest.raises(ValueError, match="no such leaf"):
            await sealing.proof(WIDTH + 2)


async def test_a_new_process_goes_on_where_the_last_one_sealed(tmp_path: Path) -> None:
    sizes = [3, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH]
    seen = []
    for size in sizes:
        await filled(tmp_path, size)
        assert size_in(tmp_path) == size
        seen.append(read_checkpoint((tmp_path / "checkpoint").read_text(), SIGNER.key))
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        for before in seen:
            proof, now = await sealing.consistency(before.size)
            check_consistency(before.size, before.root, now.size, now.root, proof)


async def test_a_store_of_before_there_were_seals_gets_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for _ in range(5):
            await store.append_leaf(leaf("event"))
    await filled(tmp_path, 5)
    assert size_in(tmp_path) == 5


def changed(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0


def older_copy(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "store.db")) as source, closing(sqlite3.connect(folder / "old")) as target:
        source.backup(target)


EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a sealed leaf in the last tile": (
        lambda folder: changed(
            folder, f"UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = {WIDTH + 1}"
        ),
        "are not those that were sealed",
    ),
    "two leaves change places": (
        lambda folder: changed(
            folder,
            f"UPDATE leaf SET number = -1 WHERE number = {WIDTH}",
            f"UPDATE leaf SET number = {WIDTH} WHERE number = {WIDTH + 1}",
            f"UPDATE leaf SET number = {WIDTH + 1} WHERE number = -1",
        ),
        "are not those that were sealed",
    ),
    "a stored tile": (
        lambda folder: changed(folder, "UPDATE tile SET hashes = CAST(x'00' || substr(hashes, 2) AS BLOB)"),
        "are not those that were sealed",
    ),
    "a stored tile is cut": (
        lambda folder: changed(folder, "UPDATE tile SET hashes = substr(hashes, 2)"),
        "wrong length",
    ),
    "the stored tiles are gone": (lambda folder: changed(folder, "DELETE FROM tile"), "wrong length"),
    "the checkpoint is of another root": (
        lambda folder: (folder / "checkpoint").write_text(
            (folder / "checkpoint").read_text().replace(f"\n{WIDTH + 4}\n", f"\n{WIDTH + 3}\n")
        ),
        "not signed by the key",
    ),
    "the checkpoint is cut": (
        lambda folder: (folder / "checkpoint").write_text("desk.example/log\n"),
        "no signed note",
    ),
    "the checkpoint is no text": (lambda folder: (folder / "checkpoint").write_bytes(b"\xff\xff"), "not readable"),
    "the checkpoint is gone": (lambda folder: (folder / "checkpoint").unlink(), "is missing"),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_T40_a_log_that_is_not_what_was_sealed_is_not_opened(tmp_path: Path, edit: str) -> None:
    await filled(tmp_path, WIDTH + 4)
    change, words = EDITS[edit]
    change(tmp_path)
    async with opened(tmp_path) as store:
        with pytest.raises(TamperDetected, match=words):
            await Sealer.open(store, SIGNER, tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE leaf SET body = CAST(body || x'20' AS BLOB) WHERE number = 3", "does not follow"),
        ("UPDATE tile SET hashes = CAST(x'00' || substr(hashes, 2) AS BLOB)", "A tile of the log's tree, 0/0"),
    ],
)
async def test_T40_an_edit_deep_in_the_log_is_found_by_whoever_reads_all_of_it(
    tmp_path: Path, statement: str, words: str
) -> None:
    await filled(tmp_path, WIDTH + 4)
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        assert await sealing.verify() == WIDTH + 4
        changed(tmp_path, statement)
        with pytest.raises(TamperDetected, match=words):
            await sealing.verify()


async def test_T40_a_chain_made_anew_with_its_key_is_found_by_the_seal(tmp_path: Path) -> None:
    await filled(tmp_path, 5)
    rewritten = tmp_path / "rewritten"
    rewritten.mkdir()
    await filled(rewritten, 5, "other")
    (tmp_path / "checkpoint").replace(rewritten / "checkpoint")
    async with opened(rewritten) as store:
        assert await store.verify_log() == 5
        with pytest.raises(TamperDetected, match="are not those that were sealed"):
            await Sealer.open(store, SIGNER, rewritten / "checkpoint")


async def test_T40_a_last_leaf_made_anew_with_the_chains_key_is_found_by_doctor(tmp_path: Path) -> None:
    await filled(tmp_path, 5)
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        before, last = (await store.leaves())[-2:]
        body = last.body.replace(b'{"at":1', b'{"at":2')
        mac = chain_mac(LOG_KEY, before.mac, body)
        changed(tmp_path, f"UPDATE leaf SET body = x'{body.hex()}', mac = x'{mac.hex()}' WHERE number = 4")
        assert await store.verify_log() == 5
        with pytest.raises(TamperDetected, match="are not those that were sealed"):
            await sealing.verify()


async def test_T49_a_database_set_back_to_an_older_copy_is_not_opened(tmp_path: Path) -> None:
    await filled(tmp_path, 4)
    older_copy(tmp_path)
    await filled(tmp_path, 6)
    for name in ("store.db-wal", "store.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "old").replace(tmp_path / "store.db")
    async with opened(tmp_path) as store:
        with pytest.raises(TamperDetected, match="4 leaves, but 6 were sealed"):
            await Sealer.open(store, SIGNER, tmp_path / "checkpoint")


async def test_a_database_restored_without_its_checkpoint_is_told_how_it_is_accepted(tmp_path: Path) -> None:
    await filled(tmp_path, 4)
    (tmp_path / "checkpoint").unlink()
    async with opened(tmp_path) as store:
        with pytest.raises(TamperDetected) as refused:
            await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        assert "doctor --accept-log" in (refused.value.remedy or "")
        await Sealer.start_anew(store, SIGNER, tmp_path / "checkpoint")
        assert (tmp_path / "checkpoint").read_text().startswith("desk.example/log/from-")


async def test_T49_another_key_seals_nothing(tmp_path: Path) -> None:
    await filled(tmp_path, 4)
    (tmp_path / "checkpoint").unlink()
    thief = NoteSigner.of("desk.example/log", LOG, Ed25519PrivateKey.generate())
    async with opened(tmp_path) as store:
        with pytest.raises(TamperDetected, match="not the one that sealed it before"):
            await Sealer.open(store, thief, tmp_path / "checkpoint")


async def test_a_checkpoint_that_cannot_be_written_changes_nothing_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        found = await store.append_leaf(leaf("event"))

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            with pytest.raises(StoreFailed, match="cannot be written: No space left"):
                await sealing.proof(found.index)
        assert size_in(tmp_path) == 0
        assert check_proof(await sealing.proof(found.index), found.body, SIGNER.key)[0] == found.index
        assert size_in(tmp_path) == 1


async def test_whoever_wants_to_know_is_told_of_each_new_checkpoint(tmp_path: Path) -> None:
    told: list[int] = []
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        sealing.on_sealed.append(lambda: told.append(size_in(tmp_path)))
        await store.append_leaf(leaf("event"))
        await sealing.seal()
        await sealing.seal()
        await store.append_leaf(leaf("event"))
        await sealing.seal()
    assert told == [1, 2]


async def test_a_leaf_is_proven_under_an_earlier_checkpoint_too(tmp_path: Path) -> None:
    await filled(tmp_path, WIDTH + 3)
    earlier = read_checkpoint((tmp_path / "checkpoint").read_text(), SIGNER.key)
    await filled(tmp_path, 2 * WIDTH + 1)
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        assert await sealing.root(earlier.size) == earlier.root
        found = (await store.leaves(after=WIDTH, limit=1))[0]
        proof = await sealing.proof_under(found.index, earlier)
        assert check_proof(proof, found.body, SIGNER.key) == (found.index, earlier)
        for work in (sealing.proof_under(WIDTH + 3, earlier), sealing.root(2 * WIDTH + 2)):
            with pytest.raises(ValueError, match=r"no such leaf|not that large"):
                await work


async def test_what_was_never_sealed_is_proven_to_nobody(tmp_path: Path) -> None:
    await filled(tmp_path, 2)
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        [first] = await store.leaves(limit=1)
        with pytest.raises(ProofRefused, match="does not lead"):
            check_proof(await sealing.proof(1), first.body, SIGNER.key)


async def test_those_who_wait_for_the_same_leaves_are_served_by_one_sealing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed meanwhile was not asked for by any of them."""
    async with opened(tmp_path) as store:
        sealing = await Sealer.open(store, SIGNER, tmp_path / "checkpoint")
        grown, sealings = sealing._grown, 0
        counted, asked, everybody = store.leaf_count, 0, asyncio.Event()

        async def count() -> int:
            nonlocal asked
            asked += 1
            if asked == 1 + 10:  # the first asks twice
                everybody.set()
            return await counted()

        async def while_others_commit(tree: Tree, end: int) -> Tree:
            nonlocal sealings
            sealings += 1
            await everybody.wait()
            await store.append_leaf(leaf("event"))
            return await grown(tree, end)

        monkeypatch.setattr(sealing, "_grown", while_others_commit)
        await store.append_leaf(leaf("event"))
        monkeypatch.setattr(store, "leaf_count", count)
        await asyncio.gather(*(sealing.seal() for _ in range(10)))
        assert sealings == 1
        await sealing.seal()
        assert sealings == 2
