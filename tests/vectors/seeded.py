"""Keys that are the same each time they are made, and signatures that are too (RFC 6979)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from capabilities.world import Passkey
from counterfoil.canonical import b64
from counterfoil.keys import SigningKey, VerificationKey

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group of P-256."""

DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)


def seed(name: str) -> bytes:
    """32 bytes that stand for random ones."""
    return hashlib.sha256(f"counterfoil vectors: {name}".encode()).digest()


def p256(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.derive_private_key(int.from_bytes(seed(name)) % (ORDER - 1) + 1, ec.SECP256R1())


def ed25519(name: str) -> Ed25519PrivateKey:
    """An Ed25519 key."""
    return Ed25519PrivateKey.from_private_bytes(seed(name))


@dataclass(frozen=True)
class SeededKey(SigningKey):
    """A signing key whose signatures are the same each time."""

    @staticmethod
    def of(name: str) -> SeededKey:
        """The key of this name."""
        private = p256(name)
        return SeededKey(VerificationKey.of(private.public_key()).id, private)

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature of a digest, as ASN.1 has it."""
        return self.private.sign(digest, PREHASHED)

    def der(self, message: bytes) -> bytes:
        """The signature as ASN.1 has it, which no JWS may hold."""
        return self.private.sign(message, DETERMINISTIC)


class SeededPasskey(Passkey):
    """A passkey whose signatures are the same each time."""

    scheme = DETERMINISTIC

    def __init__(self, name: str, *, backup_eligible: bool = True) -> None:
        super().__init__(b64(f"passkey of {name}".encode()), backup_eligible=backup_eligible)
        self.key = p256(f"passkey of {name}")
