"""The one verifier of passkeys: every check of WebAuthn, each missed by an authenticator that does only that wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from capabilities.world import PARTY, Passkey
from counterfoil.assertions import MAX_CLIENT_DATA, RelyingParty, verify_assertion
from counterfoil.canonical import b64, unb64
from counterfoil.errors import StatementRefused
from counterfoil.statements import APPROVE_NAMESPACE, DECLINE_NAMESPACE, Assertion, challenge

CHALLENGE = challenge(APPROVE_NAMESPACE, b"statement")
PASSKEY = Passkey("cGFzc2tleQ")
CLIENT = {
    "type": "webauthn.get",
    "challenge": b64(CHALLENGE),
    "origin": "https://desk.example",
    "crossOrigin": False,
}


def verify(assertion: Assertion, *, passkey: Passkey = PASSKEY, **changes: Any) -> None:
    given: dict[str, Any] = {
        "challenge": CHALLENGE,
        "public_key": passkey.public_key,
        "backup_eligible": passkey.backup_eligible,
        "party": PARTY,
    }
    verify_assertion(assertion, **given | changes)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"client": {"crossOrigin": None}},
        {"client_data": json.dumps(CLIENT, indent=1).encode()},
        {"client_data": json.dumps(dict(reversed(CLIENT.items()))).encode()},
        {"client": {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template"}},
        {"flags": 0x0D | 0x10},
        {"flags": 0x8D, "trailing": b"\xa0"},
    ],
)
def test_an_honest_passkey_is_accepted(told: dict[str, Any]) -> None:
    verify(PASSKEY.sign(CHALLENGE, **told))


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ({"flags": 0x09}, "verify its user"),
        ({"flags": 0x0C}, "present"),
        ({"flags": 0x05}, "kind"),
        ({"flags": 0x00}, "present"),
        ({"party": "evil.example"}, "another site"),
        ({"party": "DESK.EXAMPLE"}, "another site"),
        ({"client": {"origin": "https://evil.example"}}, "another site"),
        ({"client": {"origin": "https://desk.example:8443"}}, "another site"),
        ({"client": {"origin": "http://desk.example"}}, "another site"),
        ({"client": {"origin": "https://desk.example/"}}, "another site"),
        ({"client": {"origin": "https://desk.example.evil.example"}}, "another site"),
        ({"client": {"origin": ["https://desk.example"]}}, "another site"),
        ({"client": {"origin": {"https://desk.example": 1}}}, "another site"),
        ({"client": {"origin": None}}, "another site"),
        ({"client": {"origin": 1}}, "another site"),
        ({"client": {"crossOrigin": True}}, "frame"),
        ({"client": {"crossOrigin": "false"}}, "frame"),
        ({"client": {"crossOrigin": 0}}, "frame"),
        ({"client": {"topOrigin": "https://desk.example"}}, "frame"),
        ({"client": {"topOrigin": "https://evil.example", "crossOrigin": True}}, "frame"),
        ({"client": {"type": "webauthn.create"}}, "assertion"),
        ({"client": {"type": "payment.get"}}, "assertion"),
        ({"client": {"type": None}}, "assertion"),
        ({"client": {"challenge": b64(CHALLENGE) + "="}}, "something else"),
        ({"client": {"challenge": b64(CHALLENGE[:-1])}}, "something else"),
        ({"client": {"challenge": b64(challenge(DECLINE_NAMESPACE, b"statement"))}}, "something else"),
        ({"client": {"challenge": ""}}, "something else"),
        ({"client": {"challenge": None}}, "something else"),
        ({"client": {"challenge": 7}}, "something else"),
        ({"client": {"challenge": [b64(CHALLENGE)]}}, "something else"),
        ({"client": {"challenge": "é"}}, "something else"),
        ({"trailing": b"\x00"}, "length"),
        ({"flags": 0x4D, "trailing": b"\x00" * 90}, "length"),
        ({"length": 36}, "length"),
        ({"length": 32}, "length"),
        ({"length": 0}, "length"),
        ({"client_data": b""}, "read"),
        ({"client_data": b"\xff"}, "read"),
        ({"client_data": b"[]"}, "assertion"),
        ({"client_data": b'"webauthn.get"'}, "assertion"),
        ({"client_data": json.dumps(CLIENT).encode()[:-1]}, "read"),
        ({"client_data": json.dumps(CLIENT).encode()[:-1] + b',"origin":"https://evil.example"}'}, "read"),
        ({"client_data": json.dumps(CLIENT | {"x": "x" * MAX_CLIENT_DATA}).encode()}, "assertion"),
    ],
)
def test_each_thing_that_an_honest_passkey_never_does_is_refused(misbehaviour: dict[str, Any], reason: str) -> None:
    with pytest.raises(StatementRefused, match=reason):
        verify(PASSKEY.sign(CHALLENGE, **misbehaviour))


def test_client_data_of_the_greatest_length_is_still_read() -> None:
    padding = MAX_CLIENT_DATA - len(json.dumps(CLIENT | {"x": ""}, separators=(",", ":")).encode())
    assertion = PASSKEY.sign(CHALLENGE, client={"x": "x" * padding})
    assert len(unb64(assertion.client_data)) == MAX_CLIENT_DATA
    verify(assertion)


def test_a_passkey_that_can_be_copied_is_none_that_cannot() -> None:
    bound = Passkey("Ym91bmQ", backup_eligible=False)
    verify(bound.sign(CHALLENGE), passkey=bound)
    with pytest.raises(StatementRefused, match="kind"):
        verify(bound.sign(CHALLENGE, flags=0x0D), passkey=bound)
    with pytest.raises(StatementRefused, match="kind"):
        verify(PASSKEY.sign(CHALLENGE), backup_eligible=False)


def test_an_answer_is_good_at_one_site_for_one_challenge_and_one_key() -> None:
    assertion = PASSKEY.sign(CHALLENGE)
    elsewhere = RelyingParty("other.example", PARTY.origins)
    for changes in (
        {"challenge": challenge(DECLINE_NAMESPACE, b"statement")},
        {"challenge": challenge(APPROVE_NAMESPACE, b"statement ")},
        {"challenge": b""},
        {"public_key": Passkey("b3RoZXI").public_key},
        {"party": elsewhere},
        {"party": RelyingParty(PARTY.id, frozenset())},
    ):
        with pytest.raises(StatementRefused):
            verify(assertion, **changes)


@pytest.mark.parametrize("part", ["authenticator_data", "client_data", "signature"])
def test_every_signed_bit_counts(part: str) -> None:
    assertion = PASSKEY.sign(CHALLENGE)
    data = unb64(getattr(assertion, part))
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(StatementRefused):
            verify(assertion.model_copy(update={part: b64(changed)}))


@pytest.mark.parametrize("part", ["authenticator_data", "client_data", "signature"])
@pytest.mark.parametrize(
    "spell", [lambda text: text + "=", lambda text: text + "\n", lambda text: "", lambda text: "é"]
)
def test_values_are_base64url_in_its_only_spelling(part: str, spell: Any) -> None:
    assertion = PASSKEY.sign(CHALLENGE)
    with pytest.raises(StatementRefused):
        verify(assertion.model_copy(update={part: spell(getattr(assertion, part))}))


def test_only_P_256_keys_sign() -> None:
    other_curve = Passkey("cDM4NA", curve=ec.SECP384R1())
    with pytest.raises(StatementRefused, match="P-256"):
        verify(other_curve.sign(CHALLENGE), passkey=other_curve)
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    spki = edwards.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(StatementRefused, match="P-256"):
        verify(PASSKEY.sign(CHALLENGE), public_key=spki)
    for garbage in (b"", b"\x30\x00", PASSKEY.public_key[:-1]):
        with pytest.raises(StatementRefused):
            verify(PASSKEY.sign(CHALLENGE), public_key=garbage)


def test_signatures_of_zero_are_refused() -> None:
    assertion = PASSKEY.sign(CHALLENGE)
    r, s = decode_dss_signature(unb64(assertion.signature))
    for pair in ((0, 0), (r, 0), (0, s), (s, r)):
        with pytest.raises(StatementRefused, match="signature"):
            verify(assertion.model_copy(update={"signature": b64(encode_dss_signature(*pair))}))
