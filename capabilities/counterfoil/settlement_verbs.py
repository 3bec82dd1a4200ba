"""The authority's verb for outcomes that nobody knows: a person says what became of an effect, and signs it.

The effect itself is never touched: whatever is signed here, it is not run again (invariant 11). A settlement counts
only if it is exactly the one that was made, for the person and ticket it was made for, within its time, once, and
while the outcome is still unknown. Of two people, or a person and the connector's lookup, the first one settles it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from counterfoil import leaves, recipients
from counterfoil.canonical import b64, canonical, digest
from counterfoil.errors import Expired, LinkRefused, StatementRefused, TamperDetected, UnknownTicket, WrongState
from counterfoil.evidence import STATEMENT_LIFE, SignedStatement, check_settlement
from counterfoil.redemption_verbs import RedemptionVerbs
from counterfoil.roster import Person
from counterfoil.settlement import (
    EVENTS,
    checked_reference,
    outcome_of,
    settlement_display,
    settlement_display_digest,
    settler_seat,
)
from counterfoil.statements import Found, Settlement, role_of
from counterfoil.store import Secret, Step, StoredSettlement
from counterfoil.tickets import State, Ticket

NONCE = "settlement-nonce"
"""The kind of the secret that a settlement spends: no decision's nonce is one."""

SETTLED_ALREADY = "It is settled already: somebody, or the connector's own lookup, was faster."
STILL_EXECUTING = "It is being carried out at this moment; only what nobody knows can be settled."


@dataclass(frozen=True)
class SettlementOffer:
    """A settlement made for one person to sign, or to let lapse."""

    settlement: Settlement
    statement_bytes: bytes
    challenge: bytes


@dataclass(frozen=True)
class SettlementView:
    """What one person may see and establish of one ticket. ``settled``: what was signed of it, if somebody did."""

    ticket: Ticket
    person: Person
    seat: str
    content: dict[str, Any]
    can_settle: bool
    settled: StoredSettlement | None


