"""Tickets from their request to just before their redemption, and what happens after it."""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.errors import AccountBusy, Expired, StatementRefused, TooManyRequests, UnknownTicket, WrongState
from counterfoil.log import GENESIS, Leaf, LeafDraft
from counterfoil.store import Capability, Caps, Counters, NewTicket, Step, StoredStatement
from counterfoil.tickets import ACCESS, STOPPABLE, Event, State, Ticket, sources
from counterfoil_server.store.chain import LEAF_COLUMNS
from counterfoil_server.store.outbox_verbs import insert_notices
from counterfoil_server.store.secret_verbs import delete_expired_secrets
from counterfoil_server.store.ticket_rows import (
    FROM_TICKET,
    SELECT_TICKET,
    TICKET_COLUMNS,
    WAITING,
    change_state,
    counters_query,
    effect,
    read_ticket,
    scaled,
    spelled,
    stop,
    to_counters,
    to_ticket,
)
from counterfoil_server.store.verbs import Verbs
from counterfoil_server.store.writer import Transaction

REPEATS_WITHIN = 24 * 3600
"""Seconds in which the same request is the same ticket."""

CAPABILITY_COLUMNS = "c.id, t.id, c.key, c.issued_at, c.expires_at, c.ended_at"
SELECT_CAPABILITY = f"SELECT {CAPABILITY_COLUMNS} FROM capability c JOIN ticket t ON t.number = c.ticket WHERE c.id = ?"  # noqa: S608
SELECT_REPEATED = (
    f"SELECT {TICKET_COLUMNS} {FROM_TICKET} WHERE t.dedupe = ? AND t.requested_at > ? ORDER BY t.number DESC LIMIT 1"
)
SELECT_ACCESSES = (
    f"SELECT {TICKET_COLUMNS} {FROM_TICKET} WHERE t.conversation = ? AND t.principal = ? "
    f"AND t.operation = '{ACCESS}' AND t.state = '{State.EXECUTED.value}' ORDER BY t.number DESC"
)
SELECT_DUE = f"SELECT id FROM ticket WHERE expires_at <= ? AND {WAITING} ORDER BY expires_at LIMIT ?"  # noqa: S608
SELECT_READY = (
    f"SELECT {TICKET_COLUMNS} FROM (SELECT number FROM ticket WHERE state = 'approved' UNION ALL "  # noqa: S608
    "SELECT number FROM ticket WHERE state = 'held' AND hold_until <= :now) AS found "
    "JOIN ticket t ON t.number = found.number JOIN envelope e ON e.ticket = t.number "
    "WHERE t.delivery = 'direct' AND t.expires_at > :now ORDER BY t.number LIMIT :limit"
)
SELECT_REQUEST_LEAF = (
    f"SELECT {', '.join(f'l.{name.strip()}' for name in LEAF_COLUMNS.split(','))}, p.mac FROM ticket t "  # noqa: S608
    "JOIN leaf l ON l.number = t.request_leaf LEFT JOIN leaf p ON p.number = l.number - 1 WHERE t.id = ?"
)


def create(transaction: Transaction, new: NewTicket) -> tuple[Ticket, bool]:
    """Insert a ticket, or find the one it repeats."""
    ticket = new.ticket
    if ticket.state is not State.PENDING:
        raise WrongState("A new ticket is pending; later states are reached by steps.")
    repeated = transaction.row(SELECT_REPEATED, (new.dedupe, transaction.now - REPEATS_WITHIN))
    if repeated is not None:
        return to_ticket(repeated), False
    _check_caps(transaction, ticket, new.caps)
    number = transaction.insert(
        "INSERT INTO ticket (id, state, principal, account, operation, conversation, delivery, requested_at, "
        "expires_at, refusal, currency, amount, dedupe, undoes, request_leaf, effect) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            ticket.id, ticket.state.value, ticket.principal, ticket.account, ticket.operation, ticket.conversation,
            ticket.delivery, ticket.requested_at, ticket.expires_at, ticket.refusal, new.currency, scaled(new.amount),
            new.dedupe, new.undoes, transaction.next_leaf, effect(ticket.state),
        ),
    )  # fmt: skip
    transaction.insert("INSERT INTO envelope (ticket, body) VALUES (?, ?)", (number, ticket.envelope_bytes))
    transaction.write_leaf(new.leaf)
    insert_notices(transaction, ticket.id, new.notices)
    return ticket, True


def _check_caps(transaction: Transaction, ticket: Ticket, caps: Caps) -> None:
    for column, value, cap, refusal in (
        ("principal", ticket.principal, caps.per_principal, TooManyRequests),
        ("conversation", ticket.conversation, caps.per_conversation, TooManyRequests),
        ("account", ticket.account, caps.per_account, AccountBusy),
    ):
        if value is not None and transaction.rows(waiting_query(column), (value, cap))[0][0] >= cap:
            raise refusal()


