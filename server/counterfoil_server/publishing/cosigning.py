"""Asking one witness for its cosignature (https://c2sp.org/tlog-witness)."""

from __future__ import annotations

import httpx2

from counterfoil.checkpoints import SIZE, Checkpoint, NoteKey, add_cosignature
from counterfoil.errors import ProofRefused, TamperDetected
from counterfoil.witness import CONFLICT, NOT_CONSISTENT, write_submission
from counterfoil_server.publishing.history import REMEDY, Sealed
from counterfoil_server.publishing.http import send

TRIES = 3
"""Others may have brought the witness a newer checkpoint in between."""


class Witness:
    """A witness at an address, by its key."""

    def __init__(self, url: str, key: NoteKey, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self.key = key
        self._transport = transport
        self._known = 0
        """The size that the witness is believed to have cosigned; it says so if that is wrong."""

    @property
    def name(self) -> str:
        """For people."""
        return f"The witness {self.key.name}"

    async def cosign(self, log: Sealed, checkpoint: Checkpoint) -> Checkpoint:
        """The log's checkpoint with this witness's cosignature added.

        Raises OSError where it cannot be had at the moment, and :class:`TamperDetected` where the witness has seen
        another history.
        """
        for _ in range(TRIES):
            proof, _ = await log.consistency(self._known, checkpoint)
            body = write_submission(self._known, proof, checkpoint.note)
            status, answer = await send("POST", self._url, body.encode(), transport=self._transport)
            said = answer.decode("utf-8", errors="replace").strip()
            if status == 200:
                try:
                    cosigned = add_cosignature(checkpoint, answer.decode("utf-8", errors="replace"), self.key)
                except ProofRefused as error:
                    raise OSError(f"{error.happened} Is its key the one in [log] witnesses?") from None
                self._known = checkpoint.size
                return cosigned
            if status == NOT_CONSISTENT:
                raise self._another_history(self._known)
            if status != CONFLICT or not SIZE.fullmatch(said):
                raise OSError(f"it answers {status}: {said[:200]}")
            size = int(said)
            if size > (log.checkpoint or checkpoint).size:
                raise TamperDetected(
                    f"{self.name} has seen {size} leaves of the log, which has {checkpoint.size}: it was cut, or is an"
                    " older copy.",
                    REMEDY,
                )
            if size == self._known:
                raise self._another_history(size)
            if size > checkpoint.size:
                break
            self._known = size
        raise OSError("others bring it checkpoints of this log at the same time")

    def _another_history(self, size: int) -> TamperDetected:
        return TamperDetected(
            f"{self.name} has seen {size} leaves that are not those of this log: there are two histories.", REMEDY
        )
