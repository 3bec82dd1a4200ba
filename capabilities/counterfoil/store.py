"""The port through which the core reaches durable state.

Each verb that writes is one transaction: all of it happens or nothing, together with its log leaf. A store decides
nothing: it applies the transition table of ``tickets.py`` and compares what it is told to compare. Times are Unix
seconds of :meth:`Store.now`, which never goes back (T50). A verb that cannot commit raises
:class:`~counterfoil.errors.StoreFailed` and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from counterfoil.log import Leaf, LeafDraft
from counterfoil.tickets import Event, State, Ticket


@dataclass(frozen=True)
class NoticeDraft:
    """A message to write into the outbox; ``kind`` and ``seat`` are those of ``recipients.py``."""

    kind: str
    recipient: str
    """The person's id, or ``account:<account>`` for a holder without one: what caps count by."""
    address: str
    seat: str | None = None
    capped: bool = True
    """Whether the cap of notices per recipient and hour applies; a notice of an execution is never held back (T53)."""


NO_LONGER_NEEDED = "No longer needed"
"""How the error of a notice begins that was not sent because its ticket had ended: nobody need look at it."""


@dataclass(frozen=True)
class Notice:
    """An outbox row. ``state``: queued, sent, failed (with ``error``; tried again at ``next_try`` unless final)."""

    id: int
    ticket: str | None
    kind: str
    recipient: str
    address: str
    seat: str | None
    state: str
    tries: int
    next_try: int
    error: str | None
    created_at: int
    sent_at: int | None


@dataclass(frozen=True)
class Caps:
    """How many tickets may wait for people at once (T12, T13)."""

    per_principal: int = 200
    per_account: int = 5
    per_conversation: int = 10


@dataclass(frozen=True)
class NewTicket:
    """Everything :meth:`Store.create_ticket` writes at once."""

    ticket: Ticket
    dedupe: str
    """Keyed digest of who asks for what; the same one within 24 hours is the same ticket."""
    currency: str | None
    amount: Decimal | None
    """What counters add up, where the operation declares it."""
    leaf: LeafDraft
    notices: Sequence[NoticeDraft] = ()
    caps: Caps = field(default_factory=Caps)
    undoes: str | None = None
    """The ticket that this one would undo; of all that would undo one ticket, one at most is redeemed."""


@dataclass(frozen=True)
class Counters:
    """What happened, or may still happen, on one account with one operation in a span of time: how often in any
    currency, and how much in one."""

    count: int
    total: Decimal


@dataclass(frozen=True)
class StoredStatement:
    """One person's decision: the exact statement bytes and the assertion over them (JSON)."""

    ticket: str
    seat: str
    person: str
    credential: str
    decision: str
    statement: bytes
    assertion: str
    recorded_at: int


@dataclass(frozen=True)
class StoredSettlement:
    """What one person established of an unknown outcome: ``found`` and ``reference`` as in the exact bytes signed, and
    the assertion over them (JSON)."""

    ticket: str
    seat: str
    person: str
    credential: str
    found: str
    reference: str
    statement: bytes
    assertion: str
    recorded_at: int


@dataclass(frozen=True)
class Step:
    """One transition of one ticket, with its leaf and notices. ``at_most``: refuse when expired at that time."""

    event: Event
    leaf: LeafDraft
    outcome: str | None = None
    hold_until: int | None = None
    notices: Sequence[NoticeDraft] = ()


@dataclass(frozen=True)
class Capability:
    """A minted capability's row; its text is never stored. ``ended_at``: revoked, or its ticket was stopped; redeeming
    a ticket spends all its capabilities without a change of theirs."""

    id: str
    ticket: str
    key: str
    issued_at: int
    expires_at: int
    ended_at: int | None = None


@dataclass(frozen=True)
class Redeeming:
    """What a redemption claims, and what must still be so inside its transaction."""

    capability: str
    ticket: Ticket
    """The ticket that was judged. What comes of the redemption is made of it, not of what is stored by then."""
    statements: int
    """How many statements the evidence was made of."""
    counters: Counters | None
    """What was counted of the account's operations in this ``currency`` since then; None where nothing is counted."""
    currency: str | None
    counter_since: int
    scopes: Sequence[str]
    """Every scope that, suspended or revoked, forbids this redemption."""
    leaf: LeafDraft
    before: int | None = None
    """When the grant that it rests on ends (Unix seconds); None where it rests on none."""
    undoes: str | None = None
    """The ticket that it undoes: no other one must have undone it, or be at it."""


@dataclass(frozen=True)
class Revoked:
    """What a revocation met: tickets now revoked, tickets already executing, tickets already done."""

    revoked: int
    executing: int
    done: int
    grants: int = 0
    """Grants that ended with it."""


