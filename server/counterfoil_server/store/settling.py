"""Settling: a person's signed statement ends an unknown outcome, in one transaction with its nonce and its leaf.

The writer's one order decides between two people, or a person and the connector's lookup: whoever comes second finds
the ticket in another state, and nothing of theirs is kept. It also decides between a settlement and the suspension of
whoever signed it (T28).
"""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.errors import StatementRefused, Suspended, WrongState
from counterfoil.settlement_verbs import NONCE
from counterfoil.store import Step, StoredSettlement
from counterfoil.tickets import State, Ticket
from counterfoil_server.store.redemption import suspended
from counterfoil_server.store.ticket_rows import change_state, read_ticket
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

SPEND = f"DELETE FROM secret WHERE kind = '{NONCE}' AND digest = ? AND subject = ? AND expires_at > ?"  # noqa: S608
INSERT = (
    "INSERT INTO settlement (ticket, person, seat, credential, found, reference, statement, assertion, recorded_at) "
    "SELECT number, ?, ?, ?, ?, ?, ?, ?, ? FROM ticket WHERE id = ?"
)
SELECT = (
    "SELECT t.id, s.seat, s.person, s.credential, s.found, s.reference, s.statement, s.assertion, s.recorded_at "
    "FROM ticket t JOIN settlement s ON s.ticket = t.number WHERE t.id = ?"
)


def settle(
    transaction: Transaction, settlement: StoredSettlement, nonce: str, scopes: Sequence[str], step: Step
) -> Ticket:
    """Spend, record, take the step."""
    # First, so that whoever came second is told so, and not that their signature was no good.
    state = read_ticket(transaction, settlement.ticket).state
    if state is not State.UNKNOWN:
        raise WrongState(f"The ticket is {state.value} and its outcome need not be settled.")
    if transaction.rows(f"SELECT {suspended(len(scopes))}", scopes) == [(1,)]:
        raise Suspended()
    if not transaction.change(SPEND, (nonce, settlement.ticket, transaction.now)):
        raise StatementRefused("The signed statement was used before, or is too old.")
    transaction.change(
        INSERT,
        (
            settlement.person, settlement.seat, settlement.credential, settlement.found, settlement.reference,
            settlement.statement, settlement.assertion, settlement.recorded_at, settlement.ticket,
        ),
    )  # fmt: skip
    change_state(transaction, settlement.ticket, step)
    return read_ticket(transaction, settlement.ticket)


class SettlingVerbs(Verbs):
    """Settlements."""

    async def settle(self, settlement: StoredSettlement, *, nonce: str, scopes: Sequence[str], step: Step) -> Ticket:
        """End an unknown outcome once; raises StatementRefused, Suspended, WrongState or UnknownTicket, and then
        nothing changed."""
        return await self._write(lambda transaction: settle(transaction, settlement, nonce, scopes, step))

    async def settlement(self, ticket: str) -> StoredSettlement | None:
        """What a person established of the ticket, or None."""
        rows = self._readers.lookup(SELECT, (ticket,))
        return StoredSettlement(*rows[0]) if rows else None
