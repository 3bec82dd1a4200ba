"""The one verifier of passkey assertions.

Registration is a library's; assertions are verified here and nowhere else, from stored bytes alone, so that the
server, the executor and an auditor years later run the same lines. Checked, by W3C WebAuthn Level 3, section 7.2:
type, challenge, origin, no cross-origin frame, relying party id, user presence, user verification, that the
backup-eligible flag is the registered one, and the ES256 signature.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.canonical import b64, parse_strict, unb64
from counterfoil.errors import BadJSON, StatementRefused
from counterfoil.keys import PREHASHED
from counterfoil.statements import Assertion

MAX_CLIENT_DATA = 2048
"""Bytes; browsers send about 250. Larger input is not worth parsing."""

USER_PRESENT = 0x01
USER_VERIFIED = 0x04
BACKUP_ELIGIBLE = 0x08
EXTENSIONS = 0x80
HEADER_LENGTH = 37

_BEGINS = b'{"type":"webauthn.get","challenge":"'


@dataclass(frozen=True)
class RelyingParty:
    """Where passkeys are valid: the host they are bound to, and the exact origins of our pages."""

    id: str
    origins: frozenset[str]

    @cached_property
    def id_digest(self) -> bytes:
        """With what the authenticator data begins."""
        return hashlib.sha256(self.id.encode()).digest()

    @cached_property
    def endings(self) -> frozenset[bytes]:
        """With what browsers end the client data after the challenge, at each of the origins."""
        return frozenset(b'","origin":%b,"crossOrigin":false}' % json.dumps(each).encode() for each in self.origins)


def verify_assertion(
    assertion: Assertion, *, challenge: bytes, public_key: bytes, backup_eligible: bool, party: RelyingParty
) -> None:
    """Raise :class:`StatementRefused` unless the key (DER SPKI, P-256) signed ``challenge`` with the user verified."""
    try:
        client_data = unb64(assertion.client_data)
        authenticator_data = unb64(assertion.authenticator_data)
        signature = unb64(assertion.signature)
    except BadJSON:
        raise StatementRefused("The passkey's answer cannot be read.") from None
    # What browsers usually write can be told without reading it (WebAuthn Level 3, section 5.8.1.2, "limited").
    begins = _BEGINS + b64(challenge).encode()
    if not (client_data.startswith(begins) and client_data[len(begins) :] in party.endings):
        _check_client_data(client_data, challenge, party)
    _check_authenticator_data(authenticator_data, backup_eligible, party)
    signed = hashlib.sha256(authenticator_data + hashlib.sha256(client_data).digest())
    try:
        _loaded(public_key).verify(signature, signed.digest(), PREHASHED)
    except (InvalidSignature, ValueError):
        raise StatementRefused("The passkey's signature is not valid.") from None


def _check_client_data(client_data: bytes, challenge: bytes, party: RelyingParty) -> None:
    try:
        client = parse_strict(client_data) if len(client_data) <= MAX_CLIENT_DATA else None
    except BadJSON:
        raise StatementRefused("The passkey's answer cannot be read.") from None
    if not isinstance(client, dict) or client.get("type") != "webauthn.get":
        raise StatementRefused("The passkey's answer is not an assertion.")
    if client.get("challenge") != b64(challenge):
        raise StatementRefused("The passkey signed something else.")
    origin = client.get("origin")
    if not isinstance(origin, str) or origin not in party.origins:
        raise StatementRefused("The passkey was used on another site.")
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        raise StatementRefused("The passkey was used inside another site's frame.")


def _check_authenticator_data(data: bytes, backup_eligible: bool, party: RelyingParty) -> None:
    if len(data) < HEADER_LENGTH or (len(data) > HEADER_LENGTH and not data[32] & EXTENSIONS):
        raise StatementRefused("The passkey's answer has a wrong length.")
    if data[:32] != party.id_digest:
        raise StatementRefused("The passkey belongs to another site.")
    if not data[32] & USER_PRESENT:
        raise StatementRefused("Nobody was present at the passkey.")
    if not data[32] & USER_VERIFIED:
        raise StatementRefused("The passkey did not verify its user (by PIN, finger or face).")
    if bool(data[32] & BACKUP_ELIGIBLE) != backup_eligible:
        raise StatementRefused("The passkey is not of the kind that was enrolled.")


@lru_cache(maxsize=256)
def _loaded(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """The key, kept: a statement is verified when it is decided, minted and run, and a key's first use takes half as
    long again as the next."""
    key = serialization.load_der_public_key(public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StatementRefused("The passkey's enrolled key is not a P-256 key.")
    return key
