"""A person's signature as files that stock ``ssh-keygen -Y verify`` reads (OpenSSH 8.9 or newer).

What a passkey signs is the signed-data blob of an OpenSSH signature (``statements.py``), so a stored assertion can be
wrapped as one without anybody's help: PROTOCOL.sshsig around the webauthn signature of PROTOCOL.u2f, both in
https://github.com/openssh/openssh-portable. Rules:

* a signer is only ever listed with ``namespaces=``: without it, their key would be good for git commits as well, and a
  decline would count like an approval (T51);
* a person's id is written only where it cannot be read as a pattern that others match.

OpenSSH compares less than ``assertions.py``: not the origin, not whether the user was verified or present, nothing of
roster and requirements. Whoever needs these verifies a bundle (``bundle.py``).
"""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from counterfoil.assertions import HEADER_LENGTH
from counterfoil.canonical import b64, parse_strict, unb64
from counterfoil.errors import BadJSON, EvidenceRefused
from counterfoil.statements import Assertion

KEY_TYPE = b"sk-ecdsa-sha2-nistp256@openssh.com"
SIGNATURE_TYPE = b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
LINE = 70
"""Characters of base64 in a line of a signature file, as OpenSSH writes them."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
"""Ids that ssh-keygen takes literally; ``*``, ``?``, ``!`` and commas make patterns of others."""


def allowed_signer(person: str, *, public_key: bytes, party: str, namespace: str) -> str:
    """The line of an ``allowed_signers`` file that lets ``person`` sign in this namespace and in no other.

    ``public_key`` is DER SPKI, ``party`` the relying party's id. Raises :class:`EvidenceRefused` for what cannot be
    written so that it means one person alone.
    """
    if not PLAIN.fullmatch(person):
        raise EvidenceRefused(
            f"The id {json.dumps(person)[:80]} could be read as a pattern by ssh-keygen.",
            "Verify this ticket with a bundle: 'counterfoil prove' without --openssh.",
        )
    blob = base64.b64encode(_public_key(public_key, party)).decode()
    return f'{person} namespaces="{namespace}" {KEY_TYPE.decode()} {blob}'


def signature_file(assertion: Assertion, *, challenge: bytes, namespace: str, public_key: bytes, party: str) -> str:
    """The armoured signature; ``challenge`` is what the passkey was asked to sign.

    Raises :class:`EvidenceRefused` for an assertion that OpenSSH cannot take: it reads the browser's client data by
    position, as WebAuthn Level 3, section 5.8.1.1, has browsers write it.
    """
    try:
        client, data = unb64(assertion.client_data), unb64(assertion.authenticator_data)
        told = parse_strict(client)
        r, s = decode_dss_signature(unb64(assertion.signature))
    except (BadJSON, ValueError):
        raise EvidenceRefused("A stored signature cannot be read.") from None
    origin = told.get("origin") if isinstance(told, dict) else None
    begins = f'{{"type":"webauthn.get","challenge":"{b64(challenge)}","origin":"{origin}"'
    if not isinstance(origin, str) or not client.startswith(begins.encode()):
        raise EvidenceRefused("The browser wrote what it signed in a way that ssh-keygen does not read.")
    if data[:32] != sha256(party.encode()).digest() or len(data) < HEADER_LENGTH:
        raise EvidenceRefused("A stored signature belongs to another site.")
    signature = (
        _text(SIGNATURE_TYPE) + _text(_number(r) + _number(s)) + data[32:HEADER_LENGTH]
        + _text(origin.encode()) + _text(client) + _text(data[HEADER_LENGTH:])
    )  # fmt: skip
    blob = (
        b"SSHSIG" + (1).to_bytes(4, "big") + _text(_public_key(public_key, party)) + _text(namespace.encode())
        + _text(b"") + _text(b"sha512") + _text(signature)
    )  # fmt: skip
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[at : at + LINE] for at in range(0, len(encoded), LINE)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def _public_key(spki: bytes, party: str) -> bytes:
    """PROTOCOL.u2f, "SSH U2F Key formats": type, curve, point, application."""
    try:
        key = serialization.load_der_public_key(spki)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EvidenceRefused("A stored passkey is not a P-256 key.")
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return _text(KEY_TYPE) + _text(b"nistp256") + _text(point) + _text(party.encode())


def _text(data: bytes) -> bytes:
    """``string`` of RFC 4251, section 5."""
    return len(data).to_bytes(4, "big") + data


def _number(value: int) -> bytes:
    """``mpint`` of RFC 4251, section 5, of a positive number."""
    return _text(value.to_bytes(value.bit_length() // 8 + 1, "big"))
