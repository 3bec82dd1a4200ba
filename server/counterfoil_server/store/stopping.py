"""Stopping: revocation of what waits in a scope, suspensions, and their end.

A revocation ends every ticket of the scope that is not claimed yet, in the writer's one order: a redemption comes
wholly before it or is refused. What it came too late for is counted right after, among the tickets that existed then:
that may take a while for a wide scope, and nobody's write should wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from counterfoil.errors import WrongState
from counterfoil.log import LeafDraft
from counterfoil.scopes import check_scope
from counterfoil.store import Revoked, Suspension
from counterfoil.tickets import ACCESS, COUNTED, GRANT_LIFE, STOPPABLE, Event, State
from counterfoil_server.store.ticket_rows import stop, within
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

MEMBERS = {
    "ticket": "id = :name",
    "account": "account = :name",
    "operation": "operation = :name",
    "principal": "principal = :name",
    "conversation": "conversation = :name",
    # Either name may hold the bar that joins them, so every account that could be meant is looked at.
    "principal-account": ("account IN (SELECT value FROM json_each(:ends)) AND principal || '|' || account = :name"),
    "person": "number IN (SELECT ticket FROM statement WHERE person = :name)",
    "capability": "number IN (SELECT ticket FROM capability WHERE id = :name)",
    # What it could still redeem, and what was redeemed while a capability of it was good.
    "key": (
        "EXISTS (SELECT 1 FROM capability WHERE ticket = ticket.number AND key = :name "
        "AND min(expires_at, coalesce(ended_at, expires_at)) > coalesce(redeemed_at, :now))"
    ),
    "everything": "TRUE",
}
"""For each kind of scope: which tickets belong to it."""

GRANTED = frozenset({State.EXECUTING, State.EXECUTED})
"""States of an access that is a grant, or becomes one."""

DONE = COUNTED - {State.EXECUTING}
"""Too late to stop: the effect happened, or may have."""


def members_query(kind: str, columns: str, states: frozenset[State]) -> str:
    """Tickets of a scope in some of the PLANNED states; parameters are those of :func:`members_parameters`."""
    return f"SELECT {columns} FROM ticket WHERE {MEMBERS[kind]} AND {within(states)}"  # noqa: S608


def members_parameters(name: str, now: int) -> dict[str, str | int]:
    """What :func:`members_query` asks with."""
    parts = name.split("|")
    ends = ["|".join(parts[start:]) for start in range(1, len(parts))]
    return {"name": name, "now": now, "ends": json.dumps(ends)}


def revoke(
    transaction: Transaction, scope: str, reason: str, leaf: LeafDraft, final: bool
) -> tuple[int, int, int, int]:
    """End what waits in the scope and every grant in it; answers how many of each, the index of the scope's leaf and
    the time."""
    kind, _, name = scope.partition(":")
    index = transaction.write_leaf(leaf)
    waiting = transaction.rows(members_query(kind, "id", STOPPABLE), members_parameters(name, transaction.now))
    for (ticket,) in waiting:
        stop(transaction, ticket, Event.REVOKE, {"scope": scope}, json.dumps({"reason": reason}))
    if kind == "capability":
        transaction.change(
            "UPDATE capability SET ended_at = ? WHERE id = ? AND ended_at IS NULL", (transaction.now, name)
        )
    if final:
        bar(transaction, scope, reason, final=True)
    grants = transaction.rows(
        f"{members_query(kind, 'id', GRANTED)} AND operation = '{ACCESS}' AND redeemed_at > :since",
        members_parameters(name, transaction.now) | {"since": transaction.now - GRANT_LIFE},
    )
    for (ticket,) in grants:
        bar(transaction, f"ticket:{ticket}", reason, final=True)
    return len(waiting), len(grants), index, transaction.now


def bar(transaction: Transaction, scope: str, reason: str, *, final: bool) -> None:
    """Remember that the scope is stopped. What is final stays as it was first said."""
    transaction.change(
        "INSERT INTO suspension (scope, final, since, reason) VALUES (?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE "
        "SET final = excluded.final, reason = excluded.reason WHERE final = 0",
        (scope, final, transaction.now, reason),
    )


def suspend(transaction: Transaction, scope: str, reason: str, leaf: LeafDraft) -> None:
    """Bar the scope until it is resumed."""
    bar(transaction, scope, reason, final=False)
    transaction.write_leaf(leaf)


def resume(transaction: Transaction, scope: str, leaf: LeafDraft) -> bool:
    """Lift a suspension that is not final."""
    row = transaction.row("SELECT final FROM suspension WHERE scope = ?", (scope,))
    if row is None:
        return False
    if row[0]:
        raise WrongState("This was revoked for good and cannot be resumed.", "Use a new name or key instead.")
    transaction.change("DELETE FROM suspension WHERE scope = ?", (scope,))
    transaction.write_leaf(leaf)
    return True


class StoppingVerbs(Verbs):
    """Revocations and suspensions."""

    async def revoke(self, scope: str, *, reason: str, leaf: LeafDraft, final: bool) -> Revoked:
        """Revoke everything in ``scope`` that is not claimed yet; ``final`` also bars it.

        Raises UnknownName for what is no scope.
        """
        scope = check_scope(scope)
        kind, _, name = scope.partition(":")
        revoked, grants, index, now = await self._write(
            lambda transaction: revoke(transaction, scope, reason, leaf, final)
        )
        counts: list[int] = []
        for states in (frozenset({State.EXECUTING}), DONE):
            query = f"{members_query(kind, 'count(*)', states)} AND request_leaf < :before"
            rows = await self._readers.query(query, members_parameters(name, now) | {"before": index})
            counts.append(int(rows[0][0]))
        return Revoked(revoked, counts[0], counts[1], grants)

    async def suspend(self, scope: str, *, reason: str, leaf: LeafDraft) -> None:
        """Bar the scope until it is resumed; raises UnknownName for what is no scope."""
        scope = check_scope(scope)
        await self._write(lambda transaction: suspend(transaction, scope, reason, leaf))

    async def resume(self, scope: str, *, leaf: LeafDraft) -> bool:
        """Lift a suspension; False where there was none. Raises WrongState for a final revocation."""
        return await self._write(lambda transaction: resume(transaction, scope, leaf))

    async def suspensions(self, scopes: Sequence[str] | None = None) -> list[Suspension]:
        """Those of ``scopes``, or all."""
        select = "SELECT scope, final, since, reason FROM suspension"
        if scopes is None:
            rows = await self._readers.query(f"{select} ORDER BY since, scope")
        else:
            marks = ", ".join("?" * len(scopes))
            rows = self._readers.lookup(f"{select} WHERE scope IN ({marks}) ORDER BY since, scope", tuple(scopes))
        return [Suspension(scope, bool(final), since, reason) for scope, final, since, reason in rows]
