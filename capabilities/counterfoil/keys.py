"""Signing keys: P-256 for tokens and roster records, held in a ring of previous, current and next.

A key's id is its RFC 7638 thumbprint, and a key id pins its algorithm: nothing in a token's header chooses one. The
core never reads files; whoever holds key material hands it in as PEM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from counterfoil.errors import KeyFileError

ALGORITHM = "ES256"


@dataclass(frozen=True)
class VerificationKey:
    """A public P-256 key and its id."""

    id: str
    jwk: ECKey

    @staticmethod
    def from_jwk(values: Mapping[str, Any]) -> VerificationKey:
        """Read a public JWK; raises :class:`KeyFileError` for anything but a P-256 public key."""
        try:
            key = ECKey.import_key(dict(values))
        except Exception as error:
            raise KeyFileError(f"A public key cannot be read: {type(error).__name__}.") from None
        if key.curve_name != "P-256" or key.is_private:
            raise KeyFileError("A public key is not a public P-256 key.")
        return VerificationKey(key.thumbprint(), key)

    def to_jwk(self) -> dict[str, str]:
        """The public JWK, with the key's id and algorithm (RFC 7517)."""
        values = self.jwk.as_dict(private=False)
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": str(values["x"]),
            "y": str(values["y"]),
            "kid": self.id,
            "alg": ALGORITHM,
        }


@dataclass(frozen=True)
class SigningKey:
    """A private P-256 key and its id."""

    id: str
    jwk: ECKey

    @staticmethod
    def generate() -> SigningKey:
        """A fresh key."""
        return SigningKey.from_pem(_pem(ec.generate_private_key(ec.SECP256R1())))

    @staticmethod
    def from_pem(pem: bytes) -> SigningKey:
        """Read an unencrypted PKCS#8 PEM; raises :class:`KeyFileError` for anything but a private P-256 key."""
        try:
            loaded = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise KeyFileError("A private key file is damaged or not a PEM.") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise KeyFileError("A private key is not a P-256 key.")
        key = ECKey.import_key(_pem(loaded))
        return SigningKey(key.thumbprint(), key)

    def to_pem(self) -> bytes:
        """Unencrypted PKCS#8 PEM, for a file of mode 0600."""
        return self.jwk.as_pem(private=True)

    @property
    def public(self) -> VerificationKey:
        """The key that verifies what this one signs."""
        return VerificationKey(self.id, ECKey.import_key(self.jwk.as_dict(private=False)))


@dataclass(frozen=True)
class KeyRing:
    """The keys of one signer: it signs with the current one; all three verify."""

    current: SigningKey
    next: SigningKey
    previous: SigningKey | None = None

    @property
    def verification_keys(self) -> dict[str, VerificationKey]:
        """Public keys by id."""
        held = [key for key in (self.previous, self.current, self.next) if key is not None]
        return {key.id: key.public for key in held}

    def rotated(self, fresh: SigningKey) -> KeyRing:
        """The ring after a rotation: next becomes current, current previous, ``fresh`` next."""
        return KeyRing(current=self.next, next=fresh, previous=self.current)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
