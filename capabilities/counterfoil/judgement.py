"""May this ticket run now? The one place where evidence, requirements, policy and stored records are put together.

Everything is read afresh and verified afresh: the people's signatures, the leaf that pinned the envelope. Of the roster
and of grants, what was verified is used again while every byte that it was made of is the same. Any error means no
(invariant 12).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from counterfoil.asking import Question
from counterfoil.canonical import canonical, digest, parse_strict, salted_digest, unb64
from counterfoil.desk import Desk
from counterfoil.display import display, display_digest
from counterfoil.enrolments import EnrolmentsTold
from counterfoil.errors import (
    ASK_AGAIN,
    BadJSON,
    CounterfoilError,
    NoAccess,
    PolicyRefuses,
    StatementRefused,
    TamperDetected,
    WrongState,
)
from counterfoil.evidence import Evidence, SignedStatement, evidence_of, met, with_wait
from counterfoil.granted import Grants
from counterfoil.grants import covers
from counterfoil.leaves import STATEMENT
from counterfoil.log import GENESIS, GROUP, Leaf, check_link, group_salt
from counterfoil.operations import RECEIPT, Operation
from counterfoil.policy import Policy, Requirements, Verdict
from counterfoil.roster import Roster, RosterTrust, verify_roster
from counterfoil.rungs import Rung
from counterfoil.statements import Assertion
from counterfoil.store import Counters, Store, StoredStatement
from counterfoil.tickets import COUNTED, PLANNED, UNDOABLE, Envelope, State, Ticket, state_told
from counterfoil.values import Account, Facts, NotExecuted, style_of

COUNTER_WINDOW = 86400
"""Seconds over which policy's counters count."""

NOTHING_COUNTED = Counters(0, Decimal(0))
"""What is said of the past to a policy that does not look at it."""

NOBODY = Account("nobody")
"""Whose records a preview reads when the directory knows no such account, so that it takes as long (T54)."""


OutcomeOf = Callable[[Operation[Any, Any], str, Account], Awaitable[object]]
"""Operation, ticket and account -> the outcome that was reported, or None unless it was carried out."""


@dataclass(frozen=True)
class Judgement:
    """A favourable judgement, and what it was made of: redemption compares both inside its transaction."""

    evidence: Evidence
    reached: Rung
    statements: int
    counters: Counters | None
    """None where the policy looks at none."""
    currency: str | None
    counter_since: int
    grant_ends_at: int | None = None
    """Until when it may be redeemed, where it rests on a grant (Unix seconds)."""


@dataclass(frozen=True)
class Previewed:
    """The facts of a preview, or why there are none."""

    facts: Facts | None
    refusal: str | None


