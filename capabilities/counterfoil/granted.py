"""Which grants hold at this moment (``grants.py`` says what one is).

All that a grant rests on is read at every use: the ticket's row, the leaf that pinned its envelope, what was signed,
the roster, suspensions. Verifying is a function of these bytes alone, and so is the policy's answer unless it counts
what happened before; so the result is kept, with the bytes it was made of, and used again only while every one of them
is the same.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from counterfoil.asking import Question
from counterfoil.errors import CounterfoilError, NoAccess
from counterfoil.evidence import Evidence, with_wait
from counterfoil.grants import Grant, grant_of
from counterfoil.log import Leaf
from counterfoil.policy import Policy, Verdict
from counterfoil.roster import Roster
from counterfoil.rungs import Rung
from counterfoil.scopes import scopes_of
from counterfoil.store import Store, StoredStatement
from counterfoil.tickets import ACCESS, GRANT_LIFE, Envelope, State, Ticket

KEPT = 1000
"""Grants whose verification is kept, all by the same roster; the one that was kept longest makes room."""


class Rules(Protocol):
    """What grants are verified by: a :class:`~counterfoil.judgement.Judge`."""

    store: Store
    policy: Policy

    async def roster(self) -> Roster:
        """The roster, verified; the same object while nothing changed."""

    def check_recorded(self, ticket: Ticket, found: tuple[Leaf, bytes] | None) -> None:
        """Raise a refusal unless the leaf pinned the ticket's envelope."""

    def evidence_under(self, roster: Roster, ticket: Ticket, statements: list[StoredStatement]) -> Evidence:
        """What people proved; raises StatementRefused if anything does not hold."""

    async def allows(
        self, envelope: Envelope, facts: dict[str, object], reached: Rung, now: int
    ) -> tuple[Verdict, Question]:
        """What the policy says with this evidence."""


@dataclass(frozen=True)
class _Verified:
    """What the bytes prove, and the bytes."""

    ticket: Ticket
    leaf: tuple[Leaf, bytes] | None
    statements: list[StoredStatement]
    envelope: Envelope
    evidence: Evidence
    grant: Grant
    scopes: tuple[str, ...]
    verdict: bool | None
    """What policy says of it; None where that depends on what happened before, and is asked each time."""

    def is_of(self, ticket: Ticket, leaf: tuple[Leaf, bytes] | None, statements: list[StoredStatement]) -> bool:
        """Whether it was made of these."""
        return (ticket, leaf, statements) == (self.ticket, self.leaf, self.statements)


class Grants:
    """Finds and verifies grants, by the rules of a judge."""

    def __init__(self, judge: Rules) -> None:
        self._judge = judge
        self._roster: Roster | None = None
        self._kept: dict[str, _Verified] = {}

    async def live(self, principal: str, conversation: str, now: int) -> list[Grant]:
        """The grants of this principal's conversation that still hold, the newest first. Never raises a refusal."""
        found: list[Grant] = []
        for ticket in await self._judge.store.accesses(principal=principal, conversation=conversation):
            with suppress(CounterfoilError):
                found.append(await self._of(ticket, now))
        return found

    async def behind(self, envelope: Envelope, now: int) -> Grant | None:
        """The live grant of the request's own conversation for its own account, or None (T44)."""
        if envelope.conversation is None or envelope.account is None:
            return None
        grants = await self.live(envelope.principal, envelope.conversation, now)
        return next((grant for grant in grants if grant.account == envelope.account), None)

    async def grant(self, access: str, at: int) -> Grant:
        """The grant that an access is at the time ``at``; raises a refusal where it does not hold."""
        ticket = await self._judge.store.ticket(access)
        if ticket is None:
            raise NoAccess()
        return await self._of(ticket, at)

    async def _of(self, ticket: Ticket, at: int) -> Grant:
        """The grant that the stored ticket is."""
        judge = self._judge
        if ticket.operation != ACCESS or ticket.state is not State.EXECUTED:
            raise NoAccess()
        if at >= (ticket.redeemed_at or 0) + GRANT_LIFE:
            raise NoAccess()  # whatever was signed, it was signed before; a long conversation has many such
        verified = await self._verified(ticket, at)
        if not verified.grant.holds(at):
            raise NoAccess()
        allowed = verified.verdict
        if allowed is None:
            allowed = await self._allowed(ticket, verified.envelope, verified.evidence, at)
        if not allowed or await judge.store.suspensions(verified.scopes):
            raise NoAccess()
        return verified.grant

    async def _allowed(self, ticket: Ticket, envelope: Envelope, evidence: Evidence, at: int) -> bool:
        reached = with_wait(evidence, ticket.redeemed_at or 0)
        verdict, _ = await self._judge.allows(envelope, envelope.fact_values or {}, reached, at)
        return verdict.allowed

    async def _verified(self, ticket: Ticket, at: int) -> _Verified:
        judge = self._judge
        leaf, statements = await judge.store.request_leaf(ticket.id), await judge.store.statements(ticket.id)
        roster = await judge.roster()
        if roster is not self._roster:
            # What was verified by another one proves nothing any more, and would hold on to it.
            self._roster, self._kept = roster, {}
        keeping = self._kept
        kept = keeping.get(ticket.id)
        if kept is not None and kept.is_of(ticket, leaf, statements):
            return kept
        judge.check_recorded(ticket, leaf)
        envelope, evidence = ticket.envelope, judge.evidence_under(roster, ticket, statements)
        grant = grant_of(envelope, evidence, redeemed_at=ticket.redeemed_at or 0)
        scopes = scopes_of(envelope, people=evidence.people)
        verdict = None if judge.policy.counts(ACCESS) else await self._allowed(ticket, envelope, evidence, at)
        kept = keeping[ticket.id] = _Verified(ticket, leaf, statements, envelope, evidence, grant, scopes, verdict)
        while len(keeping) > KEPT:
            del keeping[next(iter(keeping))]
        return kept
