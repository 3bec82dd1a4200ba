"""Signing keys: P-256 for tokens and roster records, held in a ring of previous, current and next.

A key's id is its RFC 7638 thumbprint, and a key pins its algorithm: what is no P-256 key is refused when it is read,
and nothing in a token's header chooses another. The core never reads files; whoever holds key material hands it in as
PEM, and whoever leaves it elsewhere hands in a :class:`Signer`. Signers answer DER, as cryptography and key services
do; tokens carry r and s of 32 bytes each (RFC 7518, 3.4), and :func:`jws_form` makes the one of the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from counterfoil.canonical import b64, canonical, unb64
from counterfoil.errors import BadJSON, KeyFileError

ALGORITHM = "ES256"
PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))
"""How ES256 signatures are made and verified, over digests: hashlib is the quicker one to make them."""
_WIDTH = 32


@dataclass(frozen=True)
class VerificationKey:
    """A public P-256 key and its id."""

    id: str
    public: ec.EllipticCurvePublicKey

    @staticmethod
    def of(public: ec.EllipticCurvePublicKey) -> VerificationKey:
        """The key with its id; raises :class:`KeyFileError` for a key of another curve."""
        if not isinstance(public.curve, ec.SECP256R1):
            raise KeyFileError("A public key is not a P-256 key.")
        return VerificationKey(b64(hashlib.sha256(canonical(_members(public))).digest()), public)

    @staticmethod
    def from_jwk(values: Mapping[str, Any]) -> VerificationKey:
        """Read a public JWK; raises :class:`KeyFileError` for anything but a P-256 public key that signs ES256."""
        if (values.get("kty"), values.get("crv")) != ("EC", "P-256") or "d" in values:
            raise KeyFileError("A public key is not a public P-256 key.")
        if (values.get("alg", ALGORITHM), values.get("use", "sig")) != (ALGORITHM, "sig"):
            raise KeyFileError("A public key is not one that signs by ES256.")
        try:
            x, y = unb64(values["x"]), unb64(values["y"])
            if (len(x), len(y)) != (_WIDTH, _WIDTH):
                raise ValueError("a coordinate has 32 bytes")
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
            return VerificationKey.of(numbers.public_key())
        except (BadJSON, ValueError, KeyError, TypeError) as error:
            raise KeyFileError(f"A public key cannot be read: {type(error).__name__}.") from None

    @staticmethod
    def from_pem(pem: bytes) -> VerificationKey:
        """Read a public key's PEM (SubjectPublicKeyInfo); raises :class:`KeyFileError` for anything but P-256."""
        try:
            loaded = serialization.load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyFileError("A public key is damaged or not a PEM.") from None
        if not isinstance(loaded, ec.EllipticCurvePublicKey):
            raise KeyFileError("A public key is not a P-256 key.")
        return VerificationKey.of(loaded)

    def to_jwk(self) -> dict[str, str]:
        """The public JWK, with the key's id and algorithm (RFC 7517)."""
        return _members(self.public) | {"kid": self.id, "alg": ALGORITHM}

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the key made this signature of the message."""
        if len(signature) != 2 * _WIDTH:
            return False
        r, s = int.from_bytes(signature[:_WIDTH]), int.from_bytes(signature[_WIDTH:])
        try:
            self.public.verify(encode_dss_signature(r, s), hashlib.sha256(message).digest(), PREHASHED)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Who signs with one P-256 key, be the key in this process or in a service elsewhere."""

    @property
    def id(self) -> str:
        """The key's id: that of ``public``."""

    @property
    def public(self) -> VerificationKey:
        """The key that verifies what this one signs."""

    async def sign(self, digest: bytes) -> bytes:
        """The ECDSA signature of a SHA-256 digest (32 bytes), as DER (ASN.1 ``SEQUENCE { r, s }``).

        May raise whatever it likes and take its time: who asks (``signing.py``) bounds both.
        """


def jws_form(signature: bytes) -> bytes:
    """r and s of 32 bytes each, of a signature in DER; ``ValueError`` for anything else."""
    r, s = decode_dss_signature(signature)
    if not (0 < r < 1 << 8 * _WIDTH and 0 < s < 1 << 8 * _WIDTH):
        raise ValueError("this is no signature by a P-256 key")
    return r.to_bytes(_WIDTH) + s.to_bytes(_WIDTH)


@dataclass(frozen=True)
class SigningKey:
    """A private P-256 key in this process, and its id: the :class:`Signer` of keys that come as files or text."""

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
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyFileError("A private key is damaged or not a PEM.") from None
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

    async def sign(self, digest: bytes) -> bytes:
        """What :class:`Signer` says; at once, in this thread."""
        return self.sign_digest(digest)

    def sign_digest(self, digest: bytes) -> bytes:
        """The same, for whoever signs with a key of their own and waits for nobody."""
        return self.private.sign(digest, PREHASHED)

    @property
    def public(self) -> VerificationKey:
        """The key that verifies what this one signs."""
        return VerificationKey(self.id, self.private.public_key())


@dataclass(frozen=True)
class KeyRing:
    """The keys of the authority: it signs with the current one; all three verify."""

    current: Signer
    next: Signer
    previous: Signer | None = None

    @property
    def places(self) -> dict[str, Signer]:
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

    def rotated(self, fresh: Signer) -> KeyRing:
        """The ring after a rotation: next becomes current, current previous, ``fresh`` next."""
        return KeyRing(current=self.next, next=fresh, previous=self.current)

    def with_next(self, fresh: Signer) -> KeyRing:
        """The ring with another key to follow the current one."""
        return KeyRing(current=self.current, next=fresh, previous=self.previous)


def _members(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """What a JWK says of the key itself, and its id is made of."""
    numbers = public.public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(_WIDTH)), "y": b64(numbers.y.to_bytes(_WIDTH))}