@dataclass(frozen=True)
class Suspension:
    """A scope that is stopped. ``final``: revoked, never resumed."""

    scope: str
    final: bool
    since: int
    reason: str


@dataclass(frozen=True)
class Principal:
    """An agent's credential. ``owner`` is the person behind it, who never fills a staff seat for it."""

    id: str
    owner: str | None
    created_at: int
    disabled_at: int | None


@dataclass(frozen=True)
class Conversation:
    """A chat's handle: a name, not authority. Times are Unix seconds."""

    id: str
    principal: str
    created_at: int
    expires_at: int


@dataclass(frozen=True)
class Secret:
    """A one-time or short-lived secret, known to the store only by its digest.

    ``kind``: link, session, challenge, nonce, invitation, code. ``data`` is JSON that its kind defines.
    """

    kind: str
    digest: str
    subject: str
    data: dict[str, Any]
    expires_at: int


@dataclass(frozen=True)
class Call:
    """A tool call as it is recorded: who, what, how it ended; arguments only as a digest."""

    at: int
    principal: str
    tool: str
    ticket: str | None
    status: str
    arguments: str


class Store(Protocol):
    """Verbs over durable state; every writing verb is one transaction."""

    def now(self) -> int:
        """The store's clock, in Unix seconds; never earlier than any time it has answered before."""

    # Tickets

    async def create_ticket(self, new: NewTicket) -> tuple[Ticket, bool]:
        """Insert it with its notices and leaf, and answer True; or answer the one it repeats, and False.

        Raises TooManyRequests when a cap is reached; the account's own as its subclass AccountBusy.
        """

    async def ticket(self, ticket: str) -> Ticket | None:
        """The ticket, or None."""

    async def tickets(
        self,
        *,
        states: Sequence[State] = (),
        principal: str | None = None,
        account: str | None = None,
        limit: int = 100,
    ) -> list[Ticket]:
        """The newest tickets first."""

    async def accesses(self, *, principal: str, conversation: str) -> list[Ticket]:
        """The executed accesses of this principal's conversation, the newest first."""

    async def request_leaf(self, ticket: str) -> tuple[Leaf, bytes] | None:
        """The leaf that recorded the request, and the MAC before it: the proof that the envelope is as it was."""

    async def counters(
        self, *, account: str, operation: str, currency: str | None, since: int, states: Sequence[State], excluding: str
    ) -> Counters:
        """Of the account's tickets of this operation in ``states``, requested or redeemed since then, except
        ``excluding``: how many, and the sum of those in this currency."""

    async def add_statement(
        self, statement: StoredStatement, *, nonce: str, leaf: LeafDraft, step: Step | None
    ) -> Ticket:
        """Spend the nonce, record the statement, and take ``step`` (a decline) if given.

        Raises StatementRefused when the nonce is spent or unknown, or when the person already fills a seat; WrongState
        or Expired when the ticket no longer waits. A ticket that is pending, approved or held may be declined; only a
        pending one may be approved.
        """

    async def statements(self, ticket: str) -> list[StoredStatement]:
        """In the order recorded."""

    async def wrong_code(self, ticket: str) -> int:
        """Count one wrong match code and answer how many there were."""

    async def step(self, ticket: str, step: Step) -> Ticket:
        """Take one transition; raises WrongState where the table has none, UnknownTicket, or Expired for APPROVE."""

    async def settle(self, settlement: StoredSettlement, *, nonce: str, scopes: Sequence[str], step: Step) -> Ticket:
        """Spend the nonce, record the settlement and take the step out of ``unknown``.

        Raises StatementRefused when the nonce is spent, too old or unknown; Suspended when one of ``scopes`` is
        stopped; WrongState when the outcome is known already, by whoever was faster; then nothing changed.
        """

    async def settlement(self, ticket: str) -> StoredSettlement | None:
        """What a person established of the ticket, or None."""

    async def expire_due(self, limit: int = 500) -> int:
        """Take the expire step for tickets past their time; answers how many."""

    async def ready(self, limit: int = 100) -> list[Ticket]:
        """Tickets of direct delivery that can be redeemed now: approved, or held and the hold is over."""

    async def mint(self, capability: Capability, leaf: LeafDraft) -> Capability:
        """Record a capability of a redeemable ticket, or answer the live one it already has; raises WrongState."""

    async def capability(self, capability: str) -> Capability | None:
        """The row of the capability with this id, spent or not; None for an unknown one."""

    async def redeem(self, redeeming: Redeeming) -> int:
        """THE transaction: check everything at once, spend the capability, claim the ticket, write the leaf; answers
        the time at which it did (Unix seconds).

        Raises CapabilityRefused, Expired, Suspended, NoAccess, AlreadyUndone, WrongState, CountersMoved or
        TamperDetected; then nothing changed.
        """

    # Stopping

    async def revoke(self, scope: str, *, reason: str, leaf: LeafDraft, final: bool) -> Revoked:
        """Revoke every ticket and capability in ``scope`` that is not claimed yet; ``final`` also bars the scope."""

    async def suspend(self, scope: str, *, reason: str, leaf: LeafDraft) -> None:
        """Bar the scope until it is resumed."""

    async def resume(self, scope: str, *, leaf: LeafDraft) -> bool:
        """Lift a suspension; False where there was none. Raises WrongState for a final revocation."""

    async def suspensions(self, scopes: Sequence[str] | None = None) -> list[Suspension]:
        """Those of ``scopes``, or all."""

    # Who calls, who decides

    async def add_principal(self, principal: Principal, token_digest: str, leaf: LeafDraft) -> None:
        """Raises UnknownName when the name is taken."""

    async def principal_by_token(self, token_digest: str) -> Principal | None:
        """The enabled principal with this token, or None."""

    async def principals(self) -> list[Principal]:
        """All, by name."""

    async def disable_principal(self, principal: str, leaf: LeafDraft) -> None:
        """Raises UnknownName."""

    async def add_roster_record(self, record: str, *, version: int, leaf: LeafDraft) -> None:
        """Append the record with exactly the next version; raises RosterRefused when another came first."""

    async def roster(self) -> tuple[list[str], list[str]]:
        """The records that the roster key signed and the enrolments that credentials did, each in order; as of one
        moment."""

    async def roster_size(self) -> tuple[int, int]:
        """How many roster records and enrolments there are; both only grow. Cheap."""

    async def add_enrolment(
        self,
        record: str,
        *,
        invitation: str,
        credential: str,
        leaf: LeafDraft,
        notices: Sequence[NoticeDraft] = (),
        asked: Sequence[tuple[str, NoticeDraft]] = (),
    ) -> None:
        """Append a credential's enrolment, spend the invitation (its digest), and write the notices that tell of it and
        those that ask, each about its ticket.

        Raises LinkRefused when the invitation is spent.
        """

    # Conversations

    async def start_conversation(self, conversation: Conversation, *, at_most: int) -> None:
        """Remember it; raises TooManyRequests where the principal has ``at_most`` that have not expired."""

    async def conversation(self, conversation: str) -> Conversation | None:
        """The conversation, unless it is unknown or has expired."""

    # Secrets of the verification layer

    async def put_secret(self, secret: Secret) -> None:
        """Remember it by its digest."""

    async def secret(self, kind: str, digest: str) -> Secret | None:
        """The live secret, or None for unknown, spent and expired alike."""

    async def take_secret(self, kind: str, digest: str) -> Secret | None:
        """Spend it: exactly one caller gets it."""

    # Notices, calls, log, settings

    async def lease_notices(self, *, limit: int, lease: int, cap: int, window: int) -> list[Notice]:
        """Queued notices that are due, leased for ``lease`` seconds. At most ``cap`` capped ones per recipient and
        ``window`` seconds; the others are moved to when the cap allows."""

    async def settle_notice(self, notice: int, *, sent: bool, error: str | None, next_try: int | None) -> None:
        """Record how a delivery went. ``next_try`` None with ``sent`` False means it failed for good."""

    async def add_notices(self, ticket: str | None, notices: Sequence[NoticeDraft]) -> None:
        """Write messages into the outbox outside any transition: a link asked for again, a passkey enrolled."""

    async def notices(self, ticket: str | None = None, limit: int = 100) -> list[Notice]:
        """Newest first."""

    async def record_calls(self, calls: Sequence[Call]) -> None:
        """Append tool calls."""

    async def calls(self, limit: int = 100) -> list[Call]:
        """Newest first."""

    async def append_leaf(self, leaf: LeafDraft) -> Leaf:
        """Record something that has no row of its own."""

    async def leaves(self, *, after: int = -1, ticket: str | None = None, limit: int = 1000) -> list[Leaf]:
        """In order."""

    async def enrolment_leaves(self, *, after: int = -1) -> list[tuple[Leaf, bytes]]:
        """All leaves after that index which are filed as enrolments, in order, each with the MAC of the one before
        it in the log."""

    async def setting(self, name: str) -> str | None:
        """A value pinned with :meth:`put_setting`."""

    async def put_setting(self, name: str, value: str) -> None:
        """Pin a value (the relying party id, for one)."""
