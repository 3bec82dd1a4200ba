"""What the authority is made of, shared by its verbs: identity, keys, times, and the checks they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from counterfoil import leaves
from counterfoil.canonical import canonical
from counterfoil.errors import (
    Suspended,
    WrongState,
)
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing
from counterfoil.signing import SIGNING_TIME
from counterfoil.store import (
    Caps,
    Step,
    Store,
)
from counterfoil.tickets import STOPPABLE, Event, Ticket


@dataclass(frozen=True)
class Times:
    """Lifetimes in seconds (T11). A statement's is not here: whoever verifies one, years later, has to know it too."""

    ticket: int = 86400
    capability: int = 120
    run: int = 300
    """From redemption until the executor no longer starts it."""
    signature: float = SIGNING_TIME
    """What a signer outside this process may take for one signature."""


@dataclass(frozen=True)
class Secrets:
    """Keys that are not in the database: for deduplication, for match codes, for the chain of leaves. 32 bytes each."""

    dedupe: bytes
    code: bytes
    log: bytes


class Door:
    """Who the authority is, and the checks that several of its verbs share."""

    def __init__(
        self,
        *,
        issuer: str,
        tenant: str,
        executor: str,
        judge: Judge,
        keys: KeyRing,
        secrets: Secrets,
        times: Times | None = None,
        caps: Caps | None = None,
        client_isolation: bool = False,
    ) -> None:
        self.issuer = issuer
        self.tenant = tenant
        self.executor = executor
        self.judge = judge
        self.keys = keys
        """Read at each use: a rotation takes effect at once. Changed by ``key_verbs.py`` only."""
        self._changing_keys = asyncio.Lock()
        self._unsigned: set[str] = set()
        """Redeemed tickets whose order could not be signed. A hint to ask again soon, and no more: after a restart all
        redeemed tickets are looked at."""
        self.times = times or Times()
        self.caps = caps or Caps()
        self.client_isolation = client_isolation
        """Whether the clients are trusted to keep the customers behind one credential apart from each other."""
        self._secrets = secrets

    @property
    def store(self) -> Store:
        """Where everything durable is."""
        return self.judge.store

    async def _refuse_suspended(self, scopes: Sequence[str]) -> None:
        if await self.store.suspensions(scopes):
            raise Suspended()

    async def _decided(self, ticket_id: str) -> frozenset[str]:
        """The people who filled a seat of the ticket."""
        return frozenset(stored.person for stored in await self.store.statements(ticket_id))

    async def _expired_if_due(self, ticket: Ticket) -> Ticket:
        if ticket.state not in STOPPABLE or self.store.now() < ticket.expires_at:
            return ticket
        try:
            return await self.store.step(ticket.id, Step(Event.EXPIRE, leaves.stepped(Event.EXPIRE, ticket.id)))
        except WrongState:
            return await self.store.ticket(ticket.id) or ticket

    def _decline(self, ticket_id: str, why: str) -> Step:
        """The step that ends a ticket with a reason."""
        return Step(Event.DECLINE, leaves.stepped(Event.DECLINE, ticket_id, why=why), outcome=reason(why))


def reason(why: str) -> str:
    """An outcome that is only a reason, as JSON."""
    return canonical({"reason": why}).decode()
