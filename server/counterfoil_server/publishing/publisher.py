"""Brings each new checkpoint to witnesses and targets, beside everything else that the server does.

Sealing wakes the publisher and waits for nothing. A round takes the newest checkpoint, gathers cosignatures, and puts
both in every place; what does not answer in time is asked again later, with what is newest then. A place that holds
another history is left as it is, and is said aloud until somebody has looked.

Whoever needs a proof waits for no round: one that can be given is given, and else the witnesses are asked for it, each
by one at a time, until enough of them have answered or :data:`SHORT_PATIENCE` is over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from counterfoil.checkpoints import Checkpoint, NoteKey, add_cosignature, cosigned_at, read_checkpoint
from counterfoil.errors import CounterfoilError, ProofRefused, TamperDetected
from counterfoil_server.durable_file import replace_durably
from counterfoil_server.publishing.cosigning import Witness
from counterfoil_server.publishing.history import REMEDY, Sealed, check_history
from counterfoil_server.publishing.standing import Standing
from counterfoil_server.publishing.targets import Target, read_file

logger = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds that one place may take in one round."""
SHORT_PATIENCE = 5.0
"""Seconds that somebody waits for cosignatures on a proof, at the most."""
PAUSES = (10.0, 30.0, 60.0, 300.0)
"""Seconds until a place that failed so many times running is asked again."""

UNREACHED = "Check the address, its disk and its rights. Tickets go on; it gets the newest checkpoint when it answers."


