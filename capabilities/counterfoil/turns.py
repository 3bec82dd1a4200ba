"""Turns of a chat, as the application that hosts it tells of them: kept for whoever looks into a ticket later.

Rules: what is kept was redacted before (``redaction.py``). Nobody has verified a word of it: it is what one principal
sent, and every place that shows a turn says so (:func:`as_sent`). And nothing is decided by it: the port of this
module is one of its own, so that neither policy, nor a page, nor an executor, which know ``store.Store`` alone, could
read a turn if they tried.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from counterfoil.canonical import canonical, digest, salted_digest
from counterfoil.leaves import administered
from counterfoil.log import LeafDraft

TURNS = "turns"
"""The event of a call that appended turns: its leaf holds the digest of each."""

Role = Literal["user", "assistant", "tool"]


@dataclass(frozen=True)
class Limits:
    """How much is kept at most. Everything that a caller may fill ends somewhere (T13), and what a ticket's life shows
    has to be read by somebody."""

    per_call: int = 100
    text: int = 8_000
    """Characters of one turn, as it was sent."""
    per_conversation: int = 1_000
    characters: int = 1_000_000
    """Of one conversation."""
    per_hour: int = 10_000
    """Turns of one principal."""


@dataclass(frozen=True)
class TurnDraft:
    """One turn to be kept: ``text`` was redacted; ``said_at`` (Unix seconds) is the host's word; ``key`` recognises it
    when it is sent again. ``salt`` is 32 fresh random bytes, without which the digest says nothing of the text."""

    role: Role
    text: str
    said_at: int | None = None
    key: str | None = None
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False, compare=False)

    @property
    def digest(self) -> str:
        """What its leaf names."""
        return turn_digest(self.role, self.text, self.said_at, self.salt)


@dataclass(frozen=True)
class StoredTurn:
    """A turn as it was kept. ``text`` and ``salt`` are None where they were deleted, at ``deleted_at``."""

    conversation: str
    principal: str
    leaf: int
    role: str
    text: str | None
    salt: bytes | None
    digest: str
    said_at: int | None
    recorded_at: int
    deleted_at: int | None


class TurnStore(Protocol):
    """The port through which turns are kept, and read by those who look through the log."""

    async def add_turns(
        self, conversation: str, principal: str, turns: Sequence[TurnDraft], *, leaf: LeafDraft, limits: Limits
    ) -> bool:
        """Keep them with their leaf, all or none; False, and nothing kept, where one of their keys is known already.

        Raises TooManyRequests where a limit is reached.
        """

    async def known_turns(self, conversation: str, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that turns of the conversation have."""

    async def turns(self, conversation: str) -> list[StoredTurn]:
        """All of a conversation, in the order in which they came."""


def turn_key(conversation: str, given: str) -> str:
    """By what a turn is recognised: a digest, because an id that a host gives might say something."""
    return digest("counterfoil-turn-key", canonical([conversation, given]))


def turn_digest(role: str, text: str, said_at: int | None, salt: bytes) -> str:
    """The salted digest of one turn."""
    return salted_digest(salt, "counterfoil-turn", canonical({"role": role, "text": text, "at": said_at}))


def turns_leaf(conversation: str, principal: str, turns: Sequence[TurnDraft]) -> LeafDraft:
    """What the log keeps of a call: who sent how many of which conversation, and a digest of each."""
    return administered(TURNS, conversation=conversation, principal=principal, turns=[turn.digest for turn in turns])


def as_sent(principal: str) -> str:
    """What stands with every turn that is shown."""
    return f"as sent by {principal}; nobody has verified it"
