"""The sealer: follows the commits, adds their leaves to the tree, and signs what it has become.

Nobody who changes a ticket waits for it. Who needs a proof asks for one and waits until the leaf is under a checkpoint.
The newest checkpoint lies in a file beside the database; whoever sets the database back to an earlier copy, cuts the
log or edits what was sealed has a log that the checkpoint does not fit, and then nothing starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from counterfoil.checkpoints import (
    LOG,
    Checkpoint,
    NoteKey,
    NoteSigner,
    read_checkpoint,
    sign_checkpoint,
    write_proof,
)
from counterfoil.errors import ProofRefused, StoreFailed, TamperDetected
from counterfoil.tlog import WIDTH, Tree
from counterfoil_server.durable_file import replace_durably
from counterfoil_server.store.chain import REMEDY
from counterfoil_server.store.sqlite import SQLiteStore

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two looks for new leaves. Whoever asks for a proof does not wait for the next."""

LOG_KEY = "log_key"
"""The setting that pins the verifier key of the log once there is a checkpoint."""

RESTORED = f"{REMEDY} If you restored an older database on purpose, run 'counterfoil doctor --accept-log'."


class Sealer:
    """Owns the tree of one store and its newest checkpoint. Made by :meth:`open`."""

    def __init__(self, store: SQLiteStore, signer: NoteSigner, file: Path) -> None:
        self._store = store
        self._signer = signer
        self._file = file
        self._tree = Tree(_no_tiles)
        self._busy = asyncio.Lock()
        self.checkpoint: Checkpoint | None = None
        self.former: Sequence[NoteKey] = ()
        """The keys that sealed this log before: what others hold of theirs has to fit it, too."""
        self.on_sealed: list[Callable[[], None]] = []
        """Called when there is a newer checkpoint, by whoever sealed it: they must not wait for anything."""
        self.whole_at = 0
        """When all that was committed was last seen under a checkpoint (Unix seconds)."""

    @property
    def key(self) -> NoteKey:
        """The key that verifies the checkpoints."""
        return self._signer.key

    @classmethod
    async def open(cls, store: SQLiteStore, signer: NoteSigner, file: Path) -> Sealer:
        """Check the log against its newest checkpoint and seal what is new; raises TamperDetected or StoreFailed."""
        sealer = cls(store, signer, file)
        await sealer._check_key()
        await sealer._check_log()
        await sealer._begin()
        return sealer

    @classmethod
    async def start_anew(cls, store: SQLiteStore, signer: NoteSigner, file: Path) -> None:
        """Seal a log that was restored on purpose as a new one, under a new name: the old one was longer, and who has
        its checkpoints must not be shown a shorter one. Its newest checkpoint is set aside, not lost."""
        if file.exists():
            aside = file.with_name(f"{file.name}.until-{store.now()}")
            await asyncio.to_thread(file.replace, aside)
        name = f"{signer.key.name.partition('/from-')[0]}/from-{store.now()}"
        await cls(store, NoteSigner.of(name, LOG, signer.private), file)._begin(anew=True)

    async def _begin(self, *, anew: bool = False) -> None:
        await self.seal()
        if anew or await self._store.setting(LOG_KEY) is None:
            await self._store.put_setting(LOG_KEY, self._signer.key.to_text())

    async def run(self) -> None:
        """Seal for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.seal()
            except (StoreFailed, ProofRefused) as error:
                logger.error("The log could not be sealed yet: %s", error)

    async def proof(self, index: int) -> str:
        """The proof that leaf ``index`` is on the log, which is sealed first if need be.

        Raises StoreFailed where it cannot be, ``ValueError`` where there is no such leaf.
        """
        if self._tree.size <= index:
            await self.seal()
        tree, checkpoint = self._now()
        path = await self._store.with_tiles(tree, lambda copied: copied.inclusion(index))
        return write_proof(index, path, checkpoint.note)

    async def proof_under(self, index: int, checkpoint: Checkpoint) -> str:
        """The proof that leaf ``index`` is under an earlier checkpoint of this log; ``ValueError`` where it is not."""
        path = await self._store.with_tiles(self._tree, lambda copied: copied.inclusion(index, checkpoint.size))
        return write_proof(index, path, checkpoint.note)

    async def root(self, size: int) -> bytes:
        """The root that the log had at this size; ``ValueError`` where it is not that large."""
        return await self._store.with_tiles(self._tree, lambda copied: copied.root(size))

    async def consistency(self, old: int, checkpoint: Checkpoint | None = None) -> tuple[list[bytes], Checkpoint]:
        """What proves that the tree of ``old`` leaves began that of the checkpoint, the newest one if none is named;
        ``ValueError`` where it did not."""
        tree, newest = self._now()
        wanted = checkpoint or newest
        if old == 0:
            return [], wanted
        return await self._store.with_tiles(tree, lambda copied: copied.consistency(old, wanted.size)), wanted

    def _now(self) -> tuple[Tree, Checkpoint]:
        if self.checkpoint is None:
            raise ValueError("nothing was sealed yet")
        return self._tree, self.checkpoint

    async def seal(self) -> None:
        """Put every leaf that is committed by now under a signed checkpoint; who waits meanwhile shares in the work.
        Raises StoreFailed, and then changes nothing."""
        committed, now = await self._store.leaf_count(), self._store.now()
        async with self._busy:
            if self.checkpoint is not None and self.checkpoint.size >= committed:
                self.whole_at = max(self.whole_at, now)
                return
            end, now = await self._store.leaf_count(), self._store.now()
            tree = await self._grown(self._tree, end)
            root = await self._store.with_tiles(tree, Tree.root)
            note = sign_checkpoint(self._signer, tree.size, root)
            try:
                await asyncio.to_thread(replace_durably, self._file, note.encode())
            except OSError as error:
                raise StoreFailed(f"The checkpoint {self._file} cannot be written: {error.strerror}.") from None
            self._tree, self.checkpoint, self.whole_at = tree, read_checkpoint(note, self._signer.key), now
        for call in self.on_sealed:
            call()

    async def verify(self) -> int:
        """Walk the whole log, chain and tree, and answer how many leaves it has; raises TamperDetected.

        What start leaves out: it trusts full tiles whose root was signed, and does not read the leaves below them.
        """
        leaves = await self._store.verify_log()
        _, checkpoint = self._now()
        tree = Tree(_no_tiles)
        while tree.size < checkpoint.size:
            for tile in tree.append(await self._store.leaf_hashes(tree.size, checkpoint.size)):
                if not await self._store.has_tile(*tile):
                    raise TamperDetected(f"A tile of the log's tree, {tile[0]}/{tile[1]}, is not what it was.", REMEDY)
        if await self._store.with_tiles(tree, Tree.root) != checkpoint.root:
            raise TamperDetected(_not_sealed(checkpoint), REMEDY)
        return leaves

    async def _grown(self, tree: Tree, end: int) -> Tree:
        """A tree with the leaves before ``end`` as well; the full tiles among them are stored."""
        grown = tree.copy()
        while grown.size < end:
            hashes = await self._store.leaf_hashes(grown.size, end)
            if not hashes:
                raise StoreFailed("The log has fewer leaves than its head says.", REMEDY)
            if tiles := grown.append(hashes):
                await self._store.add_tiles(tiles)
        return grown

    async def _check_key(self) -> None:
        pinned = await self._store.setting(LOG_KEY)
        if pinned is not None and pinned != self._signer.key.to_text():
            raise TamperDetected("The key that seals the log is not the one that sealed it before.", REMEDY)
        if pinned is not None and not self._file.exists():
            raise TamperDetected(f"The log's newest checkpoint, {self._file}, is missing.", RESTORED)

    async def _check_log(self) -> None:
        """The tree as it was sealed; raises TamperDetected unless the stored log still begins with it."""
        if not self._file.exists():
            return
        try:
            note = self._file.read_text(encoding="utf-8")
            checkpoint = read_checkpoint(note, self._signer.key)
            leaves = await self._store.leaf_count()
            if checkpoint.size > leaves:
                raise TamperDetected(
                    f"The log has {leaves} leaves, but {checkpoint.size} were sealed: it was cut, or is an older copy.",
                    RESTORED,
                )
            tree = await self._store.with_tiles(self._tree, lambda empty: _restored(empty, checkpoint.size))
            tree = await self._grown(tree, checkpoint.size)
            root = await self._store.with_tiles(tree, Tree.root)
            if root != checkpoint.root:
                raise TamperDetected(_not_sealed(checkpoint), REMEDY)
        except UnicodeDecodeError:
            raise TamperDetected("The log's checkpoint is not readable.", REMEDY) from None
        except ProofRefused as error:
            raise TamperDetected(error.happened, REMEDY) from None
        self._tree, self.checkpoint = tree, checkpoint


def _not_sealed(checkpoint: Checkpoint) -> str:
    return f"The first {checkpoint.size} leaves of the log are not those that were sealed."


def _restored(empty: Tree, size: int) -> Tree:
    empty.restore(size - size % WIDTH)
    return empty.copy(_no_tiles)


def _no_tiles(level: int, number: int) -> list[bytes]:
    raise ProofRefused(f"The tile {number} of level {level} was not to be read here.")
