"""Vectors of strict JSON, capabilities and orders."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from counterfoil.canonical import b64, canonical, unb64
from counterfoil.keys import SigningKey, jws_form
from counterfoil.tickets import envelope_digest
from counterfoil.tokens import CAPABILITY_TYPE, MAX_TOKEN, ORDER_TYPE, sign
from vectors.cast import (
    AUTHORITY,
    EXECUTOR,
    ISSUER,
    ROSTER,
    START,
    STRANGER,
    envelope,
)
from vectors.seeded import ORDER
from vectors.vector import JSONObject, Vector, accepted, refused

REDEEMED = START + 60
FAR = (1 << 256) - 1


def json_vectors() -> list[Vector]:
    """Texts and the canonical bytes of what they say."""

    def vector(name: str, shows: str, text: str | bytes, expected: JSONObject) -> Vector:
        raw = text.encode() if isinstance(text, str) else text
        return Vector(name, shows, "json", {"bytes": b64(raw)}, expected)

    good = [
        ("members are sorted by UTF-16", "keys beyond the BMP come before those at its end",
         '{"\ufb33":1,"\U0001f600":2,"b":3,"a":4}', '{"a":4,"b":3,"\U0001f600":2,"\ufb33":1}'),
        ("numbers as ECMAScript writes them", "exponents, zeros and the largest integer",
         "[1.50, 1e-7, 0.000001, -0, -0.0, 4.5e3, 9007199254740991]", "[1.5,1e-7,0.000001,0,0,4500,9007199254740991]"),
        ("strings as RFC 8785 escapes them", "only quotes, backslashes and control characters",
         '["\\u0041\\/\\u000a\\u007f\\u2028","\\ud83d\\ude00"]', '["A/\\n\x7f\u2028","\U0001f600"]'),
        ("blanks around", "blanks have no meaning", " {\n\t} \r", "{}"),
        ("nested as deep as may be", "32 levels", "[" * 32 + "]" * 32, "[" * 32 + "]" * 32),
    ]  # fmt: skip
    bad: list[tuple[str, str, str | bytes]] = [
        ("a key twice", "parsers differ in which of two they keep", '{"a":1,"a":1}'),
        ("a key twice, spelled differently", "escapes are no way round", '{"a":1,"\\u0061":2}'),
        ("NaN", "is not JSON", "[NaN]"),
        ("an integer beyond 2^53 - 1", "not every reader can hold it", "[9007199254740992]"),
        ("a float beyond 2^53 - 1", "it would be written as such an integer", "[1e16]"),
        ("half a surrogate pair", "no text has it", '["\\ud83d"]'),
        ("not UTF-8", "bytes that no text has", b'["\xff"]'),
        ("a byte order mark", "not part of JSON", b"\xef\xbb\xbf{}"),
        ("something after the value", "trailing bytes", "{} {}"),
        ("a comma too many", "not JSON", "[1,]"),
        ("a zero too many", "not JSON", "[01]"),
        ("a control character in a string", "not JSON", '["a\tnb"]'),
        ("nested too deeply", "33 levels", "[" * 33 + "]" * 33),
        ("nothing", "no value at all", ""),
        ("a key without quotes", "not JSON", "{a:1}"),
        ("no colon", "not JSON", '{"a" 1}'),
        ("an object without end", "not JSON", '{"a":1'),
        ("an object that ends as a list", "not JSON", '{"a":1]'),
        ("a list without end", "not JSON", "[1"),
        ("a string without end", "not JSON", '"a'),
        ("an unknown escape", "not JSON", '["\\x41"]'),
        ("an escape that is too short", "not JSON", '["\\u041"]'),
        ("a number that begins with a plus", "not JSON", "[+1]"),
        ("a number that ends in a point", "not JSON", "[1.]"),
        ("a number without an exponent", "not JSON", "[1e]"),
        ("single quotes", "not JSON", "['a']"),
    ]
    return [
        *(vector(name, shows, text, accepted(canonical=out)) for name, shows, text, out in good),
        *(vector(name, shows, text, refused("json")) for name, shows, text in bad),
    ]


def raw_token(header: str, payload: str, key: SigningKey = AUTHORITY, signature: bytes | None = None) -> str:
    """A JWS with a header and payload of any form."""
    text = f"{b64(header.encode())}.{b64(payload.encode())}"
    signed = jws_form(key.sign_digest(sha256(text.encode()).digest())) if signature is None else signature
    return f"{text}.{b64(signed)}"


def header_of(kind: str, **changes: Any) -> str:
    members = {"alg": "ES256", "kid": AUTHORITY.id, "typ": kind} | changes
    return json.dumps({name: value for name, value in members.items() if value is not None}, separators=(",", ":"))


def last_bit_flipped(token: str) -> str:
    """Another spelling of the same bytes: 64 bytes end in a character of which four bits mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


def other_s(token: str) -> str:
    """The signature with n - s, which ECDSA takes as well."""
    text, _, signature = token.rpartition(".")
    raw = unb64(signature)
    s = ORDER - int.from_bytes(raw[32:])
    return f"{text}.{b64(raw[:32] + s.to_bytes(32))}"