def waiting_query(column: str) -> str:
    """How many tickets wait for people, counted up to a limit, by principal, account or conversation."""
    return f"SELECT count(*) FROM (SELECT 1 FROM ticket WHERE {column} = ? AND {WAITING} LIMIT ?)"  # noqa: S608


def take_step(transaction: Transaction, ticket: str, step: Step) -> Ticket:
    """Take one transition; an approval or hold only before the ticket expires."""
    if step.event in (Event.APPROVE, Event.HOLD):
        _refuse_expired(transaction, read_ticket(transaction, ticket))
    change_state(transaction, ticket, step)
    return read_ticket(transaction, ticket)


def _refuse_expired(transaction: Transaction, ticket: Ticket) -> None:
    if ticket.state is State.EXPIRED or (ticket.expires_at <= transaction.now and ticket.state in STOPPABLE):
        raise Expired("The ticket has expired.")


def record_statement(
    transaction: Transaction, statement: StoredStatement, nonce: str, leaf: LeafDraft, step: Step | None
) -> Ticket:
    """Spend the nonce, fill the seat, and decline where ``step`` says so."""
    ticket = read_ticket(transaction, statement.ticket)
    _refuse_expired(transaction, ticket)
    allowed = sources(Event.DECLINE if statement.decision == "decline" else Event.APPROVE)
    if ticket.state not in allowed:
        raise WrongState(f"The ticket is {ticket.state.value} and waits for no such decision any more.")
    spent = transaction.change(
        "DELETE FROM secret WHERE kind = 'nonce' AND digest = ? AND subject = ? AND expires_at > ?",
        (nonce, ticket.id, transaction.now),
    )
    if not spent:
        raise StatementRefused("The signed statement was used before, or is too old.")
    recorded = transaction.change(
        "INSERT INTO statement (ticket, person, seat, credential, decision, statement, assertion, recorded_at) "
        "SELECT number, ?, ?, ?, ?, ?, ?, ? FROM ticket WHERE id = ? ON CONFLICT (ticket, person) DO NOTHING",
        (
            statement.person, statement.seat, statement.credential, statement.decision, statement.statement,
            statement.assertion, statement.recorded_at, ticket.id,
        ),
    )  # fmt: skip
    if not recorded:
        raise StatementRefused(
            "This person has already decided about this request.", "One person fills one seat; ask somebody else."
        )
    transaction.write_leaf(leaf)
    if step is not None:
        change_state(transaction, ticket.id, step)
    return read_ticket(transaction, ticket.id)


def mint_capability(transaction: Transaction, capability: Capability, leaf: LeafDraft) -> Capability:
    """Record a capability of a ticket that can be redeemed now, or find a live one with half its life before it."""
    ticket, now = read_ticket(transaction, capability.ticket), transaction.now
    _refuse_expired(transaction, ticket)
    if ticket.state not in sources(Event.REDEEM):
        raise WrongState(f"The ticket is {ticket.state.value} and cannot be redeemed.")
    if (ticket.hold_until or 0) > now:
        raise WrongState("The ticket is held until its waiting time is over.")
    live = transaction.row(
        f"SELECT {CAPABILITY_COLUMNS} FROM ticket t JOIN capability c ON c.ticket = t.number "  # noqa: S608 - constants
        "WHERE t.id = ? AND c.ended_at IS NULL AND 2 * (c.expires_at - ?) >= c.expires_at - c.issued_at "
        "AND c.expires_at > ? ORDER BY c.expires_at DESC LIMIT 1",
        (ticket.id, now, now),
    )
    if live is not None:
        return Capability(*live)
    transaction.insert(
        "INSERT INTO capability (id, ticket, key, issued_at, expires_at) "
        "SELECT ?, number, ?, ?, ? FROM ticket WHERE id = ?",
        (capability.id, capability.key, capability.issued_at, capability.expires_at, ticket.id),
    )
    transaction.write_leaf(leaf)
    return capability


def expire(transaction: Transaction, limit: int) -> int:
    """End waiting tickets past their time, and forget secrets past theirs."""
    due = transaction.rows(SELECT_DUE, (transaction.now, limit))
    for (ticket,) in due:
        stop(transaction, ticket, Event.EXPIRE, {})
    delete_expired_secrets(transaction, limit)
    return len(due)


def count_wrong_code(transaction: Transaction, ticket: str) -> int:
    """Count one wrong match code."""
    row = transaction.row(
        "UPDATE ticket SET wrong_codes = wrong_codes + 1 WHERE id = ? RETURNING wrong_codes", (ticket,)
    )
    if row is None:
        raise UnknownTicket()
    return int(row[0])


