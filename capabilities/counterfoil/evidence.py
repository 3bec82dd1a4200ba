"""From signed statements to evidence.

Nothing is believed: every statement is parsed from its exact bytes and checked against the envelope, the display, the
verified roster and the passkey's signature, each time evidence is needed (deciding, minting, executing). The rules:

* a statement counts for one envelope, one display, one seat and one person (invariant 4);
* a person fills one seat (invariant 5); the holder's seat needs one who holds the account, a role's seat one who has
  the role and neither holds the account, nor shares an address with who does, nor stands behind the requesting
  principal (T05);
* the match code counts when the person typed the one whose digest the envelope holds;
* one decline ends everything (invariant 7).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from counterfoil.assertions import RelyingParty, verify_assertion
from counterfoil.canonical import salted_digest
from counterfoil.errors import StatementRefused
from counterfoil.roster import Person, Roster
from counterfoil.rungs import Rung
from counterfoil.statements import (
    HOLDER,
    Assertion,
    Settlement,
    Statement,
    challenge,
    is_required,
    role_of,
    signed_as,
)
from counterfoil.tickets import Envelope
from counterfoil.values import Assurance

STATEMENT_LIFE = 600
"""Seconds from the making of a statement to its expiry (T11)."""


@dataclass(frozen=True)
class SignedStatement:
    """The exact statement bytes and the assertion over them."""

    statement: bytes
    assertion: Assertion


class Evidence(Struct, frozen=True):
    """What people proved: the amount, who they are, and when the last of them signed (Unix seconds)."""

    reached: Rung
    people: tuple[str, ...]
    complete_at: int


def code_digest(salt: bytes, code: str) -> str:
    """What an envelope holds of its match code."""
    return salted_digest(salt, "counterfoil-match-code", code.encode())


def check_statement(
    signed: SignedStatement,
    *,
    envelope: Envelope,
    digest: str,
    display_of: Callable[[str], str],
    roster: Roster,
    party: RelyingParty,
) -> tuple[Statement, Person, Assurance]:
    """Verify one statement completely; raises :class:`StatementRefused`.

    ``digest`` is the envelope's; ``display_of`` gives the digest of what a seat had to be shown.
    """
    statement = Statement.from_bytes(signed.statement)
    _check_about(statement, envelope, digest)
    if statement.decision not in ("decline", signed_as("approve", envelope)):
        raise StatementRefused("The signature is for another kind of request.")
    # The holder may always decline, also where it is not they who approve.
    asked = is_required(statement.seat, envelope) or (statement.seat, statement.decision) == (HOLDER, "decline")
    if not asked or statement.display != display_of(statement.seat):
        raise StatementRefused("The signature is for something else than was to be shown.")
    person, assurance = _check_signer(statement, signed, envelope=envelope, roster=roster, party=party)
    if statement.seat == HOLDER and statement.decision != "decline" and statement.code is not None:
        check_code(envelope, statement.code)
    return statement, person, assurance


def check_settlement(
    signed: SignedStatement,
    *,
    envelope: Envelope,
    digest: str,
    seat: str,
    shown: str,
    redeemed_at: int,
    decided: Collection[str],
    roster: Roster,
    party: RelyingParty,
) -> tuple[Settlement, Person]:
    """Verify completely what a person established of an unknown outcome; raises :class:`StatementRefused`.

    ``digest`` is the envelope's, ``seat`` the only one that may settle this ticket, ``shown`` the digest of what it
    had to be shown, ``redeemed_at`` when the effect could begin (Unix seconds): nobody knows its end before.
    ``decided`` are those who filled a seat of the ticket already (invariant 5).
    """
    settlement = Settlement.from_bytes(signed.statement)
    _check_about(settlement, envelope, digest)
    if settlement.seat != seat:
        raise StatementRefused("Nobody can settle this request in this role.")
    if settlement.display != shown:
        raise StatementRefused("The signature is for something else than was to be shown.")
    if settlement.iat < redeemed_at:
        raise StatementRefused("The signature's times are not possible.")
    person, _ = _check_signer(settlement, signed, envelope=envelope, roster=roster, party=party)
    if person.id in decided:
        raise StatementRefused("Somebody else has to settle this: you approved it yourself.")
    return settlement, person


def _check_about(statement: Statement | Settlement, envelope: Envelope, digest: str) -> None:
    """Whether it is about this very envelope, and its times are possible."""
    if statement.issuer != envelope.issuer or statement.envelope != digest:
        raise StatementRefused("The signature is for another request.")
    if not (envelope.requested_at <= statement.iat < statement.exp <= statement.iat + STATEMENT_LIFE):
        raise StatementRefused("The signature's times are not possible.")


def _check_signer(
    statement: Statement | Settlement,
    signed: SignedStatement,
    *,
    envelope: Envelope,
    roster: Roster,
    party: RelyingParty,
) -> tuple[Person, Assurance]:
    """Whether the passkey of a person who is eligible for the seat signed it. The bytes are those of ``statement``."""
    assertion = signed.assertion
    known = roster.signer(statement.credential)
    if known is None or known[1].id != statement.person or assertion.credential != statement.credential:
        raise StatementRefused("The passkey is not one that this person may sign with.")
    credential, person = known
    check_eligible(person, statement.seat, envelope, roster)
    verify_assertion(
        assertion,
        challenge=challenge(statement.namespace, signed.statement),
        public_key=credential.public_key,
        backup_eligible=credential.backup_eligible,
        party=party,
    )
    return person, "passkey" if credential.backup_eligible else "passkey_bound"


def check_eligible(person: Person, seat: str, envelope: Envelope, roster: Roster) -> None:
    """Raise :class:`StatementRefused` unless ``person`` may sit in ``seat`` of this ticket."""
    role = role_of(seat)
    holds = envelope.account is not None and envelope.account in person.accounts
    if role is None:
        if not holds:
            raise StatementRefused("Only the holder of the account can decide this.")
        return
    if role not in person.roles:
        raise StatementRefused(f"Only people with the role {role} can decide this.")
    if holds or person.id in (envelope.owner, envelope.actor):
        raise StatementRefused("Somebody else has to decide: you stand behind this request yourself.")
    holders = roster.holders(envelope.account) if envelope.account is not None else []
    if any([share_channel(person, other) for other in holders]):
        raise StatementRefused("Somebody else has to decide: your messages go where those of the account's holder go.")


def share_channel(one: Person, other: Person) -> bool:
    """Whether a message to one reaches the other; then they count as one."""
    return not one.reached_at.isdisjoint(other.reached_at)


def check_code(envelope: Envelope, code: str) -> None:
    """Raise :class:`StatementRefused` unless ``code`` is the match code of the chat."""
    if code_digest(envelope.salt_bytes, code) != envelope.code:
        raise StatementRefused("The code typed is not the one from the chat.")


def evidence_of(
    statements: Iterable[SignedStatement],
    *,
    envelope: Envelope,
    digest: str,
    display_of: Callable[[str], str],
    roster: Roster,
    party: RelyingParty,
) -> Evidence:
    """Verify all statements of a ticket and add them up; raises :class:`StatementRefused` if any does not hold.

    ``digest`` is that of the bytes which the envelope was read from. ``reached.hold`` is 0: time passes elsewhere, see
    :func:`with_wait`.
    """
    holder: Assurance = "none"
    staff: dict[str, int] = {}
    code = False
    people: list[str] = []
    complete_at = 0
    for signed in statements:
        statement, person, assurance = check_statement(
            signed,
            envelope=envelope,
            digest=digest,
            display_of=display_of,
            roster=roster,
            party=party,
        )
        if statement.decision == "decline":
            raise StatementRefused("Somebody declined.")
        if person.id in people:
            raise StatementRefused("One person cannot fill two seats.")
        people.append(person.id)
        complete_at = max(complete_at, statement.iat)
        role = role_of(statement.seat)
        if role is None:
            # Whoever is known to sit at the keyboard of that very chat need not type its code across.
            holder, code = assurance, statement.code is not None or person.id == envelope.actor
        else:
            staff[role] = staff.get(role, 0) + 1
    return Evidence(Rung(holder=holder, staff=staff, code=code), tuple(people), complete_at)


def with_wait(evidence: Evidence, now: int) -> Rung:
    """The evidence with the seconds that have passed since the last person signed."""
    waited = max(0, now - evidence.complete_at) if evidence.people else 0
    reached = evidence.reached
    return Rung(holder=reached.holder, staff=reached.staff, code=reached.code, hold=waited)


def met(requirements: Sequence[Rung], reached: Rung) -> Rung | None:
    """The first alternative that the evidence reaches, or None. Asking for nothing is never an alternative."""
    for rung in requirements:
        if reached.covers(rung) and not rung.is_empty:
            return rung
    return None


def met_but_for_time(requirements: Sequence[Rung], reached: Rung) -> Rung | None:
    """The alternative of the shortest hold that everything but time satisfies, or None."""
    ready = [rung for rung in requirements if not rung.is_empty and reached.changed(hold=rung.hold).covers(rung)]
    return min(ready, key=lambda rung: rung.hold, default=None)
