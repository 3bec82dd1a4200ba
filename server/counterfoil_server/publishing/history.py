"""Whether a checkpoint that somebody else holds is of the log as it is here.

If it is not, the log was set back, cut, or made anew since it was published, or somebody shows two histories. That is
what published checkpoints are for; so it is said in words, and what shows it is never overwritten.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Protocol

from counterfoil.checkpoints import Checkpoint, NoteKey, origin_of, read_checkpoint
from counterfoil.errors import ProofRefused, TamperDetected

REMEDY = (
    "Keep that checkpoint and a copy of the state folder. Restore the newest backup; only if you restored an older"
    " database on purpose, run 'counterfoil doctor --accept-log': the log then goes on under a new name."
)
NOT_OURS = "If it does not belong to this desk, name another place in [log]. Otherwise: " + REMEDY


class Sealed(Protocol):
    """What publishing needs of the log's sealer."""

    @property
    def key(self) -> NoteKey:
        """The key that verifies the checkpoints."""

    @property
    def former(self) -> Sequence[NoteKey]:
        """The keys that did before."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest one."""

    async def root(self, size: int) -> bytes:
        """The root that the log had at this size; ``ValueError`` where it is not that large."""

    async def consistency(self, old: int, checkpoint: Checkpoint | None = None) -> tuple[list[bytes], Checkpoint]:
        """What proves that the tree of ``old`` leaves began that of the checkpoint."""

    async def proof(self, index: int) -> str:
        """The proof that a leaf is on the log."""

    async def proof_under(self, index: int, checkpoint: Checkpoint) -> str:
        """The proof that a leaf is under an earlier checkpoint."""


async def check_history(note: str, log: Sealed, place: str) -> Checkpoint:
    """The checkpoint that ``place`` holds; raises :class:`TamperDetected` unless this log began with it."""
    try:
        origin = origin_of(note)
    except ProofRefused:
        raise TamperDetected(f"{place} holds something that is no checkpoint.", NOT_OURS) from None
    if origin != log.key.name:
        raise TamperDetected(
            f"{place} holds a checkpoint of another log, {origin[:100]!r}; this one is {log.key.name}.", NOT_OURS
        )
    held = next(filter(None, (_signed_by(key, note) for key in (log.key, *log.former))), None)
    if held is None:
        raise TamperDetected(f"{place} holds a checkpoint that the log's key did not sign.", NOT_OURS)
    now = log.checkpoint.size if log.checkpoint is not None else 0
    if held.size > now:
        raise TamperDetected(
            f"{place} holds a checkpoint of {held.size} leaves, but the log has {now}: it was cut, or is an older"
            " copy.",
            REMEDY,
        )
    if not hmac.compare_digest(held.root, await log.root(held.size)):
        raise TamperDetected(
            f"{place} holds a checkpoint of {held.size} leaves that are not those of this log: there are two"
            " histories.",
            REMEDY,
        )
    return held


def _signed_by(key: NoteKey, note: str) -> Checkpoint | None:
    try:
        return read_checkpoint(note, key)
    except ProofRefused:
        return None
