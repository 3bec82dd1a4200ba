"""A signature as files for ssh-keygen: whose it is cannot be misread, and what OpenSSH would not take is not written.

That stock ssh-keygen takes them is seen in ``tests/server/cli/test_prove.py``.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from capabilities.world import PARTY, Passkey, Shop, envelope_of, shop_desk, statement_of
from counterfoil.canonical import b64
from counterfoil.errors import EvidenceRefused
from counterfoil.openssh import allowed_signer, signature_file
from counterfoil.statements import APPROVE_NAMESPACE, Assertion

DESK = shop_desk(Shop())
ANN = Passkey("YW5u")
CHALLENGE = statement_of(DESK, envelope_of(DESK), "ann", ANN).challenge
CLIENT = {
    "type": "webauthn.get", "challenge": b64(CHALLENGE), "origin": "https://desk.example", "crossOrigin": False,
}  # fmt: skip


def signed(client: dict[str, Any] | None = None, *, separators: tuple[str, str] = (",", ":"), **more: Any) -> Assertion:
    told = json.dumps(client or CLIENT, separators=separators).encode()
    return ANN.sign(CHALLENGE, client_data=told, **more)


def file_of(assertion: Assertion, party: str = PARTY.id, public_key: bytes = ANN.public_key) -> str:
    return signature_file(
        assertion, challenge=CHALLENGE, namespace=APPROVE_NAMESPACE, public_key=public_key, party=party
    )


def line_of(person: str) -> str:
    return allowed_signer(person, public_key=ANN.public_key, party=PARTY.id, namespace=APPROVE_NAMESPACE)


@pytest.mark.parametrize("person", ["*", "a?n", "!ann", "ann,ben", "ann ben", '"ann"', "#ann", "", "ånn", "a\nb", "-o"])
def test_T51_an_id_that_others_match_is_not_written(person: str) -> None:
    with pytest.raises(EvidenceRefused, match="pattern"):
        line_of(person)


def test_T51_a_signer_is_listed_for_one_namespace() -> None:
    person, options, kind, _ = line_of("ann-1.b@c").split(" ")
    assert (person, options) == ("ann-1.b@c", f'namespaces="{APPROVE_NAMESPACE}"')
    assert kind == "sk-ecdsa-sha2-nistp256@openssh.com"


def test_what_the_authenticator_added_to_its_data_is_in_the_signature() -> None:
    blob = base64.b64decode("".join(file_of(signed(trailing=b"\xa1\x01\x02", flags=0x8D)).splitlines()[1:-1]))
    assert blob.endswith((3).to_bytes(4, "big") + b"\xa1\x01\x02")


@pytest.mark.parametrize(
    ("assertion", "reason"),
    [
        (signed(separators=(", ", ": ")), "does not read"),
        (signed({"challenge": CLIENT["challenge"]} | CLIENT), "does not read"),
        (signed(CLIENT | {"challenge": b64(b"another")}), "does not read"),
        (signed(CLIENT | {"origin": 1}), "does not read"),
        (signed(party="evil.example"), "another site"),
        (signed(length=36), "another site"),
        (signed().model_copy(update={"signature": "AA"}), "cannot be read"),
        (signed().model_copy(update={"client_data": "-"}), "cannot be read"),
    ],
)
def test_what_OpenSSH_does_not_take_is_not_written(assertion: Assertion, reason: str) -> None:
    assert file_of(signed()).startswith("-----BEGIN SSH SIGNATURE-----\n")
    with pytest.raises(EvidenceRefused, match=reason):
        file_of(assertion)


@pytest.mark.parametrize("key", [b"", Passkey("eA", curve=ec.SECP384R1()).public_key])
def test_a_key_that_is_no_P_256_key_is_not_written(key: bytes) -> None:
    with pytest.raises(EvidenceRefused, match="P-256"):
        file_of(signed(), public_key=key)
