"""Who is told what about a ticket: addresses from the roster and the organisation's directory, never from an AI (T03).

The outbox keeps these drafts; links are made only when a message is delivered.
"""

from __future__ import annotations

from collections.abc import Collection

from counterfoil.desk import Directory
from counterfoil.errors import StatementRefused
from counterfoil.evidence import check_eligible
from counterfoil.roster import Person, Roster
from counterfoil.statements import HOLDER, STAFF, role_of, seats_required
from counterfoil.store import Notice, NoticeDraft
from counterfoil.tickets import Envelope
from counterfoil.values import Account, Contact

APPROVE = "approve"
"""Asks somebody with a passkey to decide."""
OBJECT = "object"
"""Tells the holder's channel what is about to happen, and how to stop it without a passkey."""
EXECUTED = "executed"
"""Tells that something was done."""
UNCERTAIN = "uncertain"
"""Tells that something may have been done, and that nobody knows yet."""
NOT_DONE = "not_done"
"""Tells that what was uncertain was not done."""
SETTLE = "settle"
"""Asks somebody with a passkey to find out what became of an unknown outcome."""
ENROLLED = "enrolled"
"""Tells that a passkey was added."""


async def asked(envelope: Envelope, roster: Roster, directory: Directory, *, refused: bool) -> list[NoticeDraft]:
    """Who is asked when a ticket is made. A refused one is told to its holder only, whose page says why."""
    holders = await holder_notices(envelope, roster, directory)
    if refused:
        return holders
    drafts = list(holders)
    for seat in seats_required(envelope):
        if (role := role_of(seat)) is not None:
            drafts += [
                NoticeDraft(APPROVE, person.id, address, STAFF + role)
                for person in roster.staff(role)
                if may_sit(person, seat, envelope, roster)
                for address in person.channels[:1]
            ]
    return drafts


async def holder_notices(envelope: Envelope, roster: Roster, directory: Directory) -> list[NoticeDraft]:
    """To the holders with passkeys a link to decide; where there is none, to the directory's contact one to object."""
    if envelope.account is None:
        return []
    enrolled = [person for person in roster.holders(envelope.account) if roster.credentials_of(person.id)]
    if enrolled:
        return [
            NoticeDraft(APPROVE, person.id, address, HOLDER) for person in enrolled for address in person.channels[:1]
        ]
    return [
        NoticeDraft(OBJECT, f"account:{envelope.account}", address, HOLDER)
        for address in await addresses(envelope, roster, directory, [])
    ]


def settlers(envelope: Envelope, roster: Roster, seat: str | None, decided: Collection[str]) -> list[Person]:
    """Everybody who may settle the ticket from the seat and did not decide it; nobody where the desk names none."""
    role = role_of(seat) if seat is not None else None
    if seat is None or role is None:
        return []
    return [each for each in roster.staff(role) if each.id not in decided and may_sit(each, seat, envelope, roster)]


async def addresses(envelope: Envelope, roster: Roster, directory: Directory, earlier: list[Notice]) -> list[str]:
    """Every channel of the holder: rostered, in the directory now, and those used earlier for this ticket."""
    if envelope.account is None:
        return []
    found = [address for person in roster.holders(envelope.account) for address in person.channels]
    found += [notice.address for notice in earlier if notice.seat == HOLDER]
    contact = await contact_of(envelope, directory)
    return list(dict.fromkeys(found + ([contact.email] if contact else [])))


async def contact_of(envelope: Envelope, directory: Directory) -> Contact | None:
    """The directory's contact, or None where it has none or does not answer: telling people must not stop a report."""
    try:
        return await directory.person(Account(envelope.account)) if envelope.account else None
    except Exception:
        return None


def may_sit(person: Person, seat: str, envelope: Envelope, roster: Roster) -> bool:
    """Whether the person is eligible for the seat."""
    try:
        check_eligible(person, seat, envelope, roster)
    except StatementRefused:
        return False
    return True


def seat_for(person: Person, envelope: Envelope, roster: Roster) -> str | None:
    """The one seat the person may take; the holder also sees a ticket that nobody can approve."""
    seats = seats_required(envelope)
    return next((seat for seat in dict.fromkeys((HOLDER, *seats)) if may_sit(person, seat, envelope, roster)), None)
