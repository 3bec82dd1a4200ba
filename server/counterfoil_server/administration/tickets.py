"""Tickets: which there are, everything about one, and asking once more."""

from __future__ import annotations

from counterfoil.errors import CounterfoilError, UnknownName
from counterfoil.evidence import met_but_for_time
from counterfoil.recipients import SETTLE
from counterfoil.store import Notice, StoredStatement
from counterfoil.tickets import State, Ticket
from counterfoil_server.administration.means import Means
from counterfoil_server.administration.shown import JSONObject, line, notice, settled, signed


class TicketVerbs(Means):
    """List, show, ask."""

    async def tickets_list(
        self, *, state: str | None = None, account: str | None = None, principal: str | None = None, limit: int = 50
    ) -> list[JSONObject]:
        """The newest tickets, one line each."""
        try:
            states = (State(state),) if state else ()
        except ValueError:
            raise UnknownName(f"There is no state {state!r}.", f"Use one of {', '.join(State)}.") from None
        found = await self._authority.store.tickets(states=states, account=account, principal=principal, limit=limit)
        return [line(ticket) for ticket in found]

    async def tickets_show(self, *, ticket: str) -> JSONObject:
        """Everything that is stored of one ticket, with what it still waits for."""
        store = self._authority.store
        found = await self._known_ticket(ticket)
        envelope = found.envelope
        statements = await store.statements(ticket)
        notices = await store.notices(ticket)
        return line(found) | {
            "arguments": envelope.argument_values,
            "facts": envelope.fact_values,
            "note": envelope.note,
            "requirements": [rung.in_words() for rung in envelope.requirements],
            "waiting_for": await self._waiting_for(found, statements),
            "refusal": found.refusal,
            "statements": [signed(stored) for stored in statements],
            "settlers": await self._settlers(found, notices),
            "settlement": settled(await store.settlement(ticket)),
            "notices": [notice(sent) for sent in notices],
            "log": [
                {"index": leaf.index, "event": leaf.values["event"], "at": leaf.values["at"]}
                for leaf in await store.leaves(ticket=ticket)
            ],
            "hold_until": found.hold_until,
            "redeemed_at": found.redeemed_at,
            "digest": found.digest,
        }

    async def tickets_ask(self, *, ticket: str) -> JSONObject:
        """Tell everybody who still has to decide, or who may settle an unknown outcome, once more; answers whom."""
        found = await self._known_ticket(ticket)
        if found.state is State.PENDING:
            return {"ticket": ticket, "role": None, "asked": list(await self._authority.ask_deciders(ticket))}
        role, _ = await self._authority.settlers(found)
        if role is None:
            raise UnknownName(
                "The desk names nobody who may settle this operation by hand.",
                "Name a role in settled_by, of the desk or the operation, and start Counterfoil again.",
            )
        asked = await self._authority.ask_settlers(ticket)
        return {"ticket": ticket, "role": role, "asked": list(asked)}

    async def _known_ticket(self, ticket: str) -> Ticket:
        found = await self._authority.store.ticket(ticket)
        if found is None:
            raise UnknownName(f"There is no ticket {ticket}.", "List them with 'counterfoil tickets list'.")
        return found

    async def _settlers(self, ticket: Ticket, notices: list[Notice]) -> JSONObject | None:
        """Who may settle a ticket of unknown outcome, and which of them a message has reached."""
        if ticket.state is not State.UNKNOWN:
            return None
        try:
            role, people = await self._authority.settlers(ticket)
        except CounterfoilError:  # of the roster: nobody can sign anything then, which doctor says
            role, people = self._authority.judge.desk.settler_of(ticket.operation), ()
        told = {sent.recipient for sent in notices if sent.kind == SETTLE and sent.state == "sent"}
        return {"role": role, "people": list(people), "told": [person for person in people if person in told]}

    async def _waiting_for(self, ticket: Ticket, statements: list[StoredStatement]) -> list[str]:
        if ticket.state is not State.PENDING:
            return []
        try:
            evidence = await self._authority.judge.evidence(ticket, statements)
        except CounterfoilError as error:
            return [error.happened]
        if met_but_for_time(ticket.envelope.requirements, evidence.reached):
            return []
        return [rung.in_words() for rung in ticket.envelope.requirements]
