"""A simulated passkey that follows WebAuthn's rules: its own key, its own site, a counter of nothing."""

from __future__ import annotations

import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from counterfoil.assertions import RelyingParty
from counterfoil.canonical import b64
from counterfoil.statements import Assertion

PARTY = RelyingParty(id="localhost", origins=frozenset({"http://localhost:8700"}))


class Passkey:
    """A key that cannot leave its device, with user verification."""

    def __init__(self, credential: str) -> None:
        self.credential = credential
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> bytes:
        """DER SPKI."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, challenge: bytes) -> Assertion:
        """The assertion a browser on our page would return."""
        client = {"type": "webauthn.get", "challenge": b64(challenge), "origin": "http://localhost:8700"}
        client_data = json.dumps(client).encode()
        authenticator_data = hashlib.sha256(PARTY.id.encode()).digest() + bytes([0x05]) + bytes(4)
        message = authenticator_data + hashlib.sha256(client_data).digest()
        signature = self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        return Assertion(
            credential=self.credential,
            authenticator_data=b64(authenticator_data),
            client_data=b64(client_data),
            signature=b64(signature),
        )