def token_attacks(kind: str, other: str, claims: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, what it shows, the token, and why it is refused: what holds of every kind of token."""
    honest = sign(AUTHORITY, kind, claims)
    payload = canonical(claims).decode()
    signing = honest.rpartition(".")[0]
    twice = payload.replace('{"', '{"ticket":"cf_2","', 1)
    late = payload.replace('"ticket":"', '"ticket" :"')
    wide = 32
    return [
        ("another typ", f"a token of type {other} is none of this type", sign(AUTHORITY, other, claims), "type"),
        ("typ in other letters", "types are compared as they are", raw_token(header_of(kind.upper()), payload), "type"),
        ("alg none", "an unsigned token", raw_token(header_of(kind, alg="none"), payload, signature=b""), "algorithm"),
        ("alg ES384", "the key pins its algorithm", raw_token(header_of(kind, alg="ES384"), payload), "algorithm"),
        ("alg HS256", "a public key is no secret", raw_token(header_of(kind, alg="HS256"), payload), "algorithm"),
        ("a jku", "no key is ever fetched", raw_token(header_of(kind, jku="https://evil.example/"), payload), "header"),
        ("a jwk", "no key comes with a token",
         raw_token(header_of(kind, jwk=STRANGER.public.to_jwk()), payload, STRANGER), "header"),
        ("a crit", "no extension is known", raw_token(header_of(kind, crit=["exp"]), payload), "header"),
        ("no kid", "the header has all three members", raw_token(header_of(kind, kid=None), payload), "header"),
        ("an unknown kid", "a key that is not trusted", sign(STRANGER, kind, claims), "key"),
        ("the roster's key", "trusted, but not for this", sign(ROSTER, kind, claims), "key"),
        ("another key under a known kid", "the name of a key is not the key",
         raw_token(header_of(kind), payload, STRANGER), "signature"),
        ("a member twice in the header", "strict JSON", raw_token(header_of(kind)[:-1] + f',"typ":"{kind}"}}', payload),
         "json"),
        ("a claim twice", "parsers differ in which of two they keep", raw_token(header_of(kind), twice), "json"),
        ("a claim too many", "claims are closed", raw_token(header_of(kind), payload[:-1] + ',"x":1}'), "payload"),
        ("a claim too few", "claims are complete",
         sign(AUTHORITY, kind, {name: value for name, value in claims.items() if name != "jti"}), "payload"),
        ("a whole float for a time", "1.0 is no integer",
         raw_token(header_of(kind), payload.replace('"iat":1800000050', '"iat":1800000050.0')
                   .replace('"run_by":1800000360', '"run_by":1800000360.0')), "payload"),
        ("a payload that is a list", "claims are an object", raw_token(header_of(kind), f"[{payload}]"), "payload"),
        ("a changed payload", "the signature is over these bytes", raw_payload(honest, late), "signature"),
        ("padding", "base64url has none here", f"{honest}==", "base64"),
        ("other bits at the end", "base64url in its only spelling", last_bit_flipped(honest), "base64"),
        ("a fourth part", "a compact JWS has three", f"{honest}.", "token"),
        ("a line's end", "nothing follows a token", f"{honest}\n", "base64"),
        ("too long", f"more than {MAX_TOKEN} characters",
         raw_token(header_of(kind), payload + " " * MAX_TOKEN), "token"),
        ("a signature in DER", "JWS has r and s of 32 bytes", f"{signing}.{b64(AUTHORITY.der(signing.encode()))}",
         "signature"),
        ("r of zero", "r is from 1 to n - 1",
         f"{signing}.{b64(bytes(wide) + unb64(honest.rpartition('.')[2])[wide:])}", "signature"),
        ("s beyond the order", "s is from 1 to n - 1",
         f"{signing}.{b64(unb64(honest.rpartition('.')[2])[:wide] + FAR.to_bytes(wide))}", "signature"),
        ("r and s of zero", "no signature at all", f"{signing}.{b64(bytes(2 * wide))}", "signature"),
    ]  # fmt: skip


def raw_payload(token: str, payload: str) -> str:
    """The token with another payload, and the signature that it had."""
    header, _, signature = token.split(".")
    return f"{header}.{b64(payload.encode())}.{signature}"


CAPABILITY = {
    "iss": ISSUER, "aud": ISSUER, "sub": "agent", "jti": "cap-1", "ticket": "cf_1",
    "envelope": envelope_digest(envelope().to_bytes()), "iat": START + 50, "exp": START + 170,
}  # fmt: skip


def capability_vectors() -> list[Vector]:
    """Capabilities."""

    def vector(name: str, shows: str, token: str, expected: JSONObject, now: int = REDEEMED) -> Vector:
        return Vector(name, shows, "capability", {"token": token, "now": now}, expected)

    honest = sign(AUTHORITY, CAPABILITY_TYPE, CAPABILITY)
    good = accepted(jti="cap-1", ticket="cf_1", sub="agent", envelope=CAPABILITY["envelope"])
    loose = raw_token(
        f' {{"typ" : "{CAPABILITY_TYPE}", "kid" : "{AUTHORITY.id}", "alg" : "ES256"}}', json.dumps(CAPABILITY, indent=1)
    )

    def claims(**changes: Any) -> str:
        return sign(AUTHORITY, CAPABILITY_TYPE, CAPABILITY | changes)

    return [
        vector("honest", "a capability as the authority mints it", honest, good),
        vector("in another spelling", "header and payload need not be canonical JSON", loose, good),
        vector("with the other s", "both s and n - s are taken: single use is keyed on jti", other_s(honest), good),
        vector("at its first second", "iat is included", honest, good, START + 50),
        vector("at its last second", "exp is excluded", honest, good, START + 169),
        *(
            vector(name, shows, token, refused(reason))
            for name, shows, token, reason in token_attacks(CAPABILITY_TYPE, ORDER_TYPE, CAPABILITY)
        ),
        vector("another issuer", "iss is the authority", claims(iss="https://evil.example"), refused("issuer")),
        vector("for an executor", "aud is the authority itself", claims(aud=EXECUTOR), refused("audience")),
        vector("expired", "exp is excluded", honest, refused("time"), START + 170),
        vector("not yet valid", "iat is not in the future", honest, refused("time"), START + 49),
    ]