class Judge:
    """Judges tickets over a store, a desk, a policy and a roster that it trusts only as far as it verified them."""

    def __init__(
        self,
        *,
        desk: Desk,
        policy: Policy,
        store: Store,
        trust: RosterTrust,
        log_key: bytes,
        outcome_of: OutcomeOf | None = None,
    ) -> None:
        """``outcome_of`` tells how a ticket that is to be undone ended, for a judge that does not believe the store."""
        self._outcome_of = outcome_of or self._stored_outcome
        self.desk = desk
        self.policy = policy
        self.store = store
        self._trust = trust
        self._log_key = log_key
        self._roster: tuple[str, Roster] | None = None
        self._told: tuple[tuple[int, int], Roster] | None = None
        self._enrolments = EnrolmentsTold(store, log_key)
        self.grants = Grants(self)

    def believing(self, outcome_of: OutcomeOf) -> Judge:
        """The same judge, asking somebody else how a ticket that is to be undone ended."""
        return Judge(
            desk=self.desk, policy=self.policy, store=self.store, trust=self._trust, log_key=self._log_key,
            outcome_of=outcome_of,
        )  # fmt: skip

    @property
    def trust(self) -> RosterTrust:
        """The roster keys, the passkeys' party, and the highest roster version seen so far as the lowest accepted."""
        seen = self._roster[1].version if self._roster else 0
        return replace(self._trust, minimum_version=max(self._trust.minimum_version, seen))

    async def roster(self) -> Roster:
        """The verified roster, whose enrolments are those that the log tells of; verified again whenever a stored byte
        of it changed."""
        records, enrolments = await self.store.roster()
        # With their lengths, so that no two ways to cut the same text are taken for each other.
        stored = "".join(f"{len(each)}:{each}" for each in (*records, *enrolments))
        fingerprint = digest("counterfoil-roster", f"{len(records)}:{stored}".encode())
        if self._roster is None or not hmac.compare_digest(self._roster[0], fingerprint):
            roster = verify_roster(records, enrolments, self.trust)
            roster.check_enrolled((await self._enrolments.told()).get)
            self._enrolments.remember(roster)
            if self._roster is None or roster.version >= self._roster[1].version:
                self._roster = (fingerprint, roster)  # what another call read later meanwhile is not taken back
            return roster
        return self._roster[1]

    async def is_spent(self, invitation: str) -> bool:
        """Whether the log tells that a passkey was enrolled with the invitation (its digest)."""
        return invitation in await self._enrolments.told()

    async def roster_to_tell(self) -> Roster:
        """The roster as it was last verified, unless it has grown since: good enough to know who is told, no more."""
        size = await self.store.roster_size()
        if self._told is None or self._told[0] != size:
            self._told = (size, await self.roster())
        return self._told[1]

    async def call_arguments(
        self, operation: Operation[Any, Any], argument_bytes: bytes, account: Account
    ) -> dict[str, Any]:
        """What preview and connector are called with; an undo gets the receipt of what it undoes.

        Raises NotExecuted where there is no such receipt, of this account, to be had.
        """
        values = operation.call_arguments(argument_bytes, account)
        if operation.undoes is None:
            return values
        outcome = await self._outcome_of(operation.undoes, values.pop("ticket"), account)
        try:
            return values | {RECEIPT: operation.undoes.receipt_of(outcome)}
        except ValueError:
            raise NotExecuted("there is nothing that was carried out and could be undone") from None

    async def _stored_outcome(self, operation: Operation[Any, Any], ticket_id: str, account: Account) -> object:
        """What is stored of how a ticket of this operation and account ended; None unless it was carried out."""
        ticket = await self.store.ticket(ticket_id)
        if ticket is None or ticket.state not in UNDOABLE:
            return None
        if (ticket.operation, ticket.account) != (operation.name, account):
            return None
        await self.check_untouched(ticket)
        return parse_strict((ticket.outcome or "{}").encode())

    async def preview(
        self, operation: Operation[Any, Any], argument_bytes: bytes, account: Account | None
    ) -> Previewed:
        """Read the facts and check whose they are (T43). Never raises."""
        assert operation.run_preview is not None  # noqa: S101 - Desk.check refused it at load
        try:
            async with asyncio.timeout(operation.time_limit):
                values = await self.call_arguments(operation, argument_bytes, account or NOBODY)
                facts = await operation.run_preview(**values)
        except NotExecuted as error:
            return Previewed(None, f"The organisation's records do not allow it: {error}")
        except Exception:
            return Previewed(None, "The organisation's records could not be read for this request.")
        if account is None:
            return Previewed(None, "The account is not known.")
        if not isinstance(facts, operation.facts) or set(facts.owners) != {account}:
            return Previewed(None, "What the request names does not belong to this account alone.")
        try:
            canonical(facts.model_dump(mode="json"))
        except BadJSON:
            return Previewed(None, "The organisation's records hold a value that cannot be signed.")
        return Previewed(facts, None)

    def display_digests(self, envelope: Envelope) -> Callable[[str], str]:
        """The digest of what each seat must be shown."""
        operation = self.operation(envelope)
        return lambda seat: display_digest(display(self.desk.name, operation, envelope, seat))

    def operation(self, envelope: Envelope) -> Operation[Any, Any]:
        """The operation, exactly as it was when the ticket was made (T26)."""
        operation = self.desk.operations.get(envelope.operation)
        if operation is None or operation.digest != envelope.tool:
            raise PolicyRefuses("The operation has changed since it was requested.", ASK_AGAIN)
        return operation

    async def evidence(self, ticket: Ticket, statements: list[StoredStatement]) -> Evidence:
        """What people proved about the ticket; raises StatementRefused or RosterRefused if anything does not hold."""
        return self.evidence_under(await self.roster(), ticket, statements)

    def evidence_under(self, roster: Roster, ticket: Ticket, statements: list[StoredStatement]) -> Evidence:
        """Like :meth:`evidence`, by a roster that was verified."""
        envelope = ticket.envelope
        return evidence_of(
            [signed_statement(stored) for stored in statements],
            envelope=envelope,
            digest=ticket.digest,
            display_of=self.display_digests(envelope),
            roster=roster,
            party=self._trust.party,
        )

    async def check_untouched(self, ticket: Ticket) -> None:
        """Raise :class:`TamperDetected` unless the envelope is the one whose digest was chained into the log (T40)."""
        self.check_recorded(ticket, await self.store.request_leaf(ticket.id))

    def check_recorded(self, ticket: Ticket, found: tuple[Leaf, bytes] | None) -> None:
        """Like :meth:`check_untouched`; ``found`` is the leaf of the request, and the MAC before it."""
        if found is None or found[0].opening is None:
            raise TamperDetected()
        leaf, previous = found
        check_link(leaf, previous, self._log_key)
        groups = leaf.values.get("groups")
        try:
            opening = parse_strict(leaf.opening or b"")
            if not isinstance(opening, dict) or not isinstance(groups, dict) or leaf.values.get("ticket") != ticket.id:
                raise TamperDetected()
            salt = group_salt(unb64(str(opening.get("salt"))), "envelope")
        except BadJSON:
            raise TamperDetected() from None
        expected = salted_digest(salt, GROUP, canonical(ticket.digest))
        envelope = ticket.envelope
        same = (
            envelope.ticket, envelope.principal, envelope.account, envelope.operation, envelope.conversation,
            envelope.delivery, envelope.requested_at, envelope.expires_at,
        ) == (
            ticket.id, ticket.principal, ticket.account, ticket.operation, ticket.conversation,
            ticket.delivery, ticket.requested_at, ticket.expires_at,
        )  # fmt: skip
        if groups.get("envelope") != expected or not same:
            raise TamperDetected()

    async def told_by_log(self, ticket_id: str) -> tuple[State, int]:
        """Where the ticket stands by its leaves alone, and of how many statements they tell; raises
        :class:`TamperDetected` unless each follows from the leaf before it and together they are steps of the table
        (T40). Leaves that somebody hid are not missed here, but when the whole log is verified."""
        events: list[str] = []
        index = -1
        while leaves := await self.store.leaves(ticket=ticket_id, after=index):
            for leaf in leaves:
                before = [] if leaf.index == 0 else await self.store.leaves(after=leaf.index - 2, limit=1)
                check_link(leaf, before[0].mac if before else GENESIS, self._log_key)
                if leaf.values.get("ticket") != ticket_id:
                    raise TamperDetected()
                events.append(str(leaf.values.get("event")))
                index = leaf.index
        try:
            return state_told(events), events.count(STATEMENT)
        except WrongState:
            raise TamperDetected() from None

    def question(
        self, operation: Operation[Any, Any], envelope: Envelope, facts: dict[str, object], counters: Counters
    ) -> Question:
        """What policy is asked."""
        return Question(
            operation=operation,
            principal=envelope.principal,
            account=envelope.account,
            arguments=envelope.argument_values,
            facts=facts,
            tainted=envelope.signals.tainted,
            unguarded=facts.get("guard") is None,
            counters=counters,
            amount=operation.counted(envelope.arguments.encode()),
        )

    async def _counted_question(
        self,
        operation: Operation[Any, Any],
        envelope: Envelope,
        facts: dict[str, object],
        *,
        planned: bool,
        now: int,
        unattended: bool = False,
    ) -> Question:
        """What policy is asked, with what already happened (or, ``planned``, may still happen) in the window, without
        this ticket."""
        question = self.question(operation, envelope, facts, NOTHING_COUNTED)
        if not self.policy.counts(operation.name, unattended=unattended):
            return question
        counters = await self.store.counters(
            account=envelope.account or NOBODY,
            operation=envelope.operation,
            currency=question.amount.currency if question.amount else None,
            since=now - COUNTER_WINDOW,
            states=tuple(PLANNED if planned else COUNTED),
            excluding=envelope.ticket,
        )
        return replace(question, counters=counters)

    async def requirements(self, envelope: Envelope, facts: Facts, now: int) -> Requirements:
        """The least evidence with which policy would allow it. Never raises: an error requires the impossible."""
        operation, values = self.desk.operations[envelope.operation], facts.model_dump(mode="json")
        question = await self._counted_question(operation, envelope, values, planned=True, now=now)
        try:
            return self.policy.requirements(question)
        except CounterfoilError as error:
            return Requirements((), (error.happened,))

    async def allows(
        self, envelope: Envelope, facts: dict[str, object], reached: Rung, now: int
    ) -> tuple[Verdict, Question]:
        """The policy of today, with real evidence and counters; and what it was asked."""
        question = await self._counted_question(self.operation(envelope), envelope, facts, planned=False, now=now)
        return self.policy.allows(question, reached), question

    async def allows_unattended(
        self, envelope: Envelope, facts: dict[str, object], now: int, *, planned: bool = False
    ) -> tuple[Verdict, Question]:
        """The policy of today about running without anybody's signature; and what it was asked."""
        question = await self._counted_question(
            self.operation(envelope), envelope, facts, planned=planned, now=now, unattended=True
        )
        return self.policy.unattended(question), question

    async def may_run(self, ticket: Ticket, now: int) -> Judgement:
        """Whether the ticket may be minted for and redeemed at ``now``; raises a refusal if not."""
        await self.check_untouched(ticket)
        statements = await self.store.statements(ticket.id)
        evidence = await self.evidence(ticket, statements)
        envelope = ticket.envelope
        if envelope.grant is not None:
            return await self._may_run_unattended(envelope, len(statements), now)
        reached = with_wait(evidence, now)
        if met(envelope.requirements, reached) is None:
            raise WrongState("The people whose consent it needs have not all signed, or its waiting time is not over.")
        verdict, asked = await self.allows(envelope, envelope.fact_values or {}, reached, now)
        if not verdict.allowed:
            raise PolicyRefuses("; ".join(verdict.reasons) or None)
        counters = asked.counters if self.policy.counts(envelope.operation) else None
        return Judgement(evidence, reached, len(statements), counters, _currency(asked), now - COUNTER_WINDOW)

    async def _may_run_unattended(self, envelope: Envelope, statements: int, now: int) -> Judgement:
        grant = await self.grants.grant(envelope.grant or "", now)
        if not covers(grant, envelope):
            raise NoAccess()
        verdict, asked = await self.allows_unattended(envelope, envelope.fact_values or {}, now)
        if not verdict.allowed:
            raise PolicyRefuses("; ".join(verdict.reasons) or None)
        counters = asked.counters if self.policy.counts(envelope.operation, unattended=True) else None
        return Judgement(
            Evidence(Rung(), grant.people, 0), Rung(), statements, counters, _currency(asked), now - COUNTER_WINDOW,
            grant.ends_at,
        )  # fmt: skip


def _currency(asked: Question) -> str | None:
    return asked.amount.currency if asked.amount else None


def signed_statement(stored: StoredStatement) -> SignedStatement:
    """The stored statement, to be verified."""
    try:
        return SignedStatement(stored.statement, Assertion.model_validate_json(stored.assertion))
    except ValueError:
        raise StatementRefused("A stored signature cannot be read.") from None


def account_of(envelope: Envelope) -> Account | None:
    """The account that the directory found when the ticket was made."""
    return Account(envelope.account) if envelope.account is not None else None


def comparable_of(operation: Operation[Any, Any], envelope: Envelope) -> dict[str, Any]:
    """The frozen facts that must be the same again (T27)."""
    facts = envelope.fact_values or {}
    return {name: value for name, value in facts.items() if style_of(operation.facts, name).compared}
