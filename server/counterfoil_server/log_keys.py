"""The key that seals the log, and how another one takes its place.

The tree and the log's name go on; only who signs changes. A leaf names the new key, the old key signs a checkpoint over
that leaf, its last, and the new key signs the very same one: whoever followed the old key so gets to the new one. The
note with both signatures is what decides. The database pins another key only where the pinned one signed it too, so a
replacement that is cut short anywhere goes on as before, or is finished at the next opening.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from counterfoil import leaves
from counterfoil.checkpoints import LOG, FormerKey, NoteKey, NoteSigner, hand_over, read_checkpoint
from counterfoil.errors import ProofRefused, StoreFailed
from counterfoil_server import key_files
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import LOG_KEY, Sealer


@dataclass(frozen=True)
class Replaced:
    """The verifier keys of now and before, and the size of the last checkpoint that the former one signed."""

    key: str
    former: str
    size: int


async def replace(store: SQLiteStore, sealer: Sealer, state: Path, *, stolen: bool) -> Replaced:
    """Let a fresh key seal the store's log from now on. ``state``: the folder with its keys and its checkpoint;
    ``stolen``: no former key is named to auditors any more.

    Raises StoreFailed, and then the former key goes on.
    """
    old = sealer.key
    try:
        private = await asyncio.to_thread(key_files.next_log_key, state / "keys")
        fresh = NoteSigner.of(old.name, LOG, private)
        leaf = leaves.administered(leaves.LOG_KEY, key=fresh.key.to_text(), former=old.to_text(), stolen=stolen)
        await store.append_leaf(leaf)
        await sealer.seal()
        last = sealer.checkpoint
        assert last is not None  # noqa: S101 - it has just been sealed
        both = hand_over(last, fresh)
        await asyncio.to_thread(key_files.replace_private, state / key_files.CHECKPOINT, both.encode())
        known = [each for each in key_files.former_log_keys(state / "keys") if each.key != old]
        former = [*known, FormerKey(old, last.size)]
        if stolen:  # it cannot be told which of what they signed is genuine
            former = [FormerKey(each.key, 0) for each in former]
        await asyncio.to_thread(key_files.keep_log_key, state / "keys", former)
    except OSError as error:
        raise StoreFailed(f"The log's key could not be replaced: {error.strerror}. The former one goes on.") from None
    await adopt(store, fresh, state / key_files.CHECKPOINT)
    return Replaced(fresh.key.to_text(), old.to_text(), last.size)


async def adopt(store: SQLiteStore, signer: NoteSigner, file: Path) -> None:
    """Pin the key that seals now, if the one that is pinned handed the log over to it; otherwise change nothing."""
    pinned = await store.setting(LOG_KEY)
    if pinned is None or pinned == signer.key.to_text() or not file.exists():
        return
    try:
        note = file.read_text(encoding="utf-8")
        for key in (NoteKey.from_text(pinned), signer.key):
            read_checkpoint(note, key)
    except (ProofRefused, UnicodeDecodeError):
        return  # the sealer says what is wrong
    await store.put_setting(LOG_KEY, signer.key.to_text())
