"""The authority's last verb: an approved ticket becomes an order, once; and what came of it is recorded.

Both deliveries, direct and collected, end in :meth:`RedemptionVerbs.redeem`; there is no third way to an order.

A signature is asked for when the transaction that it tells of is committed, never within one. So a signer that fails
takes nothing away: a capability that was minted is found again, and an order can be signed as often as need be, with
the same claims.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from counterfoil import leaves, recipients, tokens
from counterfoil.canonical import b64, canonical
from counterfoil.door import Door
from counterfoil.errors import (
    AlreadyUndone,
    CapabilityRefused,
    CountersMoved,
    NoAccess,
    PolicyRefuses,
    UnknownTicket,
    WrongState,
)
from counterfoil.keys import Signer
from counterfoil.scopes import scopes_of
from counterfoil.settlement import settler_seat
from counterfoil.statements import HOLDER
from counterfoil.store import (
    Capability,
    NoticeDraft,
    Redeeming,
    Step,
)
from counterfoil.tickets import Event, State, Ticket

OUTCOMES = frozenset(
    {
        Event.REPORT_EXECUTED, Event.REPORT_NOT_EXECUTED, Event.REPORT_UNKNOWN,
        Event.FIND_EXECUTED, Event.FIND_NOT_EXECUTED,
    }
)  # fmt: skip
"""What may be reported of a redeemed ticket."""

REDEEM_TRIES = 5
"""How often a redemption is judged again when another one moved a counter it had looked at."""

TOLD = {
    Event.REPORT_EXECUTED: recipients.EXECUTED,
    Event.FIND_EXECUTED: recipients.EXECUTED,
    Event.REPORT_UNKNOWN: recipients.UNCERTAIN,
    Event.FIND_NOT_EXECUTED: recipients.NOT_DONE,
}
"""What the holder is told of an outcome (T53). Of nothing done only where a message had raised the question."""


class RedemptionVerbs(Door):
    """Mint, redeem, deliver, order, report."""

    async def mint(self, ticket_id: str) -> str:
        """The capability that redeems this ticket once within two minutes; the live one if there is one.

        Raises a refusal unless the ticket is approved, any hold is over, and the judgement of this moment allows it;
        and :class:`SignerFailed`, after which the same capability is there for the next try.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        now = self.store.now()
        if ticket.state not in (State.APPROVED, State.HELD) or (ticket.hold_until or 0) > now:
            raise WrongState("The ticket is not approved, or its waiting time is not over.")
        judgement = await self.judge.may_run(ticket, now)
        await self._refuse_suspended(
            scopes_of(ticket.envelope, people=judgement.evidence.people, key=self.keys.current.id)
        )
        fresh = Capability(
            b64(secrets.token_bytes(16)), ticket_id, self.keys.current.id, now, now + self.times.capability
        )
        held = await self.store.mint(fresh, leaves.minted(ticket_id, fresh.id, fresh.key))
        claims = self._capability_claims(ticket, held)
        signer, within = self._signer(held.key), self.times.signature
        return await tokens.issue(signer, tokens.CAPABILITY_TYPE, claims.members(), within=within)

    def _capability_claims(self, ticket: Ticket, held: Capability) -> tokens.CapabilityClaims:
        return tokens.CapabilityClaims(
            iss=self.issuer, aud=self.issuer, sub=ticket.principal, jti=held.id, ticket=ticket.id,
            envelope=ticket.digest, iat=held.issued_at, exp=held.expires_at,
        )  # fmt: skip

    async def redeem(self, ticket_id: str, capability: str, *, presenter: str | None = None) -> tuple[Ticket, str]:
        """THE door: spend the capability, claim the ticket, and answer the order for the executor.

        ``presenter`` is the principal that sent it (collected delivery), None when the authority's own side presents
        it (direct delivery). Every failure of the capability itself raises the same CapabilityRefused. SignerFailed
        means that the ticket is claimed, and among the :meth:`unsigned` until its order is asked for again.
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
                ticket=ticket,
                statements=judgement.statements,
                counters=judgement.counters,
                currency=judgement.currency,
                counter_since=judgement.counter_since,
                scopes=scopes_of(ticket.envelope, people=judgement.evidence.people, capability=claims.jti, key=key),
                leaf=leaves.stepped(Event.REDEEM, ticket_id, capability=claims.jti, envelope=claims.envelope),
                before=judgement.grant_ends_at,
                undoes=ticket.envelope.undoes,
            )
            try:
                redeemed_at = await self.store.redeem(redeeming)
            except CountersMoved:
                continue
            redeemed = replace(ticket, state=State.EXECUTING, redeemed_at=redeemed_at)
            return redeemed, await self.order(redeemed)
        raise CountersMoved()

    async def deliver(self, ticket_id: str) -> tuple[Ticket, str] | None:
        """Direct delivery: mint and redeem on our own side; None where it can never run, which declines the ticket."""
        try:
            return await self.redeem(ticket_id, await self.mint(ticket_id))
        except (PolicyRefuses, NoAccess, AlreadyUndone) as error:
            await self.store.step(ticket_id, self._decline(ticket_id, error.happened))
            return None

    async def order(self, ticket: Ticket) -> str:
        """The order for a ticket that a redemption claimed; the same claims each time it is asked for.

        Raises :class:`SignerFailed`, and then the ticket is among the :meth:`unsigned` until an order of it was signed.
        """
        if ticket.state is not State.EXECUTING or ticket.redeemed_at is None:
            raise WrongState("Only a redeemed ticket has an order.")
        claims = self._order_claims(ticket, ticket.redeemed_at)
        signer, within = self.keys.current, self.times.signature
        try:
            order = await tokens.issue(signer, tokens.ORDER_TYPE, claims.members(), within=within)
        except BaseException:  # whoever waited for it may have gone as well
            self._unsigned.add(ticket.id)
            raise
        self._unsigned.discard(ticket.id)
        return order

    async def unsigned(self) -> list[Ticket]:
        """Redeemed tickets whose order could not be signed, by id, to ask for it again; those that ended meanwhile are
        none of them any more."""
        waiting: list[Ticket] = []
        for name in sorted(self._unsigned):
            ticket = await self.store.ticket(name)
            if ticket is not None and ticket.state is State.EXECUTING:
                waiting.append(ticket)
            else:
                self._unsigned.discard(name)
        return waiting

    def _order_claims(self, ticket: Ticket, redeemed_at: int) -> tokens.OrderClaims:
        return tokens.OrderClaims(
            iss=self.issuer,
            aud=ticket.envelope.executor,
            jti=f"order-{ticket.id}",
            ticket=ticket.id,
            envelope=ticket.digest,
            redeemed_at=redeemed_at,
            run_by=redeemed_at + self.times.run,
        )

    def too_late(self, ticket: Ticket) -> bool:
        """Whether no executor starts an order of this ticket any more."""
        return ticket.redeemed_at is not None and self.store.now() > ticket.redeemed_at + self.times.run

    async def signed_anew(self, ticket: Ticket, capability: str | None, now: int) -> tuple[str | None, str | None]:
        """The capability with this id and the order of a redeemed ticket, with the claims that they had, for whoever
        audits at ``now``; None for each that does not exist, or whose time has not been over for long enough that
        nobody could use it. Raises :class:`SignerFailed`."""
        if ticket.redeemed_at is None:
            return None, None
        held = await self.store.capability(capability) if capability is not None else None
        spent = self._capability_claims(ticket, held) if held is not None and held.ticket == ticket.id else None
        ran = self._order_claims(ticket, ticket.redeemed_at)
        return (
            await self._anew(tokens.CAPABILITY_TYPE, spent, now > spent.exp + tokens.OVER) if spent else None,
            await self._anew(tokens.ORDER_TYPE, ran, now > ran.run_by + tokens.OVER),
        )

    async def _anew(self, kind: str, claims: tokens.CapabilityClaims | tokens.OrderClaims, is_over: bool) -> str | None:
        if not is_over:
            return None
        return await tokens.issue(self.keys.current, kind, claims.members(), within=self.times.signature)

    async def report(self, ticket_id: str, event: Event, outcome: dict[str, object]) -> Ticket:
        """Record what the executor found out, and tell the holder of all that was executed or may have been (T53).

        Where nobody knows, whoever may settle it by hand is asked to find out.
        Raises WrongState for an event that is no outcome: reporting is no other way to any other step.
        """
        if event not in OUTCOMES:
            raise WrongState(f"'{event.value}' is no outcome that can be reported.")
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        notices = await self._outcome_notices(ticket, event)
        if event is Event.REPORT_UNKNOWN:
            notices += await self._settler_notices(ticket)
        text = canonical(outcome).decode()
        return await self.store.step(
            ticket_id, Step(event, leaves.stepped(event, ticket_id, outcome=outcome), outcome=text, notices=notices)
        )

    async def _outcome_notices(self, ticket: Ticket, event: Event) -> list[NoticeDraft]:
        if event not in TOLD:
            return []
        earlier = await self.store.notices(ticket.id)
        roster = await self.judge.roster()
        return [
            NoticeDraft(TOLD[event], f"account:{ticket.account}", address, HOLDER, capped=False)
            for address in await recipients.addresses(ticket.envelope, roster, self.judge.desk.directory, earlier)
        ]

    async def _settler_notices(self, ticket: Ticket) -> list[NoticeDraft]:
        seat = settler_seat(self.judge.desk, ticket.envelope)
        return [
            NoticeDraft(recipients.SETTLE, person.id, address, seat)
            for person in recipients.settlers(
                ticket.envelope, await self.judge.roster(), seat, await self._decided(ticket.id)
            )
            for address in person.channels[:1]
        ]

    def _signer(self, key: str) -> Signer:
        held = next((k for k in (self.keys.current, self.keys.previous, self.keys.next) if k and k.id == key), None)
        if held is None:
            raise CapabilityRefused()
        return held
