"""Signing keys: P-256 for tokens and roster records, held in a ring of previous, current and next.

A key's id is its RFC 7638 thumbprint, and a key id pins its algorithm: nothing in a token's header chooses one. The
core never reads files; whoever holds key material hands it in as PEM. Signatures are those of JWS (RFC 7518, 3.4): r
and s of 32 bytes each, over SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from counterfoil.canonical import b64, canonical, unb64
from counterfoil.errors import BadJSON, KeyFileError

ALGORITHM = "ES256"
_SCHEME = ec.ECDSA(hashes.SHA256())
_WIDTH = 32


@dataclass(frozen=True)
class VerificationKey:
    """A public P-256 key and its id."""

    id: str
    public: ec.EllipticCurvePublicKey

    @staticmethod
    def of(public: ec.EllipticCurvePublicKey) -> VerificationKey:
        """The key with its id."""
        return VerificationKey(b64(hashlib.sha256(canonical(_members(public))).digest()), public)

    @staticmethod
    def from_jwk(values: Mapping[str, Any]) -> VerificationKey:
        """Read a public JWK; raises :class:`KeyFileError` for anything but a P-256 public key."""
        if (values.get("kty"), values.get("crv")) != ("EC", "P-256") or "d" in values:
            raise KeyFileError("A public key is not a public P-256 key.")
        try:
            x, y = unb64(values["x"]), unb64(values["y"])
            if (len(x), len(y)) != (_WIDTH, _WIDTH):
                raise ValueError("a coordinate has 32 bytes")
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
            return VerificationKey.of(numbers.public_key())
        except (BadJSON, ValueError, KeyError, TypeError) as error:
            raise KeyFileError(f"A public key cannot be read: {type(error).__name__}.") from None

    def to_jwk(self) -> dict[str, str]:
        """The public JWK, with the key's id and algorithm (RFC 7517)."""
        return _members(self.public) | {"kid": self.id, "alg": ALGORITHM}

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the key made this signature of the message."""
        if len(signature) != 2 * _WIDTH:
            return False
        r, s = int.from_bytes(signature[:_WIDTH]), int.from_bytes(signature[_WIDTH:])
        try:
            self.public.verify(encode_dss_signature(r, s), message, _SCHEME)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private P-256 key and its id."""

    id: str
    private: ec.EllipticCurvePrivateKey

    @staticmethod
    def generate() -> SigningKey:
        """A fresh key."""
        return SigningKey._of(ec.generate_private_key(ec.SECP256R1()))

    @staticmethod
    def from_pem(pem: bytes) -> SigningKey:
        """Read an unencrypted PKCS#8 PEM; raises :class:`KeyFileError` for anything but a private P-256 key."""
        try:
            loaded = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise KeyFileError("A private key file is damaged or not a PEM.") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise KeyFileError("A private key is not a P-256 key.")
        return SigningKey._of(loaded)

    @staticmethod
    def _of(private: ec.EllipticCurvePrivateKey) -> SigningKey:
        return SigningKey(VerificationKey.of(private.public_key()).id, private)

    def to_pem(self) -> bytes:
        """Unencrypted PKCS#8 PEM, for a file of mode 0600."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, message: bytes) -> bytes:
        """The signature of the message."""
        r, s = decode_dss_signature(self.private.sign(message, _SCHEME))
        return r.to_bytes(_WIDTH) + s.to_bytes(_WIDTH)

    @property
    def public(self) -> VerificationKey:
        """The key that verifies what this one signs."""
        return VerificationKey(self.id, self.private.public_key())


@dataclass(frozen=True)
class KeyRing:
    """The keys of one signer: it signs with the current one; all three verify."""

    current: SigningKey
    next: SigningKey
    previous: SigningKey | None = None

    @property
    def places(self) -> dict[str, SigningKey]:
        """The keys by their place: ``previous`` where there is one, ``current``, ``next``."""
        placed = {"previous": self.previous, "current": self.current, "next": self.next}
        return {place: key for place, key in placed.items() if key is not None}

    @property
    def verification_keys(self) -> dict[str, VerificationKey]:
        """Public keys by id."""
        return {key.id: key.public for key in self.places.values()}

    @property
    def cut_short(self) -> bool:
        """Whether a rotation ended half-way: the next key signs already, and there is no other yet to follow it."""
        return self.next.id == self.current.id

    def rotated(self, fresh: SigningKey) -> KeyRing:
        """The ring after a rotation: next becomes current, current previous, ``fresh`` next."""
        return KeyRing(current=self.next, next=fresh, previous=self.current)

    def with_next(self, fresh: SigningKey) -> KeyRing:
        """The ring with another key to follow the current one."""
        return KeyRing(current=self.current, next=fresh, previous=self.previous)


def _members(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """What a JWK says of the key itself, and its id is made of."""
    numbers = public.public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(_WIDTH)), "y": b64(numbers.y.to_bytes(_WIDTH))}
