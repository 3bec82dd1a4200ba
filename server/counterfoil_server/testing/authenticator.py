"""An authenticator in software.

It follows W3C WebAuthn Level 3 as far as our pages need it and refuses what a real one refuses (another site's relying
party, a passkey it does not hold); its public attributes make it misbehave.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.assertions import BACKUP_ELIGIBLE, USER_PRESENT, USER_VERIFIED
from counterfoil.canonical import b64, unb64

BACKED_UP = 0x10
ATTESTED = 0x40
ES256 = -7


class PasskeyRefused(Exception):
    """The authenticator does not do what the page asks for."""


@dataclass
class SoftwarePasskey:
    """One passkey."""

    id: bytes
    key: ec.EllipticCurvePrivateKey
    party: str
    user: bytes


@dataclass
class SoftwareAuthenticator:
    """Makes P-256 passkeys and signs with them, always with the user present and verified unless told otherwise.

    ``origin`` overrides the page's; ``sign_with`` is a foreign key to sign with; ``ignore_allowed`` picks the first
    passkey whatever the page allows; ``any_party`` also serves another site's relying party.
    """

    user_present: bool = True
    user_verified: bool = True
    backup_eligible: bool = False
    backed_up: bool = False
    cross_origin: bool = False
    origin: str | None = None
    sign_with: ec.EllipticCurvePrivateKey | None = None
    ignore_allowed: bool = False
    any_party: bool = False
    passkeys: list[SoftwarePasskey] = field(default_factory=list)

    def create(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        """``navigator.credentials.create`` for PublicKeyCredentialCreationOptionsJSON; a RegistrationResponseJSON."""
        party = self._party(options["rp"]["id"], origin)
        if not any(parameter["alg"] == ES256 for parameter in options["pubKeyCredParams"]):
            raise PasskeyRefused("The page accepts no key that this authenticator makes.")
        held = {b64(passkey.id) for passkey in self.passkeys}
        if any(excluded["id"] in held for excluded in options.get("excludeCredentials", [])):
            raise PasskeyRefused("This authenticator already holds a passkey of this person.")
        passkey = SoftwarePasskey(
            secrets.token_bytes(32), ec.generate_private_key(ec.SECP256R1()), party, unb64(options["user"]["id"])
        )
        self.passkeys.append(passkey)
        numbers = passkey.key.public_key().public_numbers()
        public_key = cbor2.dumps(
            {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        data = self._data(party, ATTESTED) + bytes(16) + len(passkey.id).to_bytes(2, "big") + passkey.id + public_key
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options["challenge"], origin)
        response = {"clientDataJSON": b64(client_data), "attestationObject": b64(attestation)}
        return self._answer(passkey, response)

    def get(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        """``navigator.credentials.get`` for PublicKeyCredentialRequestOptionsJSON; an AuthenticationResponseJSON."""
        party = self._party(options["rpId"], origin)
        allowed = {entry["id"] for entry in options.get("allowCredentials", [])}
        fitting = [passkey for passkey in self.passkeys if passkey.party == party or self.any_party]
        if allowed and not self.ignore_allowed:
            fitting = [passkey for passkey in fitting if b64(passkey.id) in allowed]
        if not fitting:
            raise PasskeyRefused("This authenticator holds no passkey that the page allows.")
        passkey = fitting[0]
        data = self._data(party, 0)
        client_data = self._client_data("webauthn.get", options["challenge"], origin)
        key = self.sign_with or passkey.key
        signature = key.sign(data + sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client_data),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(passkey.user),
        }
        return self._answer(passkey, response)

    def _party(self, party: str, origin: str) -> str:
        if urlsplit(origin).hostname != party and not self.any_party:
            raise PasskeyRefused("The page asks for another site's passkeys.")
        return party

    def _data(self, party: str, flags: int) -> bytes:
        chosen = (
            (self.user_present, USER_PRESENT), (self.user_verified, USER_VERIFIED),
            (self.backup_eligible, BACKUP_ELIGIBLE), (self.backed_up, BACKED_UP),
        )  # fmt: skip
        flags |= sum(flag for on, flag in chosen if on)
        return sha256(party.encode()).digest() + bytes([flags]) + bytes(4)

    def _client_data(self, kind: str, challenge: str, origin: str) -> bytes:
        value = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin or origin,
            "crossOrigin": self.cross_origin,
        }
        return json.dumps(value, separators=(",", ":")).encode()

    @staticmethod
    def _answer(passkey: SoftwarePasskey, response: dict[str, str]) -> dict[str, Any]:
        known = b64(passkey.id)
        return {
            "id": known,
            "rawId": known,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }
