"""What one leaf of the feed says to an executor outside.

Most leaves say enough closed: their event, and the ticket it is of. Some come with their opening (:data:`OPENED`). An
opening that was deleted after its time allows nothing any more; what bars something, or tells which enrolment was the
first, has to open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from counterfoil.audit_leaves import LeafBody, open_leaf
from counterfoil.bundle import BundledLeaf
from counterfoil.canonical import canonical
from counterfoil.errors import BadJSON, EvidenceRefused, FeedRefused
from counterfoil.leaves import ENROL, ROSTER, enrolment_in, tells_of_enrolment
from counterfoil.scopes import is_final
from counterfoil.tickets import Event

REVOKE_SCOPE, SUSPEND, RESUME = "revoke_scope", "suspend", "resume"
OPENED = frozenset({Event.REDEEM.value, REVOKE_SCOPE, SUSPEND, RESUME, ROSTER, ENROL})
"""Leaves that come with their opening: which request was redeemed, what is barred, which record or which enrolment the
roster got."""


@dataclass(frozen=True)
class Heard:
    """What it says. ``envelope``: the digest of the request that was redeemed, ``at`` (Unix seconds); ``scope``: what
    was barred or opened again, None where the leaf bars nothing; ``record``: the digest of the roster's record;
    ``enrolled``: the invitation and its enrolment, as of :func:`counterfoil.leaves.enrolment_in`."""

    index: int
    event: str
    ticket: str | None
    envelope: str | None = None
    scope: str | None = None
    record: str | None = None
    enrolled: tuple[str, str] | None = None
    at: int = 0


def is_bar(event: str) -> bool | None:
    """Whether a leaf of this event bars its scope (True), opens it again (False), or neither."""
    return {REVOKE_SCOPE: True, SUSPEND: True, RESUME: False}.get(event)


def is_for_good(event: str) -> bool:
    """Whether what a leaf of this event bars is never opened again, whatever comes later."""
    return event == REVOKE_SCOPE


def is_roster_record(event: str) -> bool:
    """Whether a leaf of this event stands for one record of the roster."""
    return event == ROSTER


def hear(leaf: BundledLeaf, index: int) -> Heard:
    """What the leaf with this number says; raises :class:`FeedRefused`."""
    body = _body(leaf, index)
    if body.event not in OPENED:
        return Heard(index, body.event, body.ticket)
    if leaf.opening is None:
        if is_bar(body.event):
            raise FeedRefused(f"Leaf {index} of the feed bars something, but does not open.")
        if tells_of_enrolment(body.event, body.groups):
            raise FeedRefused(f"Leaf {index} of the feed tells of an enrolment, but does not open.")
        # Deleted after its time: what it would have allowed is then never allowed.
        return Heard(index, body.event, body.ticket)
    try:
        values = open_leaf(body, leaf.opening)
    except EvidenceRefused as error:
        raise FeedRefused(f"A leaf of the feed does not open. {error.happened}") from None
    if body.event == ENROL:
        told = enrolment_in(values)
        if told is None and tells_of_enrolment(body.event, body.groups):
            raise FeedRefused(f"Leaf {index} of the feed does not say its enrolment.")
        return Heard(index, body.event, body.ticket, enrolled=told)
    name = {Event.REDEEM.value: "envelope", ROSTER: "record"}.get(body.event, "scope")
    value = values.get(name)
    if not isinstance(value, str):
        raise FeedRefused(f"Leaf {index} of the feed does not say its {name}.")
    if body.event == REVOKE_SCOPE and not is_final(value):
        # It ended what was open then, each by a leaf of its own, and bars nothing that comes.
        return Heard(index, body.event, body.ticket)
    said: dict[str, Any] = {name: value}
    return Heard(index, body.event, body.ticket, at=body.at, **said)


def _body(leaf: BundledLeaf, index: int) -> LeafBody:
    try:
        body = LeafBody.model_validate_json(leaf.body)
        if canonical(body.model_dump(mode="json")).decode() != leaf.body:
            raise BadJSON
    except (BadJSON, ValueError):
        raise FeedRefused(f"Leaf {index} of the feed cannot be read.") from None
    if body.n != index:
        raise FeedRefused(f"Leaf {index} of the feed is not the one that follows.")
    return body
