"""The outbox: notices are written with what they tell of, leased to a sender, and settled.

``counted_at`` is when a capped notice was last leased; it is cleared where the delivery failed. Counting those rows
keeps the cap even when a sender dies between sending and telling.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.errors import UnknownName
from counterfoil.store import Notice, NoticeDraft
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

NOTICE_COLUMNS = "id, ticket, kind, recipient, address, seat, state, tries, next_try, error, created_at, sent_at"


def insert_notices(transaction: Transaction, ticket: str | None, drafts: Sequence[NoticeDraft]) -> None:
    """Queue notices, due at once."""
    now = transaction.now
    if drafts:
        transaction.change_many(
            "INSERT INTO notice (ticket, kind, recipient, address, seat, capped, state, next_try, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?)",
            [
                (ticket, draft.kind, draft.recipient, draft.address, draft.seat, draft.capped, now, now)
                for draft in drafts
            ],
        )  # fmt: skip


def lease_due(transaction: Transaction, limit: int, seconds: int, cap: int, window: int) -> list[Notice]:
    """Lease what is due, oldest first; move what the cap holds back to when the cap allows it."""
    leased: list[Notice] = []
    now = transaction.now
    while len(leased) < limit:
        due = transaction.rows(
            "SELECT id, recipient, capped FROM notice WHERE state = 'queued' AND next_try <= ? "
            "ORDER BY next_try, id LIMIT ?",
            (now, limit - len(leased)),
        )
        if not due:
            break
        for number, recipient, capped in due:
            later = _allowed_at(transaction, number, recipient, cap, window) if capped else now
            if later > now:
                transaction.change("UPDATE notice SET next_try = ? WHERE id = ?", (later, number))
                continue
            rows = transaction.rows(
                "UPDATE notice SET next_try = ?, tries = tries + 1, counted_at = CASE capped WHEN 1 THEN ? END "  # noqa: S608
                f"WHERE id = ? RETURNING {NOTICE_COLUMNS}",
                (now + seconds, now, number),
            )
            leased.extend(Notice(*row) for row in rows)
    return leased


def _allowed_at(transaction: Transaction, notice: int, recipient: str, cap: int, window: int) -> int:
    """When one more capped notice may go to the recipient: now, or when enough of those sent are a window old."""
    if cap <= 0:
        return transaction.now + window
    row = transaction.row(
        "SELECT counted_at FROM notice WHERE recipient = ? AND counted_at > ? AND id <> ? "
        "ORDER BY counted_at DESC LIMIT 1 OFFSET ?",
        (recipient, transaction.now - window, notice, cap - 1),
    )
    return transaction.now if row is None else int(row[0]) + window


def settle(transaction: Transaction, notice: int, sent: bool, error: str | None, next_try: int | None) -> None:
    """Record how a delivery went."""
    state = "sent" if sent else "failed" if next_try is None else "queued"
    changed = transaction.change(
        "UPDATE notice SET state = ?, error = ?, next_try = coalesce(?, next_try), "
        "sent_at = CASE WHEN ? THEN ? ELSE sent_at END, "
        "counted_at = CASE WHEN ? AND capped = 1 THEN ? END WHERE id = ?",
        (state, error, next_try, sent, transaction.now, sent, transaction.now, notice),
    )
    if not changed:
        raise UnknownName("There is no such notice.")


class OutboxVerbs(Verbs):
    """Notices."""

    async def lease_notices(self, *, limit: int, lease: int, cap: int, window: int) -> list[Notice]:
        """Queued notices that are due, leased for ``lease`` seconds; capped ones ``cap`` per ``window`` at most."""
        return await self._write(lambda transaction: lease_due(transaction, limit, lease, cap, window))

    async def settle_notice(self, notice: int, *, sent: bool, error: str | None, next_try: int | None) -> None:
        """Record how a delivery went; one that is to be tried again is queued again, with its error."""
        await self._write(lambda transaction: settle(transaction, notice, sent, error, next_try))

    async def add_notices(self, ticket: str | None, notices: Sequence[NoticeDraft]) -> None:
        """Write messages into the outbox outside any transition."""
        await self._write(lambda transaction: insert_notices(transaction, ticket, notices))

    async def notices(self, ticket: str | None = None, limit: int = 100) -> list[Notice]:
        """Newest first."""
        select = f"SELECT {NOTICE_COLUMNS} FROM notice"  # noqa: S608 - constants
        if ticket is None:
            rows = await self._readers.query(f"{select} ORDER BY id DESC LIMIT ?", (limit,))
        else:
            rows = await self._readers.query(f"{select} WHERE ticket = ? ORDER BY id DESC LIMIT ?", (ticket, limit))
        return [Notice(*row) for row in rows]
