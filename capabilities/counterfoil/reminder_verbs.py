"""The authority's verbs for telling people once more that something waits for their decision.

A request is told of when it is made. Whoever had no passkey then could only object, if they heard of it at all; so when
they have made their first one, they are asked about what waits for them still. An administrator can ask those who have
not decided yet again. Nobody is asked whom a request would not ask now, and every message counts for the caps (T12).
"""

from __future__ import annotations

from counterfoil import recipients
from counterfoil.errors import CounterfoilError, UnknownTicket, WrongState
from counterfoil.recipients import APPROVE
from counterfoil.request_verbs import RequestVerbs
from counterfoil.roster import Person, Roster
from counterfoil.statements import HOLDER, seats_of
from counterfoil.store import NoticeDraft
from counterfoil.tickets import State, Ticket

ASKED_AT_ONCE = 5
"""Requests that one new passkey brings messages about, the newest first; as many as wait on one account by default."""

LOOKED_AT = 200
"""The newest pending requests among which those for somebody with a role are looked for."""


class ReminderVerbs(RequestVerbs):
    """Ask those who have to decide, after the request was made."""

    async def waiting_for(self, person: Person, roster: Roster) -> list[tuple[str, NoticeDraft]]:
        """What somebody who is about to have a first passkey has to be asked: ticket ids and messages."""
        found: dict[str, Ticket] = {}
        for account in sorted(person.accounts):
            for ticket in await self.store.tickets(states=(State.PENDING,), account=account, limit=ASKED_AT_ONCE):
                found[ticket.id] = ticket
        if person.roles:
            for ticket in await self.store.tickets(states=(State.PENDING,), limit=LOOKED_AT):
                found[ticket.id] = ticket
        asked: list[tuple[str, NoticeDraft]] = []
        for ticket in sorted(found.values(), key=lambda ticket: ticket.requested_at, reverse=True):
            seat = await self._seat_waiting_for(ticket, person, roster)
            if seat is not None and len(asked) < ASKED_AT_ONCE:
                asked += [(ticket.id, NoticeDraft(APPROVE, person.id, to, seat)) for to in person.channels[:1]]
        return asked

    async def ask_deciders(self, ticket_id: str) -> tuple[str, ...]:
        """Ask everybody with a passkey who still has to decide once more; answers their ids.

        Raises UnknownTicket, or WrongState for a request that nobody can approve any more.
        """
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            raise UnknownTicket()
        ticket = await self._expired_if_due(ticket)
        if ticket.state is not State.PENDING:
            raise WrongState(f"Nobody has to decide about this ticket: it is {ticket.state.value.replace('_', ' ')}.")
        if not ticket.envelope.requirements:
            raise WrongState("Nobody can approve this ticket.", "'counterfoil tickets show' says why.")
        roster = await self.judge.roster()
        seats, signed = await self._open_seats(ticket), await self._decided(ticket.id)
        drafts = [
            draft
            for draft in await self._asked(ticket.envelope, roster)
            if draft.kind == APPROVE and draft.seat in seats and draft.recipient not in signed
            if roster.credentials_of(draft.recipient)
        ]
        await self.store.add_notices(ticket_id, drafts)
        return tuple(dict.fromkeys(draft.recipient for draft in drafts))

    async def _seat_waiting_for(self, ticket: Ticket, person: Person, roster: Roster) -> str | None:
        """The person's seat, if the ticket waits for them; a holder is told also of what others approve."""
        envelope = ticket.envelope
        if self.store.now() >= ticket.expires_at or await self._is_silenced(envelope):
            return None
        seat = recipients.seat_for(person, envelope, roster)
        try:
            waits = seat == HOLDER or seat in await self._open_seats(ticket)
        except CounterfoilError:  # a signature that no longer holds: nothing that others sign helps this ticket
            return None
        return seat if waits and person.id not in await self._decided(ticket.id) else None

    async def _open_seats(self, ticket: Ticket) -> tuple[str, ...]:
        evidence = await self.judge.evidence(ticket, await self.store.statements(ticket.id))
        return seats_of(rung.beyond(evidence.reached) for rung in ticket.envelope.requirements)
