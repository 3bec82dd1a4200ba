"""What people sign: one spelling, one meaning, and a namespace of its own for each meaning (T51)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from capabilities.world import PARTY, Passkey, Shop, envelope_of, shop_desk, statement_of
from counterfoil.canonical import unb64
from counterfoil.errors import StatementRefused
from counterfoil.rungs import Rung
from counterfoil.statements import (
    APPROVE_NAMESPACE,
    DECLINE_NAMESPACE,
    ENROL_NAMESPACE,
    GRANT_NAMESPACE,
    NAMESPACES,
    SETTLE_NAMESPACE,
    Assertion,
    Settlement,
    Statement,
    challenge,
    is_required,
    role_of,
    seats_required,
)
from counterfoil.values import Assurance

DESK = shop_desk(Shop())
ANN = Passkey("YW5u")
STATEMENT = statement_of(DESK, envelope_of(DESK), "ann", ANN)
BODY = STATEMENT.to_bytes()


def test_a_statement_reads_back_as_the_same_bytes() -> None:
    assert Statement.from_bytes(BODY) == STATEMENT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff",
        BODY + b"\n",
        BODY.replace(b'","', b'", "', 1),
        BODY.replace(b'"decision":"approve"', b'"decision":"decline","decision":"approve"'),
        BODY.replace(b'"v":1', b'"v":2'),
        BODY.replace(b'"v":1', b'"extra":1,"v":1'),
        BODY.replace(b'"approve"', b'"APPROVE"'),
        BODY.replace(b'"approve"', b'"\\u0061pprove"'),
        BODY.replace(b'"iat":1800000010', b'"iat":1800000010.0'),
        BODY.replace(b'"iat":1800000010', b'"iat":9007199254740993'),
        BODY.replace(b'"code":"123456"', b'"code":123456'),
        BODY.replace(b'"code":"123456",', b""),
    ],
)
def test_bytes_that_are_not_exactly_a_statement_are_refused(body: bytes) -> None:
    assert body != BODY
    with pytest.raises(StatementRefused):
        Statement.from_bytes(body)


SETTLEMENT = Settlement(
    issuer="https://desk.example", envelope="e", display="d", seat="staff:finance", person="ann", credential="YW5u",
    found="executed", reference="RF-2291", nonce="n", iat=1, exp=2,
)  # fmt: skip
SETTLED = SETTLEMENT.to_bytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY,
        SETTLED + b"\n",
        SETTLED.replace(b'"found":"executed"', b'"found":"unknown"'),
        SETTLED.replace(b'"found":"executed"', b'"found":"not_executed","found":"executed"'),
        SETTLED.replace(b'"v":1', b'"extra":1,"v":1'),
        SETTLED.replace(b'"RF-2291"', b"null"),
        SETTLED.replace(b"RF-2291", b"x" * 201),
    ],
)
def test_bytes_that_are_not_exactly_a_settlement_are_refused(body: bytes) -> None:
    assert body != SETTLED
    assert Settlement.from_bytes(SETTLED) == SETTLEMENT
    with pytest.raises(StatementRefused):
        Settlement.from_bytes(body)


def test_T51_a_settlement_is_no_statement() -> None:
    with pytest.raises(StatementRefused):
        Statement.from_bytes(SETTLED)


@pytest.mark.parametrize("name", sorted(set(Settlement.__struct_fields__) - {"v"}))
def test_every_field_is_in_what_is_signed_of_a_settlement(name: str) -> None:
    other = {"found": "not_executed", "iat": 0, "exp": 9}.get(name, "x")
    assert SETTLEMENT.changed(**{name: other}).challenge != SETTLEMENT.challenge


OTHER: dict[str, Any] = {
    "issuer": "x", "envelope": "x", "display": "x", "seat": "x", "person": "x", "credential": "x",
    "decision": "decline", "code": None, "nonce": "x", "iat": 1, "exp": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(Statement.__struct_fields__) - {"v"}))
def test_every_field_is_in_what_is_signed(name: str) -> None:
    assert STATEMENT.changed(**{name: OTHER[name]}).challenge != STATEMENT.challenge


def test_T51_each_meaning_has_a_challenge_of_its_own() -> None:
    names = (
        APPROVE_NAMESPACE, DECLINE_NAMESPACE, GRANT_NAMESPACE, SETTLE_NAMESPACE, ENROL_NAMESPACE, "git", "",
    )  # fmt: skip
    assert len({challenge(name, BODY) for name in names}) == 7
    assert SETTLEMENT.challenge == challenge(SETTLE_NAMESPACE, SETTLED)
    assert NAMESPACES == {"approve": APPROVE_NAMESPACE, "decline": DECLINE_NAMESPACE, "grant": GRANT_NAMESPACE}
    assert STATEMENT.challenge == challenge(APPROVE_NAMESPACE, BODY)
    declined = STATEMENT.changed(decision="decline")
    assert declined.challenge == challenge(DECLINE_NAMESPACE, declined.to_bytes())


def test_the_challenge_is_the_signed_data_of_PROTOCOL_sshsig() -> None:
    fields = [APPROVE_NAMESPACE.encode(), b"", b"sha512", hashlib.sha512(BODY).digest()]
    assert STATEMENT.challenge == b"SSHSIG" + b"".join(struct.pack(">I", len(part)) + part for part in fields)


def test_T51_no_sign_in_challenge_of_32_random_bytes_has_the_shape_of_a_statements() -> None:
    assert len(STATEMENT.challenge) > 64


# OpenSSH --------------------------------------------------------------------------------------------------------------


def text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def number(value: int) -> bytes:
    return text(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def public_key_blob(passkey: Passkey) -> bytes:
    """PROTOCOL.u2f, "SSH U2F Key formats": type, curve, point, application."""
    numbers = passkey.key.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    return text(b"sk-ecdsa-sha2-nistp256@openssh.com") + text(b"nistp256") + text(point) + text(PARTY.id.encode())


def ssh_signature(assertion: Assertion, passkey: Passkey, namespace: str) -> str:
    """The armoured signature file: PROTOCOL.sshsig around the webauthn signature of PROTOCOL.u2f."""
    data, client = unb64(assertion.authenticator_data), unb64(assertion.client_data)
    origin = json.loads(client)["origin"].encode()
    r, s = decode_dss_signature(unb64(assertion.signature))
    signature = (
        text(b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com") + text(number(r) + number(s)) + data[32:37]
        + text(origin) + text(client) + text(b"")
    )  # fmt: skip
    blob = (
        b"SSHSIG" + struct.pack(">I", 1) + text(public_key_blob(passkey)) + text(namespace.encode()) + text(b"")
        + text(b"sha512") + text(signature)
    )  # fmt: skip
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[at : at + 70] for at in range(0, len(encoded), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def verified_by_ssh(folder: Path, statement: bytes, signature: str, namespace: str, options: str) -> tuple[bool, str]:
    key = base64.b64encode(public_key_blob(ANN)).decode()
    (folder / "signers").write_text(f"ann {options} sk-ecdsa-sha2-nistp256@openssh.com {key}\n")
    (folder / "signature").write_text(signature)
    ran = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "ann", "-n", namespace, "-s", "signature"],
        input=statement,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return ran.returncode == 0, (ran.stdout + ran.stderr).decode()


ALLOWED = f'namespaces="{APPROVE_NAMESPACE}"'


def compact(passkey: Passkey, signed: Statement | Settlement) -> Assertion:
    """As browsers write it: OpenSSH wants the members in this order, without spaces."""
    return passkey.sign(
        signed.challenge,
        client_data=json.dumps(
            {
                "type": "webauthn.get",
                "challenge": base64.urlsafe_b64encode(signed.challenge).rstrip(b"=").decode(),
                "origin": "https://desk.example",
                "crossOrigin": False,
            },
            separators=(",", ":"),
        ).encode(),
    )


def test_T51_stock_ssh_keygen_takes_an_approval_for_an_approval_and_for_nothing_else(tmp_path: Path) -> None:
    signature = ssh_signature(compact(ANN, STATEMENT), ANN, APPROVE_NAMESPACE)
    good, said = verified_by_ssh(tmp_path, BODY, signature, APPROVE_NAMESPACE, ALLOWED)
    assert good, said
    assert "Good" in said
    others = ((DECLINE_NAMESPACE, ""), (SETTLE_NAMESPACE, ""), ("git", ""), ("file", ""), ("git", ALLOWED))
    for namespace, options in others:
        good, said = verified_by_ssh(tmp_path, BODY, signature, namespace, options)
        assert not good, said
    changed = BODY.replace(b"ann", b"ben")
    assert not verified_by_ssh(tmp_path, changed, signature, APPROVE_NAMESPACE, ALLOWED)[0]


def test_T51_an_approval_relabelled_for_another_namespace_does_not_verify(tmp_path: Path) -> None:
    for namespace in (DECLINE_NAMESPACE, SETTLE_NAMESPACE, "git"):
        signature = ssh_signature(compact(ANN, STATEMENT), ANN, namespace)
        assert not verified_by_ssh(tmp_path, BODY, signature, namespace, "")[0]


def test_T51_a_decline_is_no_approval_for_ssh_keygen_either(tmp_path: Path) -> None:
    declined = STATEMENT.changed(decision="decline")
    for claimed in (DECLINE_NAMESPACE, APPROVE_NAMESPACE):
        signature = ssh_signature(compact(ANN, declined), ANN, claimed)
        good, said = verified_by_ssh(tmp_path, declined.to_bytes(), signature, claimed, f'namespaces="{claimed}"')
        assert good is (claimed == DECLINE_NAMESPACE), said
    listed_for_approvals = ssh_signature(compact(ANN, declined), ANN, DECLINE_NAMESPACE)
    assert not verified_by_ssh(tmp_path, declined.to_bytes(), listed_for_approvals, DECLINE_NAMESPACE, ALLOWED)[0]


def test_T51_a_settlement_is_neither_an_approval_nor_a_decline_for_ssh_keygen_either(tmp_path: Path) -> None:
    allowed = f'namespaces="{SETTLE_NAMESPACE}"'
    assertion = compact(ANN, SETTLEMENT)
    genuine = ssh_signature(assertion, ANN, SETTLE_NAMESPACE)
    good, said = verified_by_ssh(tmp_path, SETTLED, genuine, SETTLE_NAMESPACE, allowed)
    assert good, said
    for claimed in (APPROVE_NAMESPACE, DECLINE_NAMESPACE, "git"):
        relabelled = ssh_signature(assertion, ANN, claimed)
        assert not verified_by_ssh(tmp_path, SETTLED, relabelled, claimed, "")[0]
        assert not verified_by_ssh(tmp_path, SETTLED, genuine, claimed, "")[0]
    assert not verified_by_ssh(tmp_path, SETTLED, genuine, SETTLE_NAMESPACE, ALLOWED)[0]
    assert not verified_by_ssh(tmp_path, SETTLED.replace(b"RF-2291", b"RF-2292"), genuine, SETTLE_NAMESPACE, allowed)[0]


# Seats ----------------------------------------------------------------------------------------------------------------


def test_the_seats_of_a_ticket_are_those_of_all_its_alternatives() -> None:
    rungs = (
        Rung(staff={"legal": 2, "finance": 1}),
        Rung(holder="link"),
        Rung(staff={"finance": 1}, holder="none"),
    )
    assert seats_required(envelope_of(DESK, requirements=rungs)) == ("holder", "staff:finance", "staff:legal")
    assert seats_required(envelope_of(DESK, requirements=())) == ()


@pytest.mark.parametrize("holder", ["none", "link", "passkey", "passkey_bound"])
def test_only_those_seats_are_required(holder: Assurance) -> None:
    envelope = envelope_of(DESK, requirements=(Rung(staff={"legal": 2, "finance": 1}), Rung(holder=holder)))
    for seat in (
        "holder",
        "staff:finance",
        "staff:legal",
        "staff:",
        "staff:x",
        "staff",
        "Holder",
        "holder ",
        "",
        "legal",
    ):
        assert is_required(seat, envelope) is (seat in seats_required(envelope))
    assert not is_required("holder", envelope_of(DESK, requirements=()))


def test_a_seat_is_the_holders_or_a_roles() -> None:
    assert role_of("holder") is None
    assert role_of("staff:finance") == "finance"
