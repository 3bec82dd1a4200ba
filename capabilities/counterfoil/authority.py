"""The only door: request, decide, mint, redeem, report, revoke.

An authority owns no state and believes no caller. What an AI sends is frozen; what people sign is verified; what may
run is judged by policy over evidence; and exactly one transaction turns an approved ticket into an order. There is no
other way to an order, for unattended operations and administrators either.

Every method that changes something is one store verb (two where a decision also completes the evidence), so a crash
between any two lines leaves a state from which :meth:`Authority.advance` goes on.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from counterfoil import leaves, recipients, tokens
from counterfoil.canonical import b64, canonical, digest, salted_digest
from counterfoil.desk import Operation
from counterfoil.display import display
from counterfoil.errors import (
    BadArguments,
    CapabilityRefused,
    CodeRefused,
    CountersMoved,
    Expired,
    LinkRefused,
    PolicyRefuses,
    StatementRefused,
    Suspended,
    UnknownTicket,
    UnknownTool,
    WrongState,
)
from counterfoil.evidence import (
    SignedStatement,
    check_code,
    check_statement,
    code_digest,
    met_but_for_time,
)
from counterfoil.judgement import Judge, account_of, comparable_of
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.roster import Person
from counterfoil.rungs import Rung
from counterfoil.scopes import FINAL_KINDS, check_scope, pair, scopes_of
from counterfoil.statements import HOLDER, Decision, Statement, role_of
from counterfoil.store import (
    Capability,
    Caps,
    NewTicket,
    NoticeDraft,
    Redeeming,
    Revoked,
    Secret,
    Step,
    Store,
    StoredStatement,
)
from counterfoil.tickets import STOPPABLE, Envelope, Event, Signals, State, Ticket
from counterfoil.values import Account

MAX_NOTE = 500
WRONG_CODES = 3
"""After so many wrong match codes the ticket is declined."""

REDEEM_TRIES = 5
"""How often a redemption is judged again when another one moved a counter it had looked at."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks: an agent's credential, the person behind it, and the chat it comes from."""

    principal: str
    owner: str | None = None
    actor: str | None = None
    conversation: str | None = None
    signals: Signals = field(default_factory=Signals)


@dataclass(frozen=True, slots=True)
class Times:
    """Lifetimes in seconds (T11)."""

    statement: int = 600
    ticket: int = 86400
    capability: int = 120
    run: int = 300
    """From redemption until the executor no longer starts it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys that are not in the database: for deduplication, for match codes, for the chain of leaves. 32 bytes each."""

    dedupe: bytes
    code: bytes
    log: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """A statement made for one person to sign, or to let lapse."""

    statement: Statement
    statement_bytes: bytes
    challenge: bytes


@dataclass(frozen=True, slots=True)
class View:
    """What one person may see and do about one ticket."""

    ticket: Ticket
    envelope: Envelope
    person: Person
    seat: str
    content: dict[str, object]
    needs_code: bool
    can_approve: bool
    can_decline: bool
    decision: str | None
    """What this person decided before."""


