"""A key that is with a service elsewhere, which answers as it is told to, for tests of whoever asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from counterfoil.keys import SigningKey, VerificationKey

GARBAGE = {
    "nothing": b"",
    "raw": bytes([1]) * 64,
    "cut": bytes.fromhex("30440220"),
    "zero": bytes.fromhex("3006020100020100"),
    "huge": bytes.fromhex("3026022100") + b"\xff" * 32 + bytes.fromhex("020101"),
    "text": "MEUCIQ",
    "none": None,
}
"""What is no signature of a P-256 key in DER."""


@dataclass
class RemoteKey:
    """``answers`` are given in turn, and good signatures after the last: ``fails``, ``hangs``, ``another key``,
    ``good`` or a name in :data:`GARBAGE`. ``asked`` counts; ``hung`` tells that it has begun to hang."""

    answers: list[str] = field(default_factory=list)
    key: SigningKey = field(default_factory=SigningKey.generate)
    asked: int = 0
    hung: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def answering(cls, answers: Iterable[str]) -> RemoteKey:
        return cls(list(answers))

    @property
    def id(self) -> str:
        return self.key.id

    @property
    def public(self) -> VerificationKey:
        return self.key.public

    async def sign(self, digest: bytes) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else "good"
        if answer == "fails":
            raise ConnectionError("the service with the secret address vault.internal is away")
        if answer == "hangs":
            self.hung.set()
            await asyncio.Event().wait()
        if answer == "another key":
            return await SigningKey.generate().sign(digest)
        if answer in GARBAGE:
            return GARBAGE[answer]  # type: ignore[return-value]
        return await self.key.sign(digest)