class SettlementVerbs(RedemptionVerbs):
    """Look at, prepare and settle an unknown outcome; and tell those who may."""

    async def settlement_view(self, ticket_id: str, person_id: str) -> SettlementView:
        """What the person may see of the ticket; raises LinkRefused for anyone who may not settle it (T01)."""
        ticket = await self.store.ticket(ticket_id)
        roster = await self.judge.roster()
        person = roster.people.get(person_id)
        if ticket is None or ticket.redeemed_at is None or person is None or person.ended:
            raise LinkRefused()
        seat = settler_seat(self.judge.desk, ticket.envelope)
        if seat is None or not recipients.may_sit(person, seat, ticket.envelope, roster):
            raise LinkRefused()
        if person_id in await self._decided(ticket_id):
            raise LinkRefused()
        await self._check_untouched(ticket)
        return SettlementView(
            ticket=ticket,
            person=person,
            seat=seat,
            content=settlement_display(self.judge.desk, ticket, seat),
            can_settle=ticket.state is State.UNKNOWN,
            settled=await self.store.settlement(ticket_id),
        )

    async def prepare_settlement(
        self, ticket_id: str, person_id: str, credential: str, found: Found, reference: str = ""
    ) -> SettlementOffer:
        """Make the settlement that the person's passkey may sign within ten minutes.

        Raises LinkRefused, WrongState, Suspended, or BadArguments for a ``reference`` that cannot be read.
        """
        view = await self.settlement_view(ticket_id, person_id)
        if not view.can_settle:
            raise _not_unknown(view.ticket)
        await self._refuse_suspended(_barring(person_id))
        now = self.store.now()
        settlement = Settlement(
            issuer=self.issuer,
            envelope=view.ticket.digest,
            display=settlement_display_digest(view.content),
            seat=view.seat,
            person=person_id,
            credential=credential,
            found=found,
            reference=checked_reference(reference),
            nonce=b64(secrets.token_bytes(32)),
            iat=now,
            exp=now + STATEMENT_LIFE,
        )
        body = settlement.to_bytes()
        data = {"statement": settlement_digest(body)}
        await self.store.put_secret(Secret(NONCE, nonce_digest(settlement.nonce), ticket_id, data, settlement.exp))
        return SettlementOffer(settlement, body, settlement.challenge)

    async def settle(self, ticket_id: str, signed: SignedStatement) -> Ticket:
        """Record what a person signed of an unknown outcome, and tell the holder, whom a message has asked that (T53).

        Raises StatementRefused, Expired, Suspended, or WrongState where it was settled meanwhile.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None or ticket.redeemed_at is None:
            raise LinkRefused()
        if ticket.state is not State.UNKNOWN:
            raise _not_unknown(ticket)
        await self._check_untouched(ticket)
        envelope = ticket.envelope
        seat = settler_seat(self.judge.desk, envelope)
        if seat is None:
            raise StatementRefused("Nobody can settle this request by hand.")
        settlement, person = check_settlement(
            signed,
            envelope=envelope,
            digest=ticket.digest,
            seat=seat,
            shown=settlement_display_digest(settlement_display(self.judge.desk, ticket, seat)),
            redeemed_at=ticket.redeemed_at,
            decided=await self._decided(ticket_id),
            roster=await self.judge.roster(),
            party=self.judge.trust.party,
        )
        nonce = await self.store.secret(NONCE, nonce_digest(settlement.nonce))
        body_digest = settlement_digest(signed.statement)
        if nonce is None or nonce.subject != ticket_id or nonce.data.get("statement") != body_digest:
            raise StatementRefused("The signature came too late, or was used before.")
        if not settlement.iat <= self.store.now() < settlement.exp:
            raise Expired("The signature came too late.", "Open the link again and sign once more.")
        event = EVENTS[settlement.found]
        stored = StoredSettlement(
            ticket_id, settlement.seat, person.id, settlement.credential, settlement.found, settlement.reference,
            signed.statement, canonical(signed.assertion.model_dump(mode="json")).decode(), self.store.now(),
        )  # fmt: skip
        step = Step(
            event,
            leaves.settled(event, ticket_id, body_digest, settlement.seat, settlement.found, person.id),
            outcome=canonical(outcome_of(settlement)).decode(),
            notices=await self._outcome_notices(ticket, event),
        )
        return await self.store.settle(stored, nonce=nonce.digest, scopes=_barring(person.id), step=step)

    async def ask_settlers(self, ticket_id: str) -> tuple[str, ...]:
        """Tell everybody who may settle the ticket once more; answers their ids. Raises UnknownTicket or WrongState."""
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        if ticket.state is not State.UNKNOWN:
            raise WrongState(f"The outcome of this ticket is known: it is {ticket.state.value.replace('_', ' ')}.")
        drafts = await self._settler_notices(ticket)
        await self.store.add_notices(ticket_id, drafts)
        return tuple(dict.fromkeys(draft.recipient for draft in drafts))

    async def settlers(self, ticket: Ticket) -> tuple[str | None, tuple[str, ...]]:
        """The role that may settle the ticket and the ids of those who have it and may; None and nobody without one."""
        seat = settler_seat(self.judge.desk, ticket.envelope)
        people = recipients.settlers(ticket.envelope, await self.judge.roster(), seat, await self._decided(ticket.id))
        return role_of(seat) if seat is not None else None, tuple(person.id for person in people)

    async def _check_untouched(self, ticket: Ticket) -> None:
        """Raise TamperDetected where the request was edited, an approval was erased, or its row calls unknown what the
        log knows (T40); WrongState where it was settled since the row was read."""
        await self.judge.check_untouched(ticket)
        if ticket.state is not State.UNKNOWN:
            return
        logged, statements = await self.judge.told_by_log(ticket.id)
        if len(await self.store.statements(ticket.id)) != statements:
            raise TamperDetected()
        if logged is State.UNKNOWN:
            return
        current = await self.store.ticket(ticket.id)
        if current is None or current.state is not logged:
            raise TamperDetected()
        raise _not_unknown(current)


def _barring(person: str) -> tuple[str, ...]:
    """Settling is barred only by the person's own suspension: finding out what happened starts nothing."""
    return (f"person:{person}",)


def _not_unknown(ticket: Ticket) -> WrongState:
    """Why there is nothing to settle."""
    return WrongState(STILL_EXECUTING if ticket.state is State.EXECUTING else SETTLED_ALREADY)


def nonce_digest(nonce: str) -> str:
    """By what the store knows a settlement's nonce."""
    return digest("counterfoil-settlement-nonce", nonce.encode())


def settlement_digest(body: bytes) -> str:
    """The digest of a settlement's bytes, by which nonce and log name it."""
    return digest("counterfoil-settlement", body)
