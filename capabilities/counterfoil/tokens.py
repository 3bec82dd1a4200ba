"""Capabilities, orders and roster records as compact JWS (RFC 7515), ES256.

What is checked here, because JOSE would let it through otherwise: the header is exactly ``alg``, ``kid``, ``typ`` (so
no ``jku``, ``jwk``, ``x5u`` or ``crit`` is ever looked at); the key id is known and pins the algorithm; ``typ`` is
the one expected; the payload is strict JSON without duplicate keys; issuer and audience are ours; times hold (T30).
Single use is keyed on ``jti``, never on the text, since signatures and base64 can be spelled in several ways (T29).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, TypeVar

from counterfoil.canonical import b64, canonical, parse_strict, unb64
from counterfoil.errors import BadJSON, CapabilityRefused, OrderRefused
from counterfoil.keys import ALGORITHM, Signer, SigningKey, VerificationKey, jws_form
from counterfoil.signing import SIGNING_TIME, signature
from counterfoil.spelling import SafeInteger, Spelled

MAX_TOKEN = 8192
"""Characters; ours have about 800. Longer text is not worth decoding."""

OVER = 120
"""Seconds for which the time of a capability or an order has been over before anybody may read it: clocks differ."""

CAPABILITY_TYPE: Literal["cf-cap+jwt"] = "cf-cap+jwt"
ORDER_TYPE: Literal["cf-exec+jwt"] = "cf-exec+jwt"


class CapabilityClaims(Spelled, frozen=True, kw_only=True):
    """What a capability says: this principal may redeem this ticket, with exactly these bytes, once, until ``exp``."""

    iss: str
    aud: str
    sub: str
    jti: str
    ticket: str
    envelope: str
    iat: SafeInteger
    exp: SafeInteger


class OrderClaims(Spelled, frozen=True, kw_only=True):
    """What an order says: this executor shall run this ticket, redeemed at ``redeemed_at``, not after ``run_by``."""

    iss: str
    aud: str
    jti: str
    ticket: str
    envelope: str
    redeemed_at: SafeInteger
    run_by: SafeInteger


Claims = TypeVar("Claims", CapabilityClaims, OrderClaims)


def sign(key: SigningKey, kind: str, claims: Mapping[str, Any]) -> str:
    """The compact JWS of ``claims`` with ``typ`` ``kind``, by a key that is here (the roster's)."""
    text = signing_input(key.id, kind, claims)
    return f"{text}.{b64(jws_form(key.sign_digest(sha256(text.encode()).digest())))}"


async def issue(signer: Signer, kind: str, claims: Mapping[str, Any], *, within: float = SIGNING_TIME) -> str:
    """The same by any signer, in at most ``within`` seconds; raises :class:`SignerFailed` (``signing.py``)."""
    text = signing_input(signer.id, kind, claims)
    return f"{text}.{b64(await signature(signer, text.encode(), within=within))}"


def signing_input(key: str, kind: str, claims: Mapping[str, Any]) -> str:
    """What is signed (RFC 7515, section 2)."""
    header = {"alg": ALGORITHM, "kid": key, "typ": kind}
    return f"{b64(canonical(header))}.{b64(canonical(claims))}"


def verify(text: str, kind: str, keys: Mapping[str, VerificationKey]) -> tuple[dict[str, Any], str]:
    """The payload and key id of a token of this kind signed by one of ``keys``; raises :class:`BadJSON` if it is not.

    Says nothing about issuer, audience or time.
    """
    body, kid = signed_payload(text, kind, keys)
    value = parse_strict(body)
    if not isinstance(value, dict):
        raise BadJSON("The token's payload is not an object.")
    return value, kid


def signed_payload(text: str, kind: str, keys: Mapping[str, VerificationKey]) -> tuple[bytes, str]:
    """The payload of such a token as it was signed, not read yet, and the key id; raises :class:`BadJSON` likewise."""
    parts = text.split(".") if len(text) <= MAX_TOKEN else []
    if len(parts) != 3:
        raise BadJSON("The token is not a compact JWS.")
    algorithm, kid, typ = _header(parts[0])
    key = keys.get(kid)
    if key is None or algorithm != ALGORITHM or typ != kind:
        raise BadJSON("The token is of another kind or signed by an unknown key.")
    if not key.verifies(unb64(parts[2]), text[: text.rindex(".")].encode()):
        raise BadJSON("The token's signature is not valid.")
    return unb64(parts[1]), key.id


@lru_cache(maxsize=64)
def _header(text: str) -> tuple[str, str, str]:
    """Algorithm, key id and type; kept, since all tokens of a kind by a key have the same header."""
    header = parse_strict(unb64(text))
    if not isinstance(header, dict) or set(header) != {"alg", "kid", "typ"}:
        raise BadJSON("The token's header is not one of ours.")
    if not all(isinstance(value, str) for value in header.values()):
        raise BadJSON("The token's header is not one of ours.")
    return header["alg"], header["kid"], header["typ"]


def read_capability(
    text: str, keys: Mapping[str, VerificationKey], *, issuer: str, now: int
) -> tuple[CapabilityClaims, str]:
    """The claims and key id of a capability for the authority ``issuer``; raises :class:`CapabilityRefused`."""
    try:
        claims, kid = _read(text, CAPABILITY_TYPE, keys, CapabilityClaims)
    except (BadJSON, ValueError):
        raise CapabilityRefused() from None
    if claims.iss != issuer or claims.aud != issuer or not claims.iat <= now < claims.exp:
        raise CapabilityRefused()
    return claims, kid


def read_order(text: str, keys: Mapping[str, VerificationKey], *, issuer: str, executor: str) -> OrderClaims:
    """The claims of an order for ``executor``; raises :class:`OrderRefused`. Times are the executor's to judge."""
    try:
        claims, _ = _read(text, ORDER_TYPE, keys, OrderClaims)
    except (BadJSON, ValueError):
        raise OrderRefused("The order's signature or form is not valid.") from None
    if claims.iss != issuer:
        raise OrderRefused("The order comes from another authority.")
    if claims.aud != executor:
        raise OrderRefused("The order is for another executor.")
    return claims


def _read(text: str, kind: str, keys: Mapping[str, VerificationKey], model: type[Claims]) -> tuple[Claims, str]:
    body, kid = signed_payload(text, kind, keys)
    try:
        return model.read(body), kid
    except BadJSON:  # in another spelling, which a token may have
        return model.of(parse_strict(body)), kid
