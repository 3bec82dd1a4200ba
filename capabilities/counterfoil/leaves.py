"""What each kind of leaf records: one function per event, so that field groups are named in one place.

Groups become salted digests (``log.py``); what stands here never reaches the log in the clear, save the event's name
and the ticket's id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from counterfoil.canonical import parse_strict
from counterfoil.errors import TamperDetected
from counterfoil.log import Leaf, LeafDraft, opens
from counterfoil.tickets import Event

ROSTER = "roster"
"""The event of a record that was appended to the roster: there are as many such leaves as records."""

ENROL = "enrol"
"""The event of a passkey's enrolment. Of one invitation the first such leaf counts (:func:`enrolment_told`)."""

KEYS = "keys"
"""The event of a change of the authority's ring; it names the keys of the new one."""

ROSTER_KEY = "roster_key"
"""The event of a change of the key that signs the roster."""

LOG_KEY = "log_key"
"""The event of a change of the key that seals the log; it names the new one, and is sealed by the old one."""

STATEMENT = "statement"
"""The event of a person's decision: a ticket has as many such leaves as statements."""


def requested(ticket: str, digest: str, principal: str, operation: str) -> LeafDraft:
    """A ticket was made; ``envelope`` pins its bytes."""
    return LeafDraft("request", ticket, {"envelope": digest, "principal": principal, "operation": operation})


def decided(ticket: str, statement_digest: str, seat: str, decision: str, person: str) -> LeafDraft:
    """A person signed."""
    return LeafDraft(
        STATEMENT, ticket, {"statement": statement_digest, "seat": seat, "decision": decision, "person": person}
    )


def stepped(event: Event, ticket: str, **groups: Any) -> LeafDraft:
    """A transition of the table."""
    return LeafDraft(event.value, ticket, groups)


def settled(event: Event, ticket: str, statement_digest: str, seat: str, found: str, person: str) -> LeafDraft:
    """A person signed what became of an unknown outcome; the transition and the signature are one leaf."""
    return LeafDraft(
        event.value, ticket, {"statement": statement_digest, "seat": seat, "found": found, "person": person}
    )


def minted(ticket: str, capability: str, key: str) -> LeafDraft:
    """A capability was minted."""
    return LeafDraft("mint", ticket, {"capability": capability, "key": key})


def administered(event: str, **groups: Any) -> LeafDraft:
    """Something that concerns no single ticket: revoke, suspend, resume, principals, the roster, keys."""
    return LeafDraft(event, None, groups)


def enrolled(*, person: str, credential: str, invitation: str, enrolment: str) -> LeafDraft:
    """A passkey joined the roster; ``invitation`` and ``enrolment`` are the digests of both texts, signatures and all.

    Leaves of earlier versions have neither.
    """
    return administered(ENROL, person=person, credential=credential, invitation=invitation, enrolment=enrolment)


def enrolled_before(credential: str) -> str:
    """What stands for the invitation where a leaf of an earlier version tells of a passkey alone."""
    return f"credential:{credential}"


def tells_of_enrolment(event: str, names: Collection[str]) -> bool:
    """Whether a leaf of this event with groups of these ``names`` tells which enrolment it is of, and not only, as in
    earlier versions, which passkey. Such openings are never deleted: what is hidden so would let a later enrolment pass
    for the first."""
    return event == ENROL and "enrolment" in names


def enrolment_in(groups: Mapping[str, Any]) -> tuple[str, str] | None:
    """The digests of invitation and enrolment that an opened leaf of an enrolment names; of one of an earlier version
    :func:`enrolled_before` and nothing; None where it does not say."""
    if "enrolment" not in groups:
        credential = groups.get("credential")
        return (enrolled_before(credential), "") if isinstance(credential, str) else None
    invitation, enrolment = groups.get("invitation"), groups["enrolment"]
    return (invitation, enrolment) if isinstance(invitation, str) and isinstance(enrolment, str) else None


def enrolment_told(digests: Mapping[str, str], opening: bytes | None) -> tuple[str, str] | None:
    """What a leaf of an enrolment tells that has these ``digests`` by group: :func:`enrolment_in` of its opening, None
    where that is gone from a leaf of an earlier version. Raises :class:`TamperDetected` where it does not open."""
    if opening is None and not tells_of_enrolment(ENROL, digests):
        return None
    if opening is None or not opens(opening, digests):
        raise TamperDetected("A leaf that tells of an enrolment does not open.")
    value = parse_strict(opening)
    return enrolment_in(value["groups"] if isinstance(value, dict) else {})


def record_told(leaf: Leaf) -> str:
    """The digest of the record that a leaf of the roster stands for; empty where it does not open, or does not say."""
    if leaf.opening is None or not opens(leaf.opening, leaf.values["groups"]):
        return ""
    opening = parse_strict(leaf.opening)
    record = opening["groups"].get("record") if isinstance(opening, dict) else None
    return record if isinstance(record, str) else ""