class Publisher:
    """``kept``: the file for the newest checkpoint with enough cosignatures, which are ``quorum``; ``every``: seconds
    between two rounds."""

    def __init__(
        self,
        log: Sealed,
        kept: Path,
        *,
        targets: Sequence[Target] = (),
        witnesses: Sequence[Witness] = (),
        quorum: int = 0,
        every: float = 10.0,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._kept = kept
        self._targets = [(target, Standing(target.name)) for target in targets]
        self._witnesses = [(witness, Standing(witness.name)) for witness in witnesses]
        self._quorum = quorum
        self._every = every
        self._patience = patience
        self._clock = clock
        self._busy = asyncio.Lock()
        self._asking = {witness.key: asyncio.Lock() for witness in witnesses}
        self._keeping = asyncio.Lock()
        self._woken = asyncio.Event()
        self._newest: dict[NoteKey, Checkpoint] = {}
        """What each witness cosigned last."""
        self._cosigned: Checkpoint | None = None
        """The one for proofs."""
        self._written = ""
        """What is in the file of it."""
        self._taken = asyncio.Event()
        """Set, and replaced, when there is another one for proofs."""
        self._asked = 0
        """The largest size for which all witnesses were asked who could be."""

    @property
    def witnesses(self) -> tuple[NoteKey, ...]:
        """Their keys."""
        return tuple(witness.key for witness, _ in self._witnesses)

    @property
    def quorum(self) -> int:
        """How many of them are enough."""
        return self._quorum

    @property
    def standings(self) -> list[Standing]:
        """How it stands with each place."""
        return [standing for _, standing in (*self._witnesses, *self._targets)]

    async def load(self) -> None:
        """Read the newest cosigned checkpoint of before; raises :class:`TamperDetected` where the log does not fit."""
        note = await asyncio.to_thread(read_file, self._kept)
        if note is not None:
            held = await check_history(note, self._log, f"The file {self._kept}")
            try:
                self._count(held)
            except ProofRefused as error:
                raise TamperDetected(f"Of the file {self._kept}: {error.happened}", REMEDY) from None
            with suppress(ProofRefused):  # under a former key of the log nothing is proven any more
                self._cosigned = read_checkpoint(note, self._log.key)
                self._written = note

    def wake(self) -> None:
        """There is a newer checkpoint."""
        self._woken.set()

    async def run(self) -> None:
        """Publish for as long as it is not cancelled."""
        while True:
            self._woken.clear()
            await self.round()
            await anyio.sleep(self._every)
            failing = [standing.not_before for standing in self.standings if not standing.ok]
            with anyio.CancelScope(deadline=min(failing, default=math.inf)):
                await self._woken.wait()

    async def round(self, *, everybody: bool = False) -> None:
        """Bring the newest checkpoint everywhere once; ``everybody``: also where it failed just now."""
        async with self._busy:
            checkpoint = self._log.checkpoint
            if checkpoint is None:
                return
            now = anyio.current_time()
            due = [each for each in self._witnesses if everybody or each[1].not_before <= now]
            await self._ask_all(checkpoint, due, again=everybody)
            await self._asked_for(checkpoint)
            cosigned = self._merged(checkpoint)
            async with anyio.create_task_group() as group:
                for target, standing in self._targets:
                    if standing.not_before <= now or everybody:
                        work = self._bring(target, cosigned)
                        group.start_soon(self._attempt, standing, checkpoint.size, work)

    async def proof(self, index: int) -> str:
        """The proof that a leaf is on the log, under a checkpoint with enough cosignatures where they can be had."""
        plain = await self._log.proof(index)
        checkpoint = self._log.checkpoint
        if self.witnesses and checkpoint is not None and not self._covers(index) and self._asked <= index:
            with anyio.move_on_after(SHORT_PATIENCE):
                async with anyio.create_task_group() as group:
                    group.start_soon(self._leave_when_covered, index, group.cancel_scope)
                    await self._ask_all(checkpoint, self._witnesses)
                    group.cancel_scope.cancel()
            await self._asked_for(checkpoint)
        if self._cosigned is None or not self._covers(index):
            return plain
        return await self._log.proof_under(index, self._cosigned)

    async def checks(self) -> list[dict[str, Any]]:
        """How it stands with each place after it was asked now, in the shape of ``administration/checks.py``."""
        await self.round(everybody=True)
        return [
            {
                "check": "published", "ok": each.ok, "says": each.in_words(),
                "remedy": REMEDY if each.alarm else UNREACHED,
            }
            for each in self.standings
        ]  # fmt: skip

    async def _leave_when_covered(self, index: int, scope: anyio.CancelScope) -> None:
        while not self._covers(index):
            await self._taken.wait()
        scope.cancel()

    def _covers(self, index: int) -> bool:
        return self._cosigned is not None and self._cosigned.size > index

    def _count(self, checkpoint: Checkpoint) -> int:
        return sum(cosigned_at(checkpoint, key) is not None for key in self.witnesses)

    def _has(self, key: NoteKey, checkpoint: Checkpoint) -> bool:
        """Whether this very checkpoint was cosigned by the witness before."""
        return any(
            each is not None and each.body == checkpoint.body and cosigned_at(each, key) is not None
            for each in (self._newest.get(key), self._cosigned)
        )

    def _merged(self, checkpoint: Checkpoint) -> Checkpoint:
        """One note with every cosignature on this checkpoint, in the order of the settings."""
        merged = checkpoint
        sources = [*self._newest.values(), *([self._cosigned] if self._cosigned else [])]
        for key in self.witnesses:
            for each in sources:
                if each.body == checkpoint.body and cosigned_at(each, key) is not None:
                    merged = add_cosignature(merged, each.note.rpartition("\n\n")[2], key)
                    break
        return merged

    async def _ask_all(
        self, checkpoint: Checkpoint, witnesses: Sequence[tuple[Witness, Standing]], *, again: bool = False
    ) -> None:
        """Ask each when nobody else does; ``again``: also where it cosigned this very checkpoint before."""

        async def ask(witness: Witness, standing: Standing) -> None:
            async with self._asking[witness.key]:
                if again or not self._has(witness.key, checkpoint):
                    await self._attempt(standing, checkpoint.size, self._cosign(witness, checkpoint))

        async with anyio.create_task_group() as group:
            for witness, standing in witnesses:
                group.start_soon(ask, witness, standing)

    async def _cosign(self, witness: Witness, checkpoint: Checkpoint) -> None:
        self._newest[witness.key] = await witness.cosign(self._log, checkpoint)
        if self._count(merged := self._merged(checkpoint)) >= self._quorum:
            self._take(merged)  # enough for proofs, whoever else is asked yet

    async def _asked_for(self, checkpoint: Checkpoint) -> None:
        """All were asked who could be: what they cosigned is kept, be it enough or not."""
        self._asked = max(self._asked, checkpoint.size)
        self._take(self._merged(checkpoint))
        async with self._keeping:
            kept = self._cosigned
            if kept is None or kept.note == self._written:
                return
            try:
                await asyncio.to_thread(replace_durably, self._kept, kept.note.encode())
            except OSError as error:
                logger.error("The cosigned checkpoint %s cannot be written: %s", self._kept, error.strerror)
            else:
                self._written = kept.note

    def _take(self, cosigned: Checkpoint) -> None:
        """It is the one for proofs, if it has any cosignature, and the one before is not better."""
        if self._count(cosigned) and (self._cosigned is None or self._rank(cosigned) >= self._rank(self._cosigned)):
            self._cosigned = cosigned
            self._taken.set()
            self._taken = asyncio.Event()

    def _rank(self, checkpoint: Checkpoint) -> tuple[int, int, int]:
        """How good it is for proofs: enough cosignatures come first, then how new it is."""
        count = self._count(checkpoint)
        return min(count, self._quorum), checkpoint.size, count

    async def _bring(self, target: Target, cosigned: Checkpoint) -> None:
        held = await target.read()
        if held is not None:
            await check_history(held, self._log, target.name)
        await target.write(cosigned.note, cosigned.size)

    async def _attempt(self, standing: Standing, size: int, work: Awaitable[None]) -> None:
        """Do the work in time, and note how it went; a change is logged, not every try."""
        before = (standing.alarm, standing.failing_since is None)
        now = int(self._clock())
        try:
            with anyio.fail_after(self._patience):
                await work
        except TamperDetected as error:
            standing.alarm, standing.error = error.happened, ""
        except Exception as error:  # whatever it is, the others get theirs, and tickets go on
            if not isinstance(error, (OSError, CounterfoilError, ValueError)):
                logger.exception("%s failed", standing.name)
            standing.failing_since = now if standing.failing_since is None else standing.failing_since
            standing.error = _words(error, self._patience)
        else:
            standing.alarm, standing.failing_since, standing.error, standing.failures = "", None, "", 0
            standing.size, standing.answered_at, standing.not_before = size, now, 0.0
        if not standing.ok:
            pause = PAUSES[min(standing.failures, len(PAUSES) - 1)]
            standing.failures, standing.not_before = standing.failures + 1, anyio.current_time() + pause
        if before != (standing.alarm, standing.failing_since is None):
            level = logging.INFO if standing.ok else logging.CRITICAL if standing.alarm else logging.ERROR
            logger.log(level, "%s", standing.in_words())


def _words(error: Exception, within: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {within:g} seconds"
    if isinstance(error, CounterfoilError):
        return error.happened.rstrip(".")
    return str(getattr(error, "strerror", None) or error).rstrip(".") or type(error).__name__
