"""Turns of a chat among the leaves of the log, for those who look through it.

A turn is shown with whom it came from and whether it is what was recorded then; that it was ever said, nobody knows.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from counterfoil.leaf_checks import LeafCheck, broken, held
from counterfoil.turns import StoredTurn, as_sent, turn_digest

JSONObject = dict[str, Any]


def turn_leaves(turns: Sequence[StoredTurn]) -> Iterator[tuple[int, list[StoredTurn]]]:
    """The turns by the number of their leaf, in order."""
    for number, found in groupby(turns, lambda turn: turn.leaf):
        yield number, list(found)


def record_check(values: JSONObject | None, turns: Sequence[StoredTurn]) -> LeafCheck:
    """Whether the words that are stored are those whose digests the leaf holds; those that were deleted prove no more
    than that there were some."""
    if any(turn.text is not None and not _is_whole(turn) for turn in turns):
        return broken("record", "The stored words are not those that were recorded.")
    if values is None:
        return LeafCheck("record", "gone", "Without its opening the stored words cannot be compared.")
    if values.get("turns") != [turn.digest for turn in turns]:
        return broken("record", "The stored turns are not those that were recorded.")
    if any(turn.text is None for turn in turns):
        return LeafCheck("record", "gone", "Words were deleted; how many turns there were still stands.")
    return held("record", "The stored words are those that were recorded.")


def _is_whole(turn: StoredTurn) -> bool:
    if turn.text is None or turn.salt is None:
        return False
    return hmac.compare_digest(turn_digest(turn.role, turn.text, turn.said_at, turn.salt), turn.digest)


def shown_turn(turn: StoredTurn) -> JSONObject:
    """One turn for whoever is answered. ``text`` is None where it was deleted, ``deleted_at`` says when."""
    return {
        "role": turn.role,
        "text": turn.text,
        "said_at": turn.said_at,
        "deleted_at": turn.deleted_at,
        "untrusted": as_sent(turn.principal),
    }


def among(said: Sequence[JSONObject], steps: Sequence[JSONObject]) -> list[JSONObject]:
    """The steps of a ticket with what was said between them, in the log's order. A step that is not on the log stays
    where it stands."""
    merged: list[JSONObject] = []
    waiting = list(said)
    for step in steps:
        while waiting and step["index"] is not None and waiting[0]["index"] < step["index"]:
            merged.append(waiting.pop(0))
        merged.append(step)
    return merged + waiting
