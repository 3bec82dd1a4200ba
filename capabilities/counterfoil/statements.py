"""What a person signs.

A statement binds one person, one seat and one decision to the digests of one envelope and of what the page showed; a
settlement binds them to what the person found out of an effect whose end nobody knew. A passkey signs either as its
WebAuthn challenge. The challenge is the signed-data blob of an OpenSSH signature
(PROTOCOL.sshsig) under a namespace of its own for each meaning, so that an approval can never be taken for a decline, a
settlement, a sign-in, an enrolment, or a signature over a git commit (T51), and so that stock ``ssh-keygen`` can check
it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Literal, Self

from msgspec import Meta

from counterfoil.errors import BadJSON, StatementRefused
from counterfoil.rungs import Rung
from counterfoil.spelling import SafeInteger, Spelled
from counterfoil.tickets import ACCESS, Envelope
from counterfoil.values import Frozen, Version

Choice = Literal["approve", "decline"]
"""What a person chooses."""
Decision = Literal["approve", "decline", "grant"]
"""What they sign: to approve a request for access is to grant it, and is no approval of anything else."""
Found = Literal["executed", "not_executed"]
"""What a person may say of an effect whose end nobody knew."""

APPROVE_NAMESPACE = "counterfoil-approve@v1.counterfoil"
DECLINE_NAMESPACE = "counterfoil-decline@v1.counterfoil"
GRANT_NAMESPACE = "counterfoil-grant@v1.counterfoil"
SETTLE_NAMESPACE = "counterfoil-settle@v1.counterfoil"
ENROL_NAMESPACE = "counterfoil-enrol@v1.counterfoil"

NAMESPACES: dict[Decision, str] = {
    "approve": APPROVE_NAMESPACE,
    "decline": DECLINE_NAMESPACE,
    "grant": GRANT_NAMESPACE,
}

HOLDER = "holder"
STAFF = "staff:"

MAX_REFERENCE = 200
"""Characters of the reference that a person may add to a settlement; as many as a receipt's."""


class Signable(Spelled, frozen=True, kw_only=True):
    """What everything that a person signs about one ticket has in common. ``nonce`` is 32 random bytes that the store
    spends with it; times are Unix seconds of the store's clock."""

    v: Version = 1
    issuer: str
    envelope: str
    display: str
    seat: str
    person: str
    credential: str
    nonce: str
    iat: SafeInteger
    exp: SafeInteger

    @property
    @abstractmethod
    def namespace(self) -> str:
        """Under which the passkey signs."""

    @property
    def challenge(self) -> bytes:
        """What the passkey signs."""
        return challenge(self.namespace, self.to_bytes())

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Read signed bytes; raises :class:`StatementRefused` unless they are exactly what :meth:`to_bytes` writes."""
        try:
            return cls.read(body)
        except ValueError:
            raise StatementRefused("The statement cannot be read.") from None
        except BadJSON:
            raise StatementRefused("The statement is not in its canonical form.") from None


class Statement(Signable, frozen=True, kw_only=True):
    """One person's decision in one seat. ``code`` is the match code the person typed."""

    decision: Decision
    code: str | None

    @property
    def namespace(self) -> str:
        """That of the decision."""
        return NAMESPACES[self.decision]


class Settlement(Signable, frozen=True, kw_only=True):
    """What one person established of an effect whose end nobody knew, and the reference they add (may be empty)."""

    found: Found
    reference: Annotated[str, Meta(max_length=MAX_REFERENCE)]

    @property
    def namespace(self) -> str:
        """That of settlements."""
        return SETTLE_NAMESPACE


def signed_as(choice: Choice, envelope: Envelope) -> Decision:
    """What choosing this on the page of this request signs."""
    return "grant" if choice == "approve" and envelope.operation == ACCESS else choice


def challenge(namespace: str, message: bytes) -> bytes:
    """The blob that an OpenSSH signature over ``message`` signs (openssh PROTOCOL.sshsig, section 3)."""
    return _before_digest(namespace) + hashlib.sha512(message).digest()


@lru_cache(maxsize=16)
def _before_digest(namespace: str) -> bytes:
    parts = (namespace.encode(), b"", b"sha512")
    return b"SSHSIG" + b"".join(len(part).to_bytes(4) + part for part in parts) + (64).to_bytes(4)


class Assertion(Frozen):
    """A WebAuthn assertion as it came from the browser; every value base64url without padding."""

    credential: str
    authenticator_data: str
    client_data: str
    signature: str


def role_of(seat: str) -> str | None:
    """The staff role of a seat, or None for the holder's."""
    return seat.removeprefix(STAFF) if seat.startswith(STAFF) else None


def seats_required(envelope: Envelope) -> tuple[str, ...]:
    """Every seat that some alternative of the requirements has, the holder's first."""
    return seats_of(envelope.requirements)


def is_required(seat: str, envelope: Envelope) -> bool:
    """Whether it is one of these seats. (Of so few, a list is quicker than a generator, and each check asks.)"""
    role = role_of(seat)
    return any([rung.holder != "none" if seat == HOLDER else role in rung.staff for rung in envelope.requirements])


def seats_of(alternatives: Iterable[Rung]) -> tuple[str, ...]:
    """Every seat that some of the alternatives has, the holder's first."""
    rungs = tuple(alternatives)
    holder = any(rung.holder != "none" for rung in rungs)
    roles = dict.fromkeys(role for rung in rungs for role in sorted(rung.staff))
    return ((HOLDER,) if holder else ()) + tuple(STAFF + role for role in roles)
