"""What a person is shown, and what is recorded, when they settle an outcome that nobody knows.

An effect was started and its end was never told: the connector hung, the process was killed, and no lookup answered.
Then somebody whose role the desk names for it (``settled_by``) looks into the organisation's own system and signs what
they found. Rules:

* who may do so is staff, and neither holds the account nor stands behind the request (``evidence.check_eligible``);
* the role is that of the desk as it is *now*: an outcome can be unknown because the desk was wrong, and then the desk
  changes before anybody can settle it; a request whose operation changed is shown as it was recorded;
* what an AI is told of it is that a person established it, never who (``outcome_of``).
"""

from __future__ import annotations

import unicodedata
from typing import Any

from counterfoil.canonical import canonical, digest, parse_strict
from counterfoil.desk import Desk
from counterfoil.display import display, display_as_recorded, visible
from counterfoil.errors import BadArguments, BadJSON
from counterfoil.judgement import COUNTER_WINDOW
from counterfoil.statements import MAX_REFERENCE, STAFF, Found, Settlement
from counterfoil.tickets import Envelope, Event, Ticket

EVENTS: dict[Found, Event] = {"executed": Event.FIND_EXECUTED, "not_executed": Event.FIND_NOT_EXECUTED}
"""The step that each finding takes."""

HAPPENED = "A person of the organisation established that it was carried out."
STILL_COUNTED = f"For {COUNTER_WINDOW // 3600} hours after it was started it still counts towards limits."
"""The executor keeps counting it, whatever is signed: whoever settles cannot give a day's limit back by a lie."""
DID_NOT_HAPPEN = f"A person of the organisation established that it was not carried out. {STILL_COUNTED}"


def settler_seat(desk: Desk, envelope: Envelope) -> str | None:
    """The seat that may settle the ticket: of the role that the desk names now; None where it names none."""
    role = desk.settler_of(envelope.operation)
    return STAFF + role if role is not None else None


def settlement_display(desk: Desk, ticket: Ticket, seat: str) -> dict[str, Any]:
    """Everything that whoever settles the ticket must be shown, as a JSON value: the request, and what is known."""
    envelope = ticket.envelope
    operation = desk.operations.get(envelope.operation)
    if operation is not None and operation.digest == envelope.tool:
        request = display(desk.name, operation, envelope, seat)
    else:
        request = display_as_recorded(desk.name, envelope, seat)
    return {
        "v": 1,
        "request": request,
        "ticket": ticket.id,
        "started_at": ticket.redeemed_at,
        # The executor gives connectors the ticket's id as the key under which the business's own system filed it.
        "idempotency_key": visible(ticket.id),
        "reason": _reason(ticket),
    }


def settlement_display_digest(content: dict[str, Any]) -> str:
    """The digest of what was shown; it differs from that of every page on which something is decided."""
    return digest("counterfoil-settlement-display", canonical(content))


def checked_reference(text: str) -> str:
    """The reference as it is signed, shown and stored; raises :class:`BadArguments` for one that people cannot read.

    One line of at most 200 characters, composed (NFC) and trimmed. Empty: none was given.
    """
    reference = unicodedata.normalize("NFC", text).strip()
    if len(reference) > MAX_REFERENCE:
        raise BadArguments(
            f"The reference is longer than {MAX_REFERENCE} characters.", "Shorten it; it is only to find it again."
        )
    if visible(reference) != reference:
        raise BadArguments(
            "The reference holds characters that cannot be seen.", "Type it, instead of pasting it from elsewhere."
        )
    return reference


def outcome_of(settlement: Settlement) -> dict[str, Any]:
    """What is recorded as the ticket's outcome. Who established it is in the signed statement alone."""
    if settlement.found == "not_executed":
        return {"reason": DID_NOT_HAPPEN, "settled": True}
    reference = {"reference": settlement.reference} if settlement.reference else {}
    return {"receipt": {"summary": HAPPENED, **reference}, "settled": True}


def _reason(ticket: Ticket) -> str | None:
    """Why the executor does not know, in its own words."""
    try:
        value = parse_strict((ticket.outcome or "{}").encode())
    except BadJSON:
        return None
    reason = value.get("reason") if isinstance(value, dict) else None
    return visible(reason) if isinstance(reason, str) and reason else None
