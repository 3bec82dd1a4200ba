"""Who people are, what they hold, and with which passkeys they sign.

The chain of trust has three links, each verified by everyone who relies on it (the authority when it decides and
mints, the executor before it runs):

1. The **roster key**, which no serving process holds, signs *invitations* and *ends*, and names *delegates*, which may
   invite within limits (``delegates.py``). Records are numbered without gaps and each names the digest of the one
   before it, so a row that is inserted, changed, removed or reordered is noticed; a roster that was rolled back is
   older than the pinned minimum version (T49). A roster key that was replaced, lost or stolen, goes on verifying what
   it signed until then, and nothing else: the record at which it stopped is pinned.
2. An invitation names a person, their accounts, roles and channels, an expiry, and the verification key of a one-time
   secret. The **secret** (the seed of that Ed25519 key) signs the *enrolment*. A database holds nothing with which an
   enrolment could be forged, not even after the secret was used. Whoever has the secret itself can sign another one:
   which was the first, the log tells (:meth:`Roster.check_enrolled`).
3. The **credential** that the enrolment names signs it as well, with user verification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, TypeAdapter

from counterfoil import tokens
from counterfoil.assertions import RelyingParty, verify_assertion
from counterfoil.canonical import b64, canonical, digest, parse_strict, pre_auth, unb64
from counterfoil.delegates import Delegate, Delegates, Delegation
from counterfoil.errors import BadJSON, RosterRefused, StatementRefused
from counterfoil.keys import SigningKey, VerificationKey
from counterfoil.leaves import enrolled_before
from counterfoil.statements import ENROL_NAMESPACE, Assertion, challenge
from counterfoil.values import Frozen, Version

ROSTER_TYPE = "cf-roster+jwt"
NO_RECORD = digest("counterfoil-roster-record", b"")
"""What the first record names as the one before it."""


class Invitation(Frozen):
    """The roster key invites a person. ``secret_key``: the Ed25519 verification key of the one-time secret.

    A later invitation of the same person replaces their name, accounts, roles and channels.
    """

    type: Literal["invitation"] = "invitation"
    v: Version = 1
    version: int
    previous: str
    person: str
    name: str
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    channels: tuple[str, ...]
    secret_key: str
    iat: int
    exp: int


class End(Frozen):
    """The roster key ends a person, one credential, or a delegate (by its key's id), for good."""

    type: Literal["end"] = "end"
    v: Version = 1
    version: int
    previous: str
    what: Literal["person", "credential", "delegate"]
    id: str
    iat: int


Record = Annotated[Invitation | End | Delegation, Field(discriminator="type")]
_RECORD: TypeAdapter[Invitation | End | Delegation] = TypeAdapter(Record)


class Enrolment(Frozen):
    """A credential joins the roster. ``invitation``: the digest of the invitation's text; ``public_key``: DER SPKI."""

    v: Version = 1
    invitation: str
    person: str
    credential: str
    public_key: str
    backup_eligible: bool
    party: str
    iat: int

    def to_bytes(self) -> bytes:
        """The canonical bytes that secret and credential sign."""
        return canonical(self.model_dump(mode="json"))

    @property
    def challenge(self) -> bytes:
        """What the new credential signs."""
        return challenge(ENROL_NAMESPACE, self.to_bytes())


class SignedEnrolment(Frozen):
    """An enrolment with both signatures; stored as JSON."""

    enrolment: Enrolment
    secret_signature: str
    assertion: Assertion

    def to_text(self) -> str:
        """Canonical JSON."""
        return canonical(self.model_dump(mode="json")).decode()

    @staticmethod
    def from_text(text: str) -> SignedEnrolment:
        """Read a stored enrolment; raises :class:`RosterRefused` unless it is exactly what :meth:`to_text` writes, in
        which nothing stands twice: others would read another enrolment than we do."""
        try:
            signed = SignedEnrolment.model_validate_json(text)
            if signed.to_text() != text:
                raise BadJSON
            return signed
        except (BadJSON, ValueError):
            raise RosterRefused("An enrolment in the roster cannot be read.") from None


@dataclass(frozen=True)
class Credential:
    """An enrolled passkey."""

    id: str
    person: str
    public_key: bytes
    backup_eligible: bool
    ended: bool
    invitation: str
    """The digest of the invitation with which it was enrolled."""
    enrolment: str
    """The digest of the signed enrolment."""


@dataclass(frozen=True)
class Person:
    """Somebody who may sign."""

    id: str
    name: str
    accounts: frozenset[str]
    roles: frozenset[str]
    channels: tuple[str, ...]
    ended: bool

    @cached_property
    def reached_at(self) -> frozenset[str]:
        """The channels, where capital letters make no difference."""
        return frozenset(channel.casefold() for channel in self.channels)


@dataclass(frozen=True)
class LastRecord:
    """Where a roster key that was replaced had to stop: the number of its last record, and that record's digest."""

    version: int
    digest: str


@dataclass(frozen=True)
class RosterTrust:
    """What a verifier brings itself: the roster keys, the lowest version it accepts, and where passkeys are valid.

    ``replaced`` has those of the keys, by id, that signed up to some record only.
    """

    keys: Mapping[str, VerificationKey]
    minimum_version: int
    party: RelyingParty
    replaced: Mapping[str, LastRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class Roster:
    """The verified roster."""

    version: int
    people: Mapping[str, Person]
    credentials: Mapping[str, Credential]
    invitations: Mapping[str, Invitation] = field(default_factory=dict)
    """By the digest of their text."""
    head: str = NO_RECORD
    """The digest that the next record must name."""
    delegates: Mapping[str, Delegate] = field(default_factory=dict)
    """By the id of their key."""
    digests: tuple[str, ...] = ()
    """Of each record, in order."""

    def check_told(self, records: int, last: str) -> None:
        """Raise :class:`RosterRefused` unless this is the roster that the log tells of: it has told of so many records,
        the ``last`` of which has this digest.

        A number alone would not do: a delegate's key can sign another record in the place of one that ended it.
        """
        if self.version < records:
            raise RosterRefused("The roster lacks records that the log tells of.")
        if records and self.digests[records - 1] != last:
            raise RosterRefused(
                f"Record {records} of the roster is not the one that the log tells of.",
                "Restore the roster. If the log's opening of it was deleted, append another record.",
            )

    def check_enrolled(self, told: Callable[[str], str | None]) -> None:
        """Raise :class:`RosterRefused` unless every passkey that can sign was enrolled as the log tells: ``told``
        answers the digest of the enrolment it told of first, for an invitation's digest; None where it told of none.

        Whoever knows an invitation's secret can sign another enrolment for it, also after the first one. What the log
        tells of and is not here is not missed: it signs nothing.
        """
        for known in self.credentials.values():
            first = told(known.invitation)
            if self.signer(known.id) is None or first == known.enrolment:
                continue
            if first is None and told(enrolled_before(known.id)) is not None:
                continue
            raise RosterRefused(
                f"The passkey {known.id} of {known.person} is not the one that the log tells was enrolled first with"
                " its invitation."
                if first is not None
                else f"The log does not tell that the passkey {known.id} of {known.person} was enrolled.",
                f"Restore the roster. If that is lost, end {known.person} with 'counterfoil people disable'.",
            )

    def told_alone(self, told: Callable[[str], str | None]) -> dict[str, str]:
        """The enrolments (their digests, by the invitation's) of passkeys that only leaves of an earlier version tell
        of, ``told`` as in :meth:`check_enrolled`. Those do not say which invitation was used; who remembers it does."""
        return {
            known.invitation: known.enrolment
            for known in self.credentials.values()
            if told(known.invitation) is None and told(enrolled_before(known.id)) is not None
        }

    def holders(self, account: str) -> list[Person]:
        """The people who hold the account now."""
        return self._by_account.get(account, [])

    @cached_property
    def _by_account(self) -> dict[str, list[Person]]:
        """Looked at for everybody who might sit in a seat, so not by walking through all people each time."""
        found: dict[str, list[Person]] = {}
        for person in self.people.values():
            for account in person.accounts if not person.ended else ():
                found.setdefault(account, []).append(person)
        return found

    def staff(self, role: str) -> list[Person]:
        """The people who have the role now."""
        return [person for person in self.people.values() if role in person.roles and not person.ended]

    def signer(self, credential: str) -> tuple[Credential, Person] | None:
        """The credential and its person, if both are good now."""
        known = self.credentials.get(credential)
        if known is None or known.ended or self.people[known.person].ended:
            return None
        return known, self.people[known.person]

    def credentials_of(self, person: str) -> list[Credential]:
        """The person's good credentials."""
        return [known for known in self.credentials.values() if known.person == person and not known.ended]


def record_digest(text: str) -> str:
    """The digest by which the next record and enrolments name a signed record."""
    return digest("counterfoil-roster-record", text.encode())


def enrolment_digest(text: str) -> str:
    """The digest by which the log names a signed enrolment."""
    return digest("counterfoil-signed-enrolment", text.encode())


def sign_record(key: SigningKey, record: Invitation | End | Delegation) -> str:
    """The signed text of a record."""
    return tokens.sign(key, ROSTER_TYPE, record.model_dump(mode="json"))


def secret_key_of(secret: bytes) -> str:
    """The verification key of a one-time secret of 32 random bytes, for the invitation."""
    return b64(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())


def sign_with_secret(secret: bytes, enrolment: Enrolment) -> str:
    """The one-time secret's signature over an enrolment."""
    return b64(Ed25519PrivateKey.from_private_bytes(secret).sign(_secret_message(enrolment)))


def verify_roster(records: Sequence[str], enrolments: Sequence[str], trust: RosterTrust) -> Roster:
    """Verify every link of every chain; raises :class:`RosterRefused` naming the first record that does not hold."""
    people: dict[str, Person] = {}
    invitations: dict[str, Invitation] = {}
    ended: set[tuple[str, str]] = set()
    digests: list[str] = []
    head, delegates, signed_at = NO_RECORD, Delegates(), 0
    for number, text in enumerate(records, start=1):
        record = _verified_record(text, number, head, trust, delegates, signed_at)
        head, signed_at = record_digest(text), max(signed_at, record.iat)
        digests.append(head)
        _check_pinned(number, head, trust)
        if isinstance(record, Delegation):
            delegates.add(record)
        elif isinstance(record, Invitation):
            invitations[head] = record
            people[record.person] = Person(
                record.person, record.name, frozenset(record.accounts), frozenset(record.roles), record.channels, False
            )
        else:
            ended.add((record.what, record.id))
            if record.what == "delegate":
                delegates.end(record.id)
    minimum = max(trust.minimum_version, *(last.version for last in trust.replaced.values()), 0)
    if len(records) < minimum:
        raise RosterRefused(f"The roster has {len(records)} records; at least {minimum} were seen before.")
    credentials = _verified_enrolments(enrolments, invitations, ended, trust)
    people = {
        name: person if ("person", name) not in ended else Person(
            person.id, person.name, person.accounts, person.roles, person.channels, True
        )
        for name, person in people.items()
    }  # fmt: skip
    return Roster(len(records), people, credentials, invitations, head, delegates.known(), tuple(digests))


def verify_enrolment(signed: SignedEnrolment, invitation: Invitation, trust: RosterTrust) -> None:
    """Raise :class:`RosterRefused` unless the invitation's secret and the credential itself signed the enrolment."""
    enrolment = signed.enrolment
    if enrolment.person != invitation.person or not invitation.iat <= enrolment.iat <= invitation.exp:
        raise RosterRefused("An enrolment does not fit its invitation.")
    if enrolment.party != trust.party.id:
        raise RosterRefused(
            f"A passkey was enrolled for {enrolment.party}, but this desk is {trust.party.id}.",
            "Restore the former public_url, or invite the people again.",
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(unb64(invitation.secret_key))
        key.verify(unb64(signed.secret_signature), _secret_message(enrolment))
        if signed.assertion.credential != enrolment.credential:
            raise StatementRefused("An enrolment is signed by another credential.")
        verify_assertion(
            signed.assertion,
            challenge=enrolment.challenge,
            public_key=unb64(enrolment.public_key),
            backup_eligible=enrolment.backup_eligible,
            party=trust.party,
        )
    except (InvalidSignature, StatementRefused, BadJSON, ValueError):
        raise RosterRefused(f"The enrolment of a passkey of {enrolment.person} is not properly signed.") from None


def _verified_record(
    text: str, number: int, head: str, trust: RosterTrust, delegates: Delegates, signed_at: int
) -> Invitation | End | Delegation:
    """The record, if it is by a key that may sign it. ``signed_at``: when the one before it was (Unix seconds)."""
    try:
        body, key = tokens.signed_payload(text, ROSTER_TYPE, {**delegates.keys, **trust.keys})
        payload = parse_strict(body)
        if not isinstance(payload, dict) or "v" not in payload:
            raise BadJSON
        record = _RECORD.validate_json(body)  # as it was written: in canonical JSON 1.0 is an integer
    except (BadJSON, ValueError):
        raise RosterRefused(f"Record {number} of the roster is not signed by the roster key.") from None
    if key in trust.replaced and number > trust.replaced[key].version:
        raise RosterRefused(
            f"Record {number} of the roster is signed by a roster key that was replaced before it.",
            "Sign it with the present roster key; if it is stored already, run 'counterfoil doctor'.",
        )
    if record.version != number or record.previous != head:
        raise RosterRefused(f"Record {number} of the roster does not follow the one before it.")
    by_delegate = key not in trust.keys
    if by_delegate:
        if not isinstance(record, Invitation):
            raise RosterRefused(f"Record {number} of the roster is by a delegate, which may only invite.")
        if record.iat < signed_at:
            raise RosterRefused(f"Record {number} of the roster is dated before the one that precedes it.")
        delegates.check(key, number, record.person, record.accounts, record.roles, record.iat)
    if isinstance(record, Invitation):
        delegates.invited(key if by_delegate else None, record.person, record.accounts)
    return record


def _check_pinned(number: int, head: str, trust: RosterTrust) -> None:
    """Whoever has a key that was replaced could sign another history, as long as the one that it ended with."""
    if any(last.version == number and last.digest != head for last in trust.replaced.values()):
        raise RosterRefused(f"Record {number} of the roster is not the one at which a roster key was replaced.")


def _verified_enrolments(
    texts: Sequence[str], invitations: Mapping[str, Invitation], ended: set[tuple[str, str]], trust: RosterTrust
) -> dict[str, Credential]:
    credentials: dict[str, Credential] = {}
    spent: set[str] = set()
    for text in texts:
        signed = SignedEnrolment.from_text(text)
        enrolment = signed.enrolment
        invitation = invitations.get(enrolment.invitation)
        if invitation is None or enrolment.invitation in spent or enrolment.credential in credentials:
            raise RosterRefused(f"The enrolment of a passkey of {enrolment.person} has no invitation of its own.")
        verify_enrolment(signed, invitation, trust)
        spent.add(enrolment.invitation)
        credentials[enrolment.credential] = Credential(
            enrolment.credential,
            enrolment.person,
            unb64(enrolment.public_key),
            enrolment.backup_eligible,
            ("credential", enrolment.credential) in ended,
            enrolment.invitation,
            enrolment_digest(text),
        )
    return credentials


def _secret_message(enrolment: Enrolment) -> bytes:
    return pre_auth("counterfoil-enrolment", enrolment.to_bytes())


def read_record(text: str) -> dict[str, Any]:
    """The unverified content of a record, for listings of a roster that was verified as a whole."""
    value = parse_strict(unb64(text.split(".")[1]))
    return value if isinstance(value, dict) else {}
