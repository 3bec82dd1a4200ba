"""The authority's second verb: people look, sign, decline or object, and a ticket goes on or ends.

A statement is made here, signed elsewhere, and counts only if it is exactly the one that was made, for the person and
ticket it was made for, within its time, once. One decline is final (invariant 7).
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass

from counterfoil import leaves, recipients
from counterfoil.canonical import b64, canonical, digest
from counterfoil.display import display
from counterfoil.door import reason
from counterfoil.errors import (
    ASK_AGAIN,
    CodeRefused,
    Expired,
    LinkRefused,
    NoAccess,
    PolicyRefuses,
    StatementRefused,
    UnknownTicket,
    WrongState,
)
from counterfoil.evidence import (
    STATEMENT_LIFE,
    SignedStatement,
    check_code,
    check_statement,
    met_but_for_time,
)
from counterfoil.judgement import account_of, comparable_of
from counterfoil.roster import Person
from counterfoil.rungs import Rung
from counterfoil.scopes import pair, scopes_of
from counterfoil.statements import HOLDER, Choice, Decision, Statement, role_of, seats_required, signed_as
from counterfoil.stop_verbs import StopVerbs
from counterfoil.store import (
    NoticeDraft,
    Secret,
    Step,
    StoredStatement,
)
from counterfoil.tickets import ACCESS, STOPPABLE, Envelope, Event, State, Ticket

WRONG_CODES = 3
"""After so many wrong match codes the ticket is declined."""


@dataclass(frozen=True)
class Offer:
    """A statement made for one person to sign, or to let lapse."""

    statement: Statement
    statement_bytes: bytes
    challenge: bytes


@dataclass(frozen=True)
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


class DecisionVerbs(StopVerbs):
    """View, prepare, decide, veto, advance."""

    async def view(self, ticket_id: str, person_id: str) -> View:
        """What the person may see of the ticket; raises LinkRefused for anyone whom it does not concern (T01)."""
        ticket = await self.store.ticket(ticket_id)
        roster = await self.judge.roster()
        person = roster.people.get(person_id)
        if ticket is None or person is None or person.ended:
            raise LinkRefused()
        ticket = await self._expired_if_due(ticket)
        envelope = ticket.envelope
        seat = recipients.seat_for(person, envelope, roster)
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
            can_approve=ticket.state is State.PENDING and seat in seats_required(envelope) and not mine,
            can_decline=ticket.state in STOPPABLE and not mine,
            decision=mine[0].decision if mine else None,
        )

    async def prepare(
        self, ticket_id: str, person_id: str, credential: str, choice: Choice, code: str | None = None
    ) -> Offer:
        """Make the statement that the person's passkey may sign within ten minutes.

        Raises LinkRefused, WrongState, Suspended, or CodeRefused; the third wrong code declines the ticket (T10).
        """
        view = await self.view(ticket_id, person_id)
        if not (view.can_approve if choice == "approve" else view.can_decline):
            raise WrongState(
                "You have already decided this request." if view.decision else "This request can no longer be decided."
            )
        decision = signed_as(choice, view.envelope)
        await self._refuse_suspended(_barring(view.envelope, person_id, decision))
        if choice == "approve" and view.needs_code:
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
            code=code if choice == "approve" and view.needs_code else None,
            nonce=b64(secrets.token_bytes(32)),
            iat=now,
            exp=now + STATEMENT_LIFE,
        )
        body = statement.to_bytes()
        data = {"statement": digest("counterfoil-statement", body)}
        await self.store.put_secret(Secret("nonce", nonce_digest(statement.nonce), ticket_id, data, statement.exp))
        return Offer(statement, body, statement.challenge)

    async def decide(self, ticket_id: str, signed: SignedStatement, *, disown: bool = False) -> Ticket:
        """Record what a person signed, and go on if nothing more is needed.

        ``disown`` ("this wasn't me") with a decline also suspends the requester for this account and revokes what it
        has pending there (T12); the suspension stands even if the decline comes too late. Raises StatementRefused,
        Expired, WrongState or Suspended.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise LinkRefused()
        await self.judge.check_untouched(ticket)
        envelope = ticket.envelope
        statement, person, _ = check_statement(
            signed,
            envelope=envelope,
            digest=ticket.digest,
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
        await self._refuse_suspended(_barring(envelope, person.id, statement.decision))
        if statement.decision != "decline" and statement.seat == HOLDER and envelope.actor != person.id:
            check_code(envelope, statement.code or "")
        stored = StoredStatement(
            ticket_id, statement.seat, person.id, statement.credential, statement.decision, signed.statement,
            canonical(signed.assertion.model_dump(mode="json")).decode(), self.store.now(),
        )  # fmt: skip
        declined = statement.decision == "decline"
        if declined and disown:
            await self._bar_requester(envelope)
        step = self._decline(ticket_id, f"Declined {_as(statement.seat)}.") if declined else None
        leaf = leaves.decided(ticket_id, body_digest, statement.seat, statement.decision, person.id)
        ticket = await self.store.add_statement(stored, nonce=nonce.digest, leaf=leaf, step=step)
        if not declined:
            return await self.advance(ticket_id)
        if disown:
            await self._revoke_waiting(envelope)
        return ticket

    async def veto(self, ticket_id: str, *, disown: bool = False) -> Ticket:
        """Decline by somebody who proved only that a message to the holder's channel reached them (a veto).

        A message can stop a ticket; it can never approve one (T09).
        """
        found = await self.store.ticket(ticket_id)
        if found is None:
            raise UnknownTicket()
        if disown:
            await self._bar_requester(found.envelope)
        ticket = await self.store.step(ticket_id, self._decline(ticket_id, "Stopped from the account's own channel."))
        if disown:
            await self._revoke_waiting(ticket.envelope)
        return ticket

    async def end_access(self, ticket_id: str, person_id: str) -> None:
        """The holder takes a grant back, for good; raises LinkRefused for anyone else, WrongState where there is none.

        It only takes away, so it needs no signature.
        """
        view = await self.view(ticket_id, person_id)
        if view.seat != HOLDER or view.envelope.operation != ACCESS or view.ticket.state is not State.EXECUTED:
            raise WrongState("There is no access to end.", "Nothing is open to this conversation.")
        await self.revoke(f"ticket:{ticket_id}", "Ended by the account's holder.")

    async def advance(self, ticket_id: str) -> Ticket:
        """Go on as far as the evidence at hand allows: approve, hold, or decline what policy no longer allows.

        Safe to repeat; answers the ticket as it stands.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        if ticket.state not in (State.PENDING, State.APPROVED):
            return ticket
        if ticket.envelope.grant is not None:
            return await self._advance_unattended(ticket)
        await self.judge.check_untouched(ticket)
        evidence = await self.judge.evidence(ticket, await self.store.statements(ticket_id))
        envelope = ticket.envelope
        rung = met_but_for_time(envelope.requirements, evidence.reached)
        if rung is None:
            return ticket
        if self.store.now() + rung.hold >= ticket.expires_at:
            why = "It was approved too late: it would expire before its waiting time is over."
            return await self.store.step(ticket_id, self._decline(ticket_id, why))
        reason = await self._no_longer_allowed(ticket, envelope, evidence.reached.changed(hold=rung.hold))
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

    async def _advance_unattended(self, ticket: Ticket) -> Ticket:
        """Approve what a grant covers and policy lets run by itself; decline it where that is no longer so."""
        if ticket.state is not State.PENDING:
            return ticket
        try:
            await self.judge.may_run(ticket, self.store.now())
        except (PolicyRefuses, NoAccess) as error:
            return await self.store.step(ticket.id, self._decline(ticket.id, error.happened))
        try:
            return await self.store.step(ticket.id, Step(Event.APPROVE, leaves.stepped(Event.APPROVE, ticket.id)))
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
                    ASK_AGAIN,
                ) from None
            left = WRONG_CODES - wrong
            raise CodeRefused(
                None,
                f"Type the six digits that the assistant showed; {left} {'try is' if left == 1 else 'tries are'} left.",
            ) from None

    async def _bar_requester(self, envelope: Envelope) -> None:
        """Suspend the requester for the account (T12). Comes first: a process that dies before the rest has at least
        kept whoever was disowned from going on."""
        if envelope.account is not None:
            await self.suspend(pair(envelope.principal, envelope.account), "The holder said that it was not them.")

    async def _revoke_waiting(self, envelope: Envelope) -> None:
        """Revoke everything that the requester has pending on the account (T12)."""
        if envelope.account is None:
            return
        waiting = await self.store.tickets(
            states=tuple(STOPPABLE), principal=envelope.principal, account=envelope.account, limit=1000
        )
        for ticket in waiting:
            leaf = leaves.stepped(Event.REVOKE, ticket.id, reason="disowned")
            with suppress(WrongState):
                await self.store.step(ticket.id, Step(Event.REVOKE, leaf, outcome=reason("The holder disowned it.")))

    async def _no_longer_allowed(self, ticket: Ticket, envelope: Envelope, reached: Rung) -> str | None:
        """Why the ticket cannot be approved any more: changed facts (T27) or a policy that now says no."""
        operation = self.judge.operation(envelope)
        previewed = await self.judge.preview(operation, envelope.arguments.encode(), account_of(envelope))
        if previewed.facts is None:
            return previewed.refusal
        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):
            return f"The facts have changed since it was asked for. {ASK_AGAIN}"
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


def nonce_digest(nonce: str) -> str:
    """By what the store knows a statement's nonce."""
    return digest("counterfoil-nonce", nonce.encode())


def _barring(envelope: Envelope, person: str, decision: Decision) -> tuple[str, ...]:
    """The scopes whose suspension bars a decision. A decline is barred only by the person's own: what waits now may
    run once a suspension is lifted, and must not have outlived an objection."""
    return (f"person:{person}",) if decision == "decline" else scopes_of(envelope, people=[person])


def _as(seat: str) -> str:
    return "by the account's holder" if seat == HOLDER else f"by somebody with the role {role_of(seat)}"
