"""Keys: what can be read as one, what an id is, and rotation."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey

from counterfoil.errors import KeyFileError
from counterfoil.keys import KeyRing, SigningKey, VerificationKey


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> bytes:
    secrecy: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy)


def test_a_key_survives_its_file() -> None:
    key = SigningKey.generate()
    assert SigningKey.from_pem(key.to_pem()).id == key.id
    assert key.to_pem().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_keys_id_is_its_thumbprint_of_RFC_7638() -> None:
    jwk = SigningKey.generate().public.to_jwk()
    members = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
    assert jwk["kid"] == thumbprint
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg"}


def test_the_id_is_computed_and_not_believed() -> None:
    one, other = SigningKey.generate(), SigningKey.generate()
    claimed = other.public.to_jwk() | {"kid": one.id}
    assert VerificationKey.from_jwk(claimed).id == other.id


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ec.generate_private_key(ec.SECP256K1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP256R1()), b"password"),
        SigningKey.generate().to_pem()[:-60],
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_anything_but_a_private_P_256_key_is_refused_without_repeating_it(data: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        SigningKey.from_pem(data)
    assert "BEGIN" not in str(caught.value)


def test_anything_but_a_public_P_256_key_is_refused() -> None:
    good = SigningKey.generate()
    private = ECKey.import_key(good.to_pem()).as_dict(private=True)
    other_curve = ECKey.generate_key("P-384", private=False).as_dict(private=False)
    for values in (
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        dict(private),
        dict(other_curve),
        good.public.to_jwk() | {"crv": "P-384"},
        good.public.to_jwk() | {"alg": "ES384"},
        good.public.to_jwk() | {"use": "enc"},
        good.public.to_jwk() | {"x": "AAAA"},
        good.public.to_jwk() | {"x": good.public.to_jwk()["y"]},
        good.public.to_jwk() | {"x": good.public.to_jwk()["x"] + "="},
        good.public.to_jwk() | {"y": 5},
        {name: value for name, value in good.public.to_jwk().items() if name != "y"},
    ):
        with pytest.raises(KeyFileError):
            VerificationKey.from_jwk(values)


SPKI = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_public_key_is_read_from_its_PEM() -> None:
    key = SigningKey.generate()
    assert VerificationKey.from_pem(key.private.public_key().public_bytes(*SPKI)) == key.public


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        SigningKey.generate().to_pem(),
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(*SPKI),
        ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*SPKI),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*SPKI),
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(*SPKI),
    ],
)
def test_anything_but_a_public_P_256_PEM_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        VerificationKey.from_pem(data)


def test_a_key_of_another_curve_has_no_id() -> None:
    for curve in (ec.SECP384R1(), ec.SECP256K1()):
        with pytest.raises(KeyFileError):
            VerificationKey.of(ec.generate_private_key(curve).public_key())


def test_what_is_public_holds_no_secret() -> None:
    key = SigningKey.generate()
    assert "d" not in key.public.to_jwk()
    assert VerificationKey.from_jwk(key.public.to_jwk()).id == key.id


def test_a_ring_signs_with_the_current_key_and_verifies_with_all_it_holds() -> None:
    first, second, third, fourth = (SigningKey.generate() for _ in range(4))
    ring = KeyRing(first, second)
    assert set(ring.verification_keys) == {first.id, second.id}
    once = ring.rotated(third)
    assert (once.previous, once.current, once.next) == (first, second, third)
    twice = once.rotated(fourth)
    assert set(twice.verification_keys) == {second.id, third.id, fourth.id}
    assert all(name == key.id for name, key in twice.verification_keys.items())
