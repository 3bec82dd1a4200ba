"""Capabilities and orders: what is checked because libraries do not (T29, T30)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey

from counterfoil.canonical import b64, canonical, unb64
from counterfoil.errors import BadJSON, CapabilityRefused, OrderRefused
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.tokens import (
    CAPABILITY_TYPE,
    MAX_TOKEN,
    ORDER_TYPE,
    CapabilityClaims,
    OrderClaims,
    read_capability,
    read_order,
    sign,
    verify,
)

ISSUER = "https://desk.example"
NOW = 1_800_000_000
ORDER_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CURRENT, NEXT, PREVIOUS = (SigningKey.generate() for _ in range(3))
RING = KeyRing(CURRENT, NEXT, PREVIOUS)
KEYS = RING.verification_keys

CAPABILITY = {
    "iss": ISSUER, "aud": ISSUER, "sub": "agent", "jti": "C-1", "ticket": "cf_1", "envelope": "E", "iat": NOW,
    "exp": NOW + 120,
}  # fmt: skip
ORDER = {
    "iss": ISSUER, "aud": "executor:shop", "jti": "order-cf_1", "ticket": "cf_1", "envelope": "E", "redeemed_at": NOW,
    "run_by": NOW + 300,
}  # fmt: skip


def raw(header: bytes, payload: bytes, key: SigningKey = CURRENT) -> str:
    """A compact JWS of exactly these bytes, well signed."""
    signed = f"{b64(header)}.{b64(payload)}"
    r, s = decode_dss_signature(key.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def header(**changes: Any) -> bytes:
    members = {"alg": "ES256", "kid": CURRENT.id, "typ": CAPABILITY_TYPE} | changes
    return canonical({name: value for name, value in members.items() if value is not None})


def read(text: str, now: int = NOW) -> CapabilityClaims:
    return read_capability(text, KEYS, issuer=ISSUER, now=now)[0]


def test_a_capability_says_who_may_redeem_what() -> None:
    claims, key = read_capability(sign(CURRENT, CAPABILITY_TYPE, CAPABILITY), KEYS, issuer=ISSUER, now=NOW)
    assert claims == CapabilityClaims.of(CAPABILITY)
    assert key == CURRENT.id
    assert read(raw(header(), canonical(CAPABILITY))) == claims


def test_any_library_for_JOSE_reads_our_tokens_and_writes_what_we_read() -> None:
    public = ECKey.import_key(dict(CURRENT.public.to_jwk()))
    read_by_it = jws.deserialize_compact(sign(CURRENT, CAPABILITY_TYPE, CAPABILITY), public, algorithms=["ES256"])
    assert json.loads(read_by_it.payload) == CAPABILITY
    members = {"alg": "ES256", "kid": public.thumbprint(), "typ": CAPABILITY_TYPE}
    private = ECKey.import_key(CURRENT.to_pem())
    written = jws.serialize_compact(members, canonical(CAPABILITY), private, algorithms=["ES256"])
    assert read(written) == CapabilityClaims.of(CAPABILITY)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_has_one_length(length: int) -> None:
    signed = f"{b64(header())}.{b64(canonical(CAPABILITY))}"
    good = unb64(sign(CURRENT, CAPABILITY_TYPE, CAPABILITY).split(".")[2])
    with pytest.raises(CapabilityRefused):
        read(f"{signed}.{b64((good * 2)[:length])}")
    with pytest.raises(CapabilityRefused):
        read(f"{signed}.{b64(bytes(64))}")


def test_an_order_says_who_shall_run_what() -> None:
    order = sign(CURRENT, ORDER_TYPE, ORDER)
    assert read_order(order, KEYS, issuer=ISSUER, executor="executor:shop") == OrderClaims.of(ORDER)


@pytest.mark.parametrize("key", [CURRENT, NEXT, PREVIOUS])
def test_every_key_of_the_ring_verifies(key: SigningKey) -> None:
    assert read(sign(key, CAPABILITY_TYPE, CAPABILITY)).jti == "C-1"


def test_a_key_that_left_the_ring_verifies_nothing() -> None:
    text = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY)
    rotated = RING.rotated(SigningKey.generate())
    read_capability(text, rotated.verification_keys, issuer=ISSUER, now=NOW)
    with pytest.raises(CapabilityRefused):
        read_capability(text, rotated.rotated(SigningKey.generate()).verification_keys, issuer=ISSUER, now=NOW)


PRIVATE_JWK = SigningKey.generate().public.to_jwk()


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": ORDER_TYPE},
        {"typ": "JWT"},
        {"typ": "CF-CAP+JWT"},
        {"typ": "application/cf-cap+jwt"},
        {"typ": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"alg": ["ES256"]},
        {"alg": None},
        {"kid": None},
        {"kid": ""},
        {"kid": "unknown"},
        {"kid": [RING.current.id]},
        {"kid": {"a": 1}},
        {"jku": "https://evil.example/keys"},
        {"jwk": PRIVATE_JWK},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
def test_T30_the_header_is_exactly_ours(changes: dict[str, Any]) -> None:
    with pytest.raises(CapabilityRefused):
        read(raw(header(**changes), canonical(CAPABILITY)))


@pytest.mark.parametrize(
    "text",
    [
        b'{"alg":"none","alg":"ES256","kid":"%s","typ":"cf-cap+jwt"}',
        b'{"alg":"ES256","kid":"%s","typ":"cf-exec+jwt","typ":"cf-cap+jwt"}',
        b'["alg","kid","typ"]',
        b'{"alg":"ES256","kid":"%s","typ":"cf-cap+jwt"',
        b"\xff",
    ],
)
def test_T30_a_header_with_two_readings_is_refused(text: bytes) -> None:
    spelled = text.replace(b"%s", RING.current.id.encode())
    with pytest.raises(CapabilityRefused):
        read(raw(spelled, canonical(CAPABILITY)))


def test_T30_nothing_signed_by_another_key_passes_under_our_key_id() -> None:
    stranger = SigningKey.generate()
    with pytest.raises(CapabilityRefused):
        read(raw(header(), canonical(CAPABILITY), stranger))
    with pytest.raises(CapabilityRefused):
        read(sign(stranger, CAPABILITY_TYPE, CAPABILITY))
    with pytest.raises(CapabilityRefused):
        read(raw(header(kid=RING.next.id), canonical(CAPABILITY)))
    embedded = raw(header(jwk=stranger.public.to_jwk()), canonical(CAPABILITY), stranger)
    with pytest.raises(CapabilityRefused):
        read(embedded)


def test_T30_the_public_key_is_no_HMAC_secret() -> None:
    signed = f"{b64(header(alg='HS256'))}.{b64(canonical(CAPABILITY))}"
    public = RING.current.public
    pem = public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(public.to_jwk()).encode()):
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        with pytest.raises(CapabilityRefused):
            read(f"{signed}.{b64(mac)}")


def test_T30_an_unsigned_token_is_none() -> None:
    for alg in ("none", "ES256"):
        with pytest.raises(CapabilityRefused):
            read(f"{b64(header(alg=alg))}.{b64(canonical(CAPABILITY))}.")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "executor:shop"},
        {"aud": [ISSUER]},
        {"iat": NOW + 1},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": str(NOW + 120)},
        {"exp": NOW + 0.5},
        {"exp": True},
        {"iat": False},
        {"jti": None},
        {"jti": 1},
        {"nbf": NOW},
        {"admin": True},
    ],
)
def test_T30_issuer_audience_times_and_shape_of_a_capability_hold(changes: dict[str, Any]) -> None:
    with pytest.raises(CapabilityRefused):
        read(sign(CURRENT, CAPABILITY_TYPE, CAPABILITY | changes))


@pytest.mark.parametrize("name", sorted(CAPABILITY))
def test_every_claim_is_needed(name: str) -> None:
    with pytest.raises(CapabilityRefused):
        read(sign(CURRENT, CAPABILITY_TYPE, {key: value for key, value in CAPABILITY.items() if key != name}))


def test_T30_a_capability_lives_from_iat_until_before_exp() -> None:
    text = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY)
    assert read(text, NOW + 119)
    for outside in (NOW - 1, NOW + 120, NOW + 10_000):
        with pytest.raises(CapabilityRefused):
            read(text, outside)


def test_all_refusals_of_a_capability_read_the_same() -> None:
    texts = [
        "",
        "x",
        sign(CURRENT, ORDER_TYPE, ORDER),
        sign(CURRENT, CAPABILITY_TYPE, CAPABILITY | {"iss": "x"}),
    ]
    said = set()
    for text in texts:
        with pytest.raises(CapabilityRefused) as caught:
            read(text)
        said.add(str(caught.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    "payload",
    [
        canonical(CAPABILITY)[:-1] + b',"exp":1900000000}',
        b'{"aud":"x",' + canonical(CAPABILITY)[1:],
        b"[]",
        b'"text"',
        b"\xff",
        b"",
        canonical(CAPABILITY).replace(b"1800000120", b"1e400"),
        canonical(CAPABILITY).replace(b"1800000120", b"NaN"),
    ],
)
def test_T30_a_payload_with_two_readings_is_refused(payload: bytes) -> None:
    with pytest.raises(CapabilityRefused):
        read(raw(header(), payload))


@pytest.mark.parametrize(
    "number",
    ["1800000120.0", "18000001.2e2", "1800000120e0", "true", '"1800000120"', "[1800000120]", "null", "1e400",
     "01800000120", "+1800000120", "9007199254740992", "18446744073709551616", "9" * 400, "9" * 5000, "Infinity"],
)  # fmt: skip
def test_T30_a_time_is_an_integer_that_everybody_reads_however_the_rest_is_spelled(number: str) -> None:
    """Also in a payload that is not canonical, which another reader takes."""
    for own in (canonical(CAPABILITY), json.dumps(CAPABILITY).encode()):
        assert read(raw(header(), own)).exp == NOW + 120
        payload = own.replace(b"1800000120", number.encode())
        assert payload != own
        with pytest.raises(CapabilityRefused):
            read(raw(header(), payload))
    for own in (canonical(ORDER), json.dumps(ORDER).encode()):
        text = raw(header(typ=ORDER_TYPE), own)
        assert read_order(text, KEYS, issuer=ISSUER, executor="executor:shop") == OrderClaims.of(ORDER)
        other = own.replace(b"1800000300", number.encode())
        with pytest.raises(OrderRefused, match="form"):
            read_order(raw(header(typ=ORDER_TYPE), other), KEYS, issuer=ISSUER, executor="executor:shop")


@pytest.mark.parametrize(
    "spell",
    [
        lambda body: b" " + body + b"\n",
        lambda body: json.dumps(json.loads(body), indent=1).encode(),
        lambda body: json.dumps(dict(reversed(json.loads(body).items()))).encode(),
        lambda body: body.replace(b'"agent"', b'"\\u0061gent"'),
        lambda body: body.replace(b'"sub"', b'"\\u0073ub"'),
    ],
)
def test_T30_a_payload_in_another_spelling_says_the_same_once(spell: Callable[[bytes], bytes]) -> None:
    """JOSE asks nobody for canonical JSON. What could be read in two ways is refused in such a spelling too."""
    body = canonical(CAPABILITY)
    other = spell(body)
    assert other != body
    assert read(raw(header(), other)) == CapabilityClaims.of(CAPABILITY)
    for more in (b',"exp":1900000000}', b',"exp":1800000120}', b',"admin":true}', b',"\\u0065xp":1900000000}'):
        twice = other.rstrip()[:-1] + more
        with pytest.raises(CapabilityRefused):
            read(raw(header(), twice))


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udc00"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xc1\xa9"'])
def test_T30_a_claim_is_text_that_everybody_reads(text: bytes) -> None:
    for own in (canonical(CAPABILITY), json.dumps(CAPABILITY).encode()):
        payload = own.replace(b'"agent"', text)
        assert payload != own
        with pytest.raises(CapabilityRefused):
            read(raw(header(), payload))


def spellings_of(text: str) -> list[str]:
    """Other texts for the same signature or the same bytes."""
    head, body, signature = text.split(".")
    rs = unb64(signature)
    r, s = int.from_bytes(rs[:32], "big"), int.from_bytes(rs[32:], "big")
    der = encode_dss_signature(r, s)
    return [
        f"{head}=.{body}.{signature}",
        f"{head}.{body}=.{signature}",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}==",
        f"{head}.{body}.{signature}\n",
        f" {text}",
        f"{text} ",
        f"{text}.",
        f".{text}",
        f"{head}..{signature}",
        f"{head}.{body}.{b64(der)}",
        f"{head}.{body}.{b64(rs + bytes(1))}",
        f"{head}.{body}.{b64(rs[:-1])}",
        f"{head}.{body}.{b64((r + ORDER_N).to_bytes(33, 'big') + rs[32:])}",
        f"{head}.{body}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
        f"{head}.{body}.{b64(bytes(64))}",
        f"{head}.{body}.{b64(rs[32:] + rs[:32])}",
        text.upper(),
        f"{head}.{body}é.{signature}",
        f"{head}.{body}.{signature}é",
        "\ufeff" + text,
        "",
        "..",
        "....",
    ]


@pytest.mark.parametrize("at", range(len(spellings_of(raw(header(), canonical(CAPABILITY))))))
def test_T29_other_spellings_of_a_token_are_refused(at: int) -> None:
    with pytest.raises(CapabilityRefused):
        read(spellings_of(raw(header(), canonical(CAPABILITY)))[at])


def test_T29_what_can_be_spelled_twice_still_has_one_id() -> None:
    """ECDSA allows n - s beside s; redemption is keyed on ``jti``, which stays."""
    text = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY)
    head, body, signature = text.split(".")
    rs = unb64(signature)
    twin = b64(rs[:32] + (ORDER_N - int.from_bytes(rs[32:], "big")).to_bytes(32, "big"))
    assert twin != signature
    assert read(f"{head}.{body}.{twin}").jti == read(text).jti == "C-1"


def test_a_token_that_is_too_long_is_not_decoded() -> None:
    text = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY)
    padded = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY | {"jti": "C" * (MAX_TOKEN * 3 // 4)})
    assert len(text) < MAX_TOKEN < len(padded)
    with pytest.raises(CapabilityRefused):
        read(padded)
    fits = sign(CURRENT, CAPABILITY_TYPE, CAPABILITY | {"jti": "C" * (MAX_TOKEN * 3 // 4 - 500)})
    assert read(fits)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "another authority"),
        ({"aud": "executor:bank"}, "another executor"),
        ({"aud": ISSUER}, "another executor"),
        ({"run_by": None}, "form"),
        ({"redeemed_at": "1"}, "form"),
        ({"exp": 1}, "form"),
    ],
)
def test_T30_issuer_audience_and_shape_of_an_order_hold(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(OrderRefused, match=reason):
        read_order(sign(CURRENT, ORDER_TYPE, ORDER | changes), KEYS, issuer=ISSUER, executor="executor:shop")


def test_T30_a_capability_is_no_order_and_an_order_no_capability() -> None:
    with pytest.raises(OrderRefused):
        read_order(sign(CURRENT, CAPABILITY_TYPE, ORDER), KEYS, issuer=ISSUER, executor="executor:shop")
    with pytest.raises(CapabilityRefused):
        read(sign(CURRENT, ORDER_TYPE, CAPABILITY))


def test_verifying_says_which_key_signed() -> None:
    payload, key = verify(sign(NEXT, "cf-x+jwt", {"a": 1}), "cf-x+jwt", KEYS)
    assert (payload, key) == ({"a": 1}, RING.next.id)
    with pytest.raises(BadJSON):
        verify(sign(NEXT, "cf-x+jwt", {"a": 1}), "cf-y+jwt", KEYS)
    with pytest.raises(BadJSON, match="object"):
        verify(raw(header(), b"[1]"), CAPABILITY_TYPE, KEYS)
