"""Turns of chats. Nothing but the log's reader asks for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from counterfoil.errors import TooManyRequests
from counterfoil.log import LeafDraft
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

if TYPE_CHECKING:
    from counterfoil.turns import Limits, StoredTurn, TurnDraft

HOUR = 3600

COLUMNS = "conversation, principal, leaf, role, text, salt, digest, said_at, recorded_at, deleted_at"
KNOWN = "SELECT key FROM turn WHERE conversation = ? AND key IN (SELECT value FROM json_each(?))"


def add_turns(
    transaction: Transaction,
    conversation: str,
    principal: str,
    turns: Sequence[TurnDraft],
    leaf: LeafDraft,
    limits: Limits,
) -> bool:
    """Insert turns that are not known yet, with their leaf."""
    keys = [turn.key for turn in turns if turn.key is not None]
    if keys and transaction.rows(f"{KNOWN} LIMIT 1", (conversation, json.dumps(keys))):
        return False
    _check_limits(transaction, conversation, principal, turns, limits)
    number, now = transaction.write_leaf(leaf), transaction.now
    transaction.change_many(
        "INSERT INTO turn (conversation, principal, leaf, key, role, text, salt, digest, characters, said_at, "
        "recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                conversation, principal, number, turn.key, turn.role, turn.text, turn.salt, turn.digest,
                len(turn.text), turn.said_at, now,
            )
            for turn in turns
        ],
    )  # fmt: skip
    return True


def _check_limits(
    transaction: Transaction, conversation: str, principal: str, turns: Sequence[TurnDraft], limits: Limits
) -> None:
    count, characters = transaction.rows(
        "SELECT count(*), coalesce(sum(characters), 0) FROM turn WHERE conversation = ?", (conversation,)
    )[0]
    more = sum(len(turn.text) for turn in turns)
    if count + len(turns) > limits.per_conversation or characters + more > limits.characters:
        raise TooManyRequests(
            f"A conversation's record holds at most {limits.per_conversation:,} turns and {limits.characters:,} "
            "characters.",
            "Go on in a new conversation.",
        )
    lately = transaction.rows(
        "SELECT count(*) FROM turn WHERE principal = ? AND recorded_at > ?", (principal, transaction.now - HOUR)
    )[0][0]
    if lately + len(turns) > limits.per_hour:
        raise TooManyRequests(
            f"A principal may append at most {limits.per_hour:,} turns an hour.", "Send them again later."
        )


class TurnVerbs(Verbs):
    """Append turns, read them."""

    async def add_turns(
        self, conversation: str, principal: str, turns: Sequence[TurnDraft], *, leaf: LeafDraft, limits: Limits
    ) -> bool:
        """Keep them with their leaf, all or none; False, and nothing kept, where one of their keys is known already.

        Raises TooManyRequests where a limit is reached.
        """
        return await self._write(
            lambda transaction: add_turns(transaction, conversation, principal, turns, leaf, limits)
        )

    async def known_turns(self, conversation: str, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that turns of the conversation have."""
        return frozenset(row[0] for row in self._readers.lookup(KNOWN, (conversation, json.dumps(keys))))

    async def turns(self, conversation: str) -> list[StoredTurn]:
        """All of a conversation, in the order in which they came."""
        from counterfoil.turns import StoredTurn  # most desks keep none

        rows = await self._readers.query(
            f"SELECT {COLUMNS} FROM turn WHERE conversation = ? ORDER BY number",  # noqa: S608 - constants
            (conversation,),
        )
        return [StoredTurn(*row) for row in rows]

    async def turns_of_leaves(self, leaves: Sequence[int]) -> list[StoredTurn]:
        """What was kept under these leaves, in order."""
        from counterfoil.turns import StoredTurn

        rows = await self._readers.query(
            f"SELECT {COLUMNS} FROM turn WHERE leaf IN (SELECT value FROM json_each(?)) ORDER BY number",  # noqa: S608
            (json.dumps(leaves),),
        )
        return [StoredTurn(*row) for row in rows]