class Authority:
    """The trusted core over one desk, one policy, one store."""

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
    ) -> None:
        self.issuer = issuer
        self.tenant = tenant
        self.executor = executor
        self.judge = judge
        self.keys = keys
        self.times = times or Times()
        self.caps = caps or Caps()
        self._secrets = secrets

    @property
    def store(self) -> Store:
        """Where everything durable is."""
        return self.judge.store

    # Request ----------------------------------------------------------------------------------------------------------

    async def request(
        self, requester: Requester, operation_name: str, argument_bytes: bytes, note: str | None = None
    ) -> Ticket:
        """Freeze what is asked for as a ticket; answers the ticket that an equal request already has.

        What the answer shows is the same whether the account exists, the preview fails or policy refuses: those are
        told on the holder's page only (T54). Raises BadArguments, UnknownTool, Suspended or TooManyRequests.
        """
        operation = self.judge.desk.operations.get(operation_name)
        if operation is None:
            raise UnknownTool()
        if note is not None and len(note) > MAX_NOTE:
            raise BadArguments(f"The note is longer than {MAX_NOTE} characters.", "Shorten it.")
        arguments = canonical(operation.validated(argument_bytes).model_dump(mode="json"))
        await self._refuse_suspended(
            ["everything", f"operation:{operation.name}", f"principal:{requester.principal}"]
            + ([f"conversation:{requester.conversation}"] if requester.conversation else [])
        )
        now = self.store.now()
        hint = getattr(operation.validated(arguments), operation.account_parameter)
        account = await self._find(hint)
        previewed = await self.judge.preview(operation, arguments, account)
        envelope = self._draft(requester, operation, arguments, account, note, now)
        refusal = previewed.refusal
        if previewed.facts is not None:
            required = await self.judge.requirements(envelope, previewed.facts, now)
            envelope = envelope.model_copy(
                update={
                    "facts": canonical(previewed.facts.model_dump(mode="json")).decode(),
                    "requirements": required.rungs,
                }
            )
            refusal = None if required.rungs else "; ".join(required.reasons) or "The policy does not allow this."
        return await self._create(envelope, operation, refusal)

    def match_code(self, ticket: str) -> str:
        """The six digits that the chat shows and the holder types; derived, never stored."""
        mac = hmac.digest(self._secrets.code, ticket.encode(), "sha256")
        return f"{int.from_bytes(mac[:8], 'big') % 1_000_000:06d}"

    async def status(self, principal: str, ticket_id: str) -> Ticket:
        """The principal's own ticket; raises UnknownTicket for foreign and unknown ones alike (T04)."""
        ticket = await self.store.ticket(ticket_id)
        if ticket is None or ticket.principal != principal:
            raise UnknownTicket()
        return await self._expired_if_due(ticket)

    async def cancel(self, principal: str, ticket_id: str) -> Ticket:
        """The requester withdraws it; raises UnknownTicket or WrongState."""
        ticket = await self.status(principal, ticket_id)
        step = Step(
            Event.CANCEL, leaves.stepped(Event.CANCEL, ticket.id), outcome=_reason("Cancelled by the requester.")
        )
        return await self.store.step(ticket.id, step)

    # Decide -----------------------------------------------------------------------------------------------------------

    async def view(self, ticket_id: str, person_id: str) -> View:
        """What the person may see of the ticket; raises LinkRefused for anyone whom it does not concern (T01)."""
        ticket = await self.store.ticket(ticket_id)
        person = (await self.judge.roster()).people.get(person_id)
        if ticket is None or person is None or person.ended:
            raise LinkRefused()
        ticket = await self._expired_if_due(ticket)
        envelope = ticket.envelope
        seat = recipients.seat_for(person, envelope)
        if seat is None:
            raise LinkRefused()
        await self.judge.check_untouched(ticket)
        mine = [stored for stored in await self.store.statements(ticket.id) if stored.person == person.id]
        return View(
            ticket=ticket,
            envelope=envelope,
            person=person,
            seat=seat,
            content=display(self.judge.desk.name, self.judge.operation(envelope), envelope, seat),
            needs_code=seat == HOLDER and envelope.actor != person.id,
            can_approve=ticket.state is State.PENDING and bool(envelope.requirements) and not mine,
            can_decline=ticket.state in STOPPABLE and not mine,
            decision=mine[0].decision if mine else None,
        )

    async def prepare(
        self, ticket_id: str, person_id: str, credential: str, decision: Decision, code: str | None = None
    ) -> Offer:
        """Make the statement that the person's passkey may sign within ten minutes.

        Raises LinkRefused, WrongState, Suspended, or CodeRefused; the third wrong code declines the ticket (T10).
        """
        view = await self.view(ticket_id, person_id)
        if not (view.can_approve if decision == "approve" else view.can_decline):
            raise WrongState(
                "You have already decided this request." if view.decision else "This request can no longer be decided."
            )
        await self._refuse_suspended(scopes_of(view.envelope, people=[person_id]))
        if decision == "approve" and view.needs_code:
            await self._check_code(view, code)
        now = self.store.now()
        statement = Statement(
            issuer=self.issuer,
            envelope=view.ticket.digest,
            display=self.judge.display_digests(view.envelope)(view.seat),
            seat=view.seat,
            person=person_id,
            credential=credential,
            decision=decision,
            code=code if decision == "approve" and view.needs_code else None,
            nonce=b64(secrets.token_bytes(32)),
            iat=now,
            exp=now + self.times.statement,
        )
        body = statement.to_bytes()
        data = {"statement": digest("counterfoil-statement", body)}
        await self.store.put_secret(Secret("nonce", nonce_digest(statement.nonce), ticket_id, data, statement.exp))
        return Offer(statement, body, statement.challenge)

    async def decide(self, ticket_id: str, signed: SignedStatement, *, disown: bool = False) -> Ticket:
        """Record what a person signed, and go on if nothing more is needed.

        ``disown`` ("this wasn't me") with a decline also suspends the requester for this account and revokes what it
        has pending there (T12). Raises StatementRefused, Expired, WrongState or Suspended.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise LinkRefused()
        await self.judge.check_untouched(ticket)
        envelope = ticket.envelope
        statement, person, _ = check_statement(
            signed,
            envelope=envelope,
            envelope_bytes=ticket.envelope_bytes,
            display_of=self.judge.display_digests(envelope),
            roster=await self.judge.roster(),
            party=self.judge.trust.party,
        )
        nonce = await self.store.secret("nonce", nonce_digest(statement.nonce))
        body_digest = digest("counterfoil-statement", signed.statement)
        if nonce is None or nonce.subject != ticket_id or nonce.data.get("statement") != body_digest:
            raise StatementRefused("The signature came too late, or was used before.")
        if not statement.iat <= self.store.now() < statement.exp:
            raise Expired("The signature came too late.", "Open the link again and sign once more.")
        await self._refuse_suspended(scopes_of(envelope, people=[person.id]))
        if statement.decision == "approve" and statement.seat == HOLDER and envelope.actor != person.id:
            check_code(envelope, statement.code or "")
        stored = StoredStatement(
            ticket_id, statement.seat, person.id, statement.credential, statement.decision, signed.statement,
            canonical(signed.assertion.model_dump(mode="json")).decode(), self.store.now(),
        )  # fmt: skip
        declined = statement.decision == "decline"
        step = self._decline(ticket_id, f"Declined {_as(statement.seat)}.") if declined else None
        leaf = leaves.decided(ticket_id, body_digest, statement.seat, statement.decision, person.id)
        ticket = await self.store.add_statement(stored, nonce=nonce.digest, leaf=leaf, step=step)
        if not declined:
            return await self.advance(ticket_id)
        if disown:
            await self._disown(envelope)
        return ticket

    async def veto(self, ticket_id: str, *, disown: bool = False) -> Ticket:
        """Decline by somebody who proved only that a message to the holder's channel reached them (a veto).

        A message can stop a ticket; it can never approve one (T09).
        """
        ticket = await self.store.step(ticket_id, self._decline(ticket_id, "Stopped from the account's own channel."))
        if disown:
            await self._disown(ticket.envelope)
        return ticket

    async def advance(self, ticket_id: str) -> Ticket:
        """Go on as far as the evidence at hand allows: approve, hold, or decline what policy no longer allows.

        Safe to repeat; answers the ticket as it stands.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        if ticket.state not in (State.PENDING, State.APPROVED):
            return ticket
        await self.judge.check_untouched(ticket)
        evidence = await self.judge.evidence(ticket, await self.store.statements(ticket_id))
        envelope = ticket.envelope
        rung = met_but_for_time(envelope.requirements, evidence.reached)
        if rung is None:
            return ticket
        reason = await self._no_longer_allowed(
            ticket, envelope, evidence.reached.model_copy(update={"hold": rung.hold})
        )
        if reason is not None:
            return await self.store.step(ticket_id, self._decline(ticket_id, reason))
        try:
            if ticket.state is State.PENDING:
                ticket = await self.store.step(ticket_id, Step(Event.APPROVE, leaves.stepped(Event.APPROVE, ticket_id)))
            if rung.hold:
                until = self.store.now() + rung.hold
                leaf = leaves.stepped(Event.HOLD, ticket_id, until=until)
                notices = await self._objection_notices(envelope)
                ticket = await self.store.step(ticket_id, Step(Event.HOLD, leaf, hold_until=until, notices=notices))
        except WrongState:
            return await self.store.ticket(ticket_id) or ticket
        return ticket

    # Mint and redeem --------------------------------------------------------------------------------------------------

    async def mint(self, ticket_id: str) -> str:
        """The capability with which this ticket can be redeemed once within two minutes; the live one if there is one.

        Raises a refusal unless the ticket is approved, any hold is over, and the judgement of this moment allows it.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        now = self.store.now()
        if ticket.state not in (State.APPROVED, State.HELD) or (ticket.hold_until or 0) > now:
            raise WrongState("The ticket is not approved, or its waiting time is not over.")
        judgement = await self.judge.may_run(ticket, now)
        await self._refuse_suspended(scopes_of(ticket.envelope, people=judgement.evidence.people))
        fresh = Capability(
            b64(secrets.token_bytes(16)), ticket_id, self.keys.current.id, now, now + self.times.capability
        )
        held = await self.store.mint(fresh, leaves.minted(ticket_id, fresh.id, fresh.key))
        key = self._signing_key(held.key)
        return tokens.sign(
            key,
            tokens.CAPABILITY_TYPE,
            tokens.CapabilityClaims(
                iss=self.issuer, aud=self.issuer, sub=ticket.principal, jti=held.id, ticket=ticket_id,
                envelope=ticket.digest, iat=held.issued_at, exp=held.expires_at,
            ).model_dump(),
        )  # fmt: skip

    async def redeem(self, ticket_id: str, capability: str, *, presenter: str | None = None) -> tuple[Ticket, str]:
        """THE door: spend the capability, claim the ticket, and answer the order for the executor.

        ``presenter`` is the principal that sent it (collected delivery), None when the authority's own side presents
        it (direct delivery). Every failure of the capability itself raises the same CapabilityRefused.
        """
        claims, key = tokens.read_capability(
            capability, self.keys.verification_keys, issuer=self.issuer, now=self.store.now()
        )
        ticket = await self.store.ticket(ticket_id)
        if ticket is None or claims.ticket != ticket_id or claims.envelope != ticket.digest:
            raise CapabilityRefused()
        by_principal = ticket.delivery == "collected"
        if claims.sub != ticket.principal or presenter != (ticket.principal if by_principal else None):
            raise CapabilityRefused()
        for _ in range(REDEEM_TRIES):
            judgement = await self.judge.may_run(ticket, self.store.now())
            redeeming = Redeeming(
                capability=claims.jti,
                ticket=ticket_id,
                digest=claims.envelope,
                statements=judgement.statements,
                counters=judgement.counters if ticket.account is not None else None,
                counter_since=judgement.counter_since,
                scopes=scopes_of(ticket.envelope, people=judgement.evidence.people, capability=claims.jti, key=key),
                leaf=leaves.stepped(Event.REDEEM, ticket_id, capability=claims.jti, envelope=claims.envelope),
            )
            try:
                redeemed = await self.store.redeem(redeeming)
            except CountersMoved:
                continue
            return redeemed, self.order(redeemed)
        raise CountersMoved()

    async def deliver(self, ticket_id: str) -> tuple[Ticket, str] | None:
        """Direct delivery: mint and redeem on the authority's own side; None where policy refused, which declines it."""
        try:
            return await self.redeem(ticket_id, await self.mint(ticket_id))
        except PolicyRefuses as error:
            await self.store.step(ticket_id, self._decline(ticket_id, error.happened))
            return None

    def order(self, ticket: Ticket) -> str:
        """The order for a ticket that a redemption claimed; the same claims each time it is asked for."""
        if ticket.state is not State.EXECUTING or ticket.redeemed_at is None:
            raise WrongState("Only a redeemed ticket has an order.")
        claims = tokens.OrderClaims(
            iss=self.issuer,
            aud=ticket.envelope.executor,
            jti=f"order-{ticket.id}",
            ticket=ticket.id,
            envelope=ticket.digest,
            redeemed_at=ticket.redeemed_at,
            run_by=ticket.redeemed_at + self.times.run,
        )
        return tokens.sign(self.keys.current, tokens.ORDER_TYPE, claims.model_dump())

    async def report(self, ticket_id: str, event: Event, outcome: dict[str, object]) -> Ticket:
        """Record what the executor found out, and tell the holder of everything that was executed (T53)."""
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        told = event in (Event.REPORT_EXECUTED, Event.FIND_EXECUTED, Event.REPORT_UNKNOWN)
        notices = await self._outcome_notices(ticket) if told else []
        text = canonical(outcome).decode()
        return await self.store.step(
            ticket_id, Step(event, leaves.stepped(event, ticket_id, outcome=outcome), outcome=text, notices=notices)
        )

    # Stop -------------------------------------------------------------------------------------------------------------

    async def revoke(self, scope: str, reason: str) -> Revoked:
        """End everything in the scope that is not claimed yet, and say what was met; some kinds are barred for good."""
        scope = check_scope(scope)
        leaf = leaves.administered("revoke_scope", scope=scope, reason=reason)
        final = scope.partition(":")[0] in FINAL_KINDS
        return await self.store.revoke(scope, reason=reason, leaf=leaf, final=final)

    async def suspend(self, scope: str, reason: str) -> None:
        """Bar the scope until it is resumed."""
        scope = check_scope(scope)
        await self.store.suspend(scope, reason=reason, leaf=leaves.administered("suspend", scope=scope, reason=reason))

    async def resume(self, scope: str) -> bool:
        """Lift a suspension; False where there was none."""
        scope = check_scope(scope)
        return await self.store.resume(scope, leaf=leaves.administered("resume", scope=scope))

    # Inner steps ------------------------------------------------------------------------------------------------------

    def _draft(
        self,
        requester: Requester,
        operation: Operation[Any, Any],
        arguments: bytes,
        account: Account | None,
        note: str | None,
        now: int,
    ) -> Envelope:
        salt, ticket = secrets.token_bytes(32), new_ticket_id()
        return Envelope(
            issuer=self.issuer,
            tenant=self.tenant,
            ticket=ticket,
            operation=operation.name,
            arguments=arguments.decode(),
            account=account,
            principal=requester.principal,
            owner=requester.owner,
            actor=requester.actor,
            conversation=requester.conversation,
            delivery=operation.delivery,
            executor=self.executor,
            facts=None,
            requirements=(),
            policy=self.judge.policy.digest,
            tool=operation.digest,
            code=code_digest(salt, self.match_code(ticket)),
            signals=requester.signals,
            note=note,
            undoes=None,
            requested_at=now,
            expires_at=now + self.times.ticket,
            salt=b64(salt),
        )

    async def _create(self, envelope: Envelope, operation: Operation[Any, Any], refusal: str | None) -> Ticket:
        body = envelope.to_bytes()
        ticket = Ticket(
            id=envelope.ticket,
            state=State.PENDING,
            envelope_bytes=body,
            principal=envelope.principal,
            account=envelope.account,
            operation=envelope.operation,
            conversation=envelope.conversation,
            delivery=envelope.delivery,
            requested_at=envelope.requested_at,
            expires_at=envelope.expires_at,
            refusal=refusal,
        )
        asked_for = [envelope.principal, envelope.conversation, envelope.operation, envelope.arguments]
        amount = operation.counted(envelope.arguments.encode())
        roster = await self.judge.roster()
        created, _ = await self.store.create_ticket(
            NewTicket(
                ticket=ticket,
                dedupe=salted_digest(self._secrets.dedupe, "counterfoil-request", canonical(asked_for)),
                currency=amount.currency if amount else None,
                amount=amount.amount if amount else None,
                leaf=leaves.requested(ticket.id, ticket.digest, ticket.principal, ticket.operation),
                notices=await recipients.asked(
                    envelope, roster, self.judge.desk.directory, refused=not envelope.requirements
                ),
                caps=self.caps,
            )
        )
        return created

    async def _find(self, hint: str) -> Account | None:
        try:
            return await self.judge.desk.directory.find(hint)
        except Exception:
            return None

    async def _expired_if_due(self, ticket: Ticket) -> Ticket:
        if ticket.state not in STOPPABLE or self.store.now() < ticket.expires_at:
            return ticket
        try:
            return await self.store.step(ticket.id, Step(Event.EXPIRE, leaves.stepped(Event.EXPIRE, ticket.id)))
        except WrongState:
            return await self.store.ticket(ticket.id) or ticket

    async def _check_code(self, view: View, code: str | None) -> None:
        try:
            check_code(view.envelope, code or "")
        except StatementRefused:
            wrong = await self.store.wrong_code(view.ticket.id)
            if wrong >= WRONG_CODES:
                await self.store.step(
                    view.ticket.id, self._decline(view.ticket.id, "The match code was wrong three times.")
                )
                raise CodeRefused(
                    "That was not the code from the chat, three times; the request is now declined.",
                    "If you asked for this yourself, ask for it again in the chat.",
                ) from None
            raise CodeRefused() from None

    async def _refuse_suspended(self, scopes: Sequence[str]) -> None:
        if await self.store.suspensions(scopes):
            raise Suspended()

    async def _disown(self, envelope: Envelope) -> None:
        """Suspend the requester for the account and revoke everything it has pending there (T12)."""
        if envelope.account is None:
            return
        await self.suspend(pair(envelope.principal, envelope.account), "The holder said that it was not them.")
        waiting = await self.store.tickets(
            states=tuple(STOPPABLE), principal=envelope.principal, account=envelope.account, limit=1000
        )
        for ticket in waiting:
            leaf = leaves.stepped(Event.REVOKE, ticket.id, reason="disowned")
            with suppress(WrongState):
                await self.store.step(ticket.id, Step(Event.REVOKE, leaf, outcome=_reason("The holder disowned it.")))

    def _decline(self, ticket_id: str, why: str) -> Step:
        return Step(Event.DECLINE, leaves.stepped(Event.DECLINE, ticket_id, why=why), outcome=_reason(why))

    async def _no_longer_allowed(self, ticket: Ticket, envelope: Envelope, reached: Rung) -> str | None:
        """Why the ticket cannot be approved any more: changed facts (T27) or a policy that now says no."""
        operation = self.judge.operation(envelope)
        previewed = await self.judge.preview(operation, envelope.arguments.encode(), account_of(envelope))
        if previewed.facts is None:
            return previewed.refusal
        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):
            return "The facts have changed since the request was made; please ask again."
        now = self.store.now()
        verdict, _ = await self.judge.allows(envelope, previewed.facts.model_dump(mode="json"), reached, now)
        return None if verdict.allowed else "; ".join(verdict.reasons) or "The policy does not allow it now."

    async def _objection_notices(self, envelope: Envelope) -> list[NoticeDraft]:
        earlier = await self.store.notices(envelope.ticket)
        roster = await self.judge.roster()
        return [
            NoticeDraft(recipients.OBJECT, f"account:{envelope.account}", address, HOLDER, capped=False)
            for address in await recipients.addresses(envelope, roster, self.judge.desk.directory, earlier)
        ]

    async def _outcome_notices(self, ticket: Ticket) -> list[NoticeDraft]:
        earlier = await self.store.notices(ticket.id)
        roster = await self.judge.roster()
        return [
            NoticeDraft(recipients.EXECUTED, f"account:{ticket.account}", address, HOLDER, capped=False)
            for address in await recipients.addresses(ticket.envelope, roster, self.judge.desk.directory, earlier)
        ]

    def _signing_key(self, key: str) -> SigningKey:
        held = next((k for k in (self.keys.current, self.keys.previous, self.keys.next) if k and k.id == key), None)
        if held is None:
            raise CapabilityRefused()
        return held


def new_ticket_id() -> str:
    """160 random bits (T04), readable aloud: ``cf_`` and base32 in lower case."""
    return "cf_" + base64.b32encode(secrets.token_bytes(20)).decode().lower()


def nonce_digest(nonce: str) -> str:
    """By what the store knows a statement's nonce."""
    return digest("counterfoil-nonce", nonce.encode())


def _reason(why: str) -> str:
    return canonical({"reason": why}).decode()


def _as(seat: str) -> str:
    return "by the account's holder" if seat == HOLDER else f"by somebody with the role {role_of(seat)}"
