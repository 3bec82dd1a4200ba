"""What is stored, as the JSON in which the verbs answer it."""

from __future__ import annotations

from typing import Any

from counterfoil.store import Notice, Revoked, StoredSettlement, StoredStatement
from counterfoil.tickets import Ticket

JSONObject = dict[str, Any]


def revocation(scope: str, found: Revoked) -> JSONObject:
    """What a revocation met."""
    return {
        "scope": scope, "revoked": found.revoked, "executing": found.executing, "done": found.done,
        "grants": found.grants,
    }  # fmt: skip


def line(ticket: Ticket) -> JSONObject:
    """One ticket in a listing."""
    return {
        "ticket": ticket.id,
        "state": ticket.state.value,
        "operation": ticket.operation,
        "account": ticket.account,
        "principal": ticket.principal,
        "delivery": ticket.delivery,
        "requested_at": ticket.requested_at,
        "expires_at": ticket.expires_at,
        "outcome": ticket.outcome,
    }


def signed(stored: StoredStatement) -> JSONObject:
    """One statement in a listing."""
    return {
        "seat": stored.seat,
        "person": stored.person,
        "decision": stored.decision,
        "recorded_at": stored.recorded_at,
    }


def settled(stored: StoredSettlement | None) -> JSONObject | None:
    """What a person established of an unknown outcome."""
    if stored is None:
        return None
    return {
        "seat": stored.seat,
        "person": stored.person,
        "found": stored.found,
        "reference": stored.reference,
        "recorded_at": stored.recorded_at,
    }


def notice(found: Notice) -> JSONObject:
    """One outbox row in a listing."""
    return {
        "id": found.id,
        "ticket": found.ticket,
        "kind": found.kind,
        "recipient": found.recipient,
        "state": found.state,
        "tries": found.tries,
        "error": found.error,
        "created_at": found.created_at,
        "sent_at": found.sent_at,
    }
