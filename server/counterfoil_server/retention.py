"""Retention: what is personal and no longer needed is deleted, and the log says that it was.

Each run that deletes anything is on the log twice: before it begins, and with what it did when it has ended, so that
one that was cut short is seen as well. Neither leaf names anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import anyio

from counterfoil.errors import BadArguments, CounterfoilError
from counterfoil.leaves import administered
from counterfoil_server.config import RetentionSettings
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.forgetting import KINDS, RETENTION_EVENTS, Scope

logger = logging.getLogger(__name__)

DAY = 86400
PACE = 3600.0
"""Seconds between two looks of a serving process."""
OVERWRITES = 5
"""How often the write-ahead log is tried to be emptied while others read."""

JSONObject = dict[str, Any]


class Retention:
    """Deletes over one store."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._forgetter = store.forgetter()

    async def forget(
        self,
        *,
        kinds: Sequence[str] | None = None,
        before: int | None = None,
        account: str | None = None,
        conversation: str | None = None,
        dry_run: bool = False,
    ) -> JSONObject:
        """Delete what came ``before`` (Unix seconds; None for any time) of these kinds, or of all; with ``account`` or
        ``conversation`` only what is about it. Answers how many of each kind were, or with ``dry_run`` would be, and
        whether it is ``overwritten`` in the database's files. Raises BadArguments.
        """
        chosen = _checked(kinds)
        if before is None and account is None and conversation is None:
            raise BadArguments("Nothing says what is to be deleted.", "Name an age, an account or a conversation.")
        now = self._store.now()
        scope = Scope(now + 1 if before is None else min(before, now + 1), account, conversation)
        due = {kind: await self._count(kind, scope) for kind in chosen}
        if dry_run:
            return {"dry_run": True, "before": scope.before, "counts": due, "overwritten": None}
        if not any(due.values()):  # there may be something left of a run before
            return {"dry_run": False, "before": scope.before, "counts": due, "overwritten": await self._overwrite()}
        about = "account" if account is not None else "conversation" if conversation is not None else "everything"
        told: JSONObject = {"about": about, "before": scope.before}
        started, ended = RETENTION_EVENTS
        await self._store.append_leaf(administered(started, kinds=list(chosen), **told))
        done = {kind: await self._delete(kind, scope) for kind in chosen}
        await self._store.append_leaf(administered(ended, counts=done, **told))
        return {"dry_run": False, "before": scope.before, "counts": done, "overwritten": await self._overwrite()}

    async def run(self, days: RetentionSettings) -> None:
        """Delete by the settings until cancelled. A failing store is waited out, not died of."""
        while True:
            await self.look(days)
            await anyio.sleep(PACE)

    async def look(self, days: RetentionSettings) -> None:
        """Delete by the settings once."""
        for kind, kept in (
            ("turns", days.turns_days),
            ("openings", days.openings_days),
            ("notices", days.notices_days),
        ):
            if kept is None:
                continue
            try:
                found = await self.forget(kinds=(kind,), before=self._store.now() - kept * DAY)
            except CounterfoilError as error:
                logger.error("Old %s could not be deleted: %s", kind, error)
                continue
            if found["counts"][kind]:
                logger.info("Deleted %d %s older than %d days", found["counts"][kind], kind, kept)

    async def _count(self, kind: str, scope: Scope) -> int:
        return sum([len(numbers) async for numbers in self._forgetter.due(kind, scope)])

    async def _delete(self, kind: str, scope: Scope) -> int:
        return sum(
            [await self._forgetter.delete(kind, scope, numbers) async for numbers in self._forgetter.due(kind, scope)]
        )

    async def _overwrite(self) -> bool:
        for _ in range(OVERWRITES):
            if await self._forgetter.overwrite():
                return True
        return False


def _checked(kinds: Sequence[str] | None) -> tuple[str, ...]:
    chosen = tuple(KINDS) if kinds is None else tuple(dict.fromkeys(kinds))
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown or not chosen:
        raise BadArguments(f"What can be deleted is {', '.join(KINDS)}.", "Name one of them, or none for all.")
    return chosen