def list_query(states: Sequence[State], principal: str | None, account: str | None) -> str:
    """The newest tickets, for ``:principal``, ``:account`` and ``:limit``."""
    filters = {"principal": principal, "account": account}
    terms = [f"{name} = :{name}" for name, value in filters.items() if value is not None]
    if terms or not states:
        if states:
            terms.append(f"state IN {spelled(states)}")
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        found = f"SELECT number FROM ticket {where} ORDER BY number DESC LIMIT :limit"  # noqa: S608
    else:
        # One walk down the index of states for each, merged.
        found = " UNION ALL ".join(
            f"SELECT * FROM (SELECT number FROM ticket WHERE state = '{state.value}' "  # noqa: S608
            "ORDER BY number DESC LIMIT :limit)"
            for state in State
            if state in states
        )
    return (
        f"SELECT {TICKET_COLUMNS} FROM ({found}) AS newest JOIN ticket t ON t.number = newest.number "  # noqa: S608
        "JOIN envelope e ON e.ticket = t.number ORDER BY t.number DESC LIMIT :limit"
    )


class TicketVerbs(Verbs):
    """Tickets, their statements and their capabilities."""

    async def create_ticket(self, new: NewTicket) -> tuple[Ticket, bool]:
        """Insert it and answer True, or answer the one it repeats and False; raises TooManyRequests."""
        return await self._write(lambda transaction: create(transaction, new))

    async def ticket(self, ticket: str) -> Ticket | None:
        """The ticket, or None."""
        rows = self._readers.lookup(SELECT_TICKET, (ticket,))
        return to_ticket(rows[0]) if rows else None

    async def tickets(
        self,
        *,
        states: Sequence[State] = (),
        principal: str | None = None,
        account: str | None = None,
        limit: int = 100,
    ) -> list[Ticket]:
        """The newest tickets first."""
        sql = list_query(states, principal, account)
        values = {"principal": principal, "account": account, "limit": limit}
        rows = await self._readers.query(sql, values)
        return [to_ticket(row) for row in rows]

    async def accesses(self, *, principal: str, conversation: str) -> list[Ticket]:
        """Executed accesses, the newest first."""
        rows = self._readers.lookup(SELECT_ACCESSES, (conversation, principal))
        return [to_ticket(row) for row in rows]

    async def request_leaf(self, ticket: str) -> tuple[Leaf, bytes] | None:
        """The leaf that recorded the request, and the MAC before it."""
        rows = self._readers.lookup(SELECT_REQUEST_LEAF, (ticket,))
        return (Leaf(*rows[0][:6]), rows[0][6] or GENESIS) if rows else None

    async def counters(
        self, *, account: str, operation: str, currency: str | None, since: int, states: Sequence[State], excluding: str
    ) -> Counters:
        """Count and sum over ``states``, all of them states that had or may still have an effect (PLANNED)."""
        parameters = (currency, account, operation, since, excluding)
        return to_counters(self._readers.lookup(counters_query(states), parameters)[0])

    async def add_statement(
        self, statement: StoredStatement, *, nonce: str, leaf: LeafDraft, step: Step | None
    ) -> Ticket:
        """Spend the nonce, record the statement, take the step; raises StatementRefused, WrongState, Expired."""
        return await self._write(lambda transaction: record_statement(transaction, statement, nonce, leaf, step))

    async def statements(self, ticket: str) -> list[StoredStatement]:
        """In the order recorded."""
        rows = self._readers.lookup(
            "SELECT t.id, s.seat, s.person, s.credential, s.decision, s.statement, s.assertion, s.recorded_at "
            "FROM ticket t JOIN statement s ON s.ticket = t.number WHERE t.id = ? ORDER BY s.number",
            (ticket,),
        )
        return [StoredStatement(*row) for row in rows]

    async def wrong_code(self, ticket: str) -> int:
        """Count one wrong match code and answer how many there were; raises UnknownTicket."""
        return await self._write(lambda transaction: count_wrong_code(transaction, ticket))

    async def step(self, ticket: str, step: Step) -> Ticket:
        """Take one transition; raises WrongState, UnknownTicket, or Expired for an approval or hold."""
        return await self._write(lambda transaction: take_step(transaction, ticket, step))

    async def expire_due(self, limit: int = 500) -> int:
        """Take the expire step for tickets past their time; answers how many."""
        return await self._write(lambda transaction: expire(transaction, limit))

    async def ready(self, limit: int = 100) -> list[Ticket]:
        """Tickets of direct delivery that can be redeemed now, the oldest first."""
        rows = await self._readers.query(SELECT_READY, {"now": self.now(), "limit": limit})
        return [to_ticket(row) for row in rows]

    async def mint(self, capability: Capability, leaf: LeafDraft) -> Capability:
        """Record a capability of a redeemable ticket, or answer its live one; raises WrongState, Expired."""
        return await self._write(lambda transaction: mint_capability(transaction, capability, leaf))

    async def capability(self, capability: str) -> Capability | None:
        """The capability with this id, spent or not."""
        rows = self._readers.lookup(SELECT_CAPABILITY, (capability,))
        return Capability(*rows[0]) if rows else None
