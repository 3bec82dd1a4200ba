"""Registering a passkey: the options, and the check of the answer down to the key that will sign.

The library checks what WebAuthn Level 3, section 7.1 asks; what it leaves open is checked here: no cross-origin
frame, and a P-256 key as the roster holds it. Attestation is not asked for: it would say which product holds the key,
and nothing here depends on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import decode_credential_public_key, options_to_json_dict
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.generate_registration_options import generate_registration_options
from webauthn.registration.verify_registration_response import verify_registration_response

from counterfoil.assertions import RelyingParty
from counterfoil.canonical import b64, unb64
from counterfoil.errors import StatementRefused
from counterfoil.roster import Credential
from counterfoil_server.verification.passkeys import TIMEOUT, RegistrationAnswer, client_data_of

ALGORITHMS = [COSEAlgorithmIdentifier.ECDSA_SHA_256]


@dataclass(frozen=True)
class NewCredential:
    """A registered passkey: its id and DER SPKI key (base64url), and whether it may be copied to other devices."""

    id: str
    public_key: str
    backup_eligible: bool


def creation_options(
    party: RelyingParty, organisation: str, *, person: str, name: str, held: list[Credential], challenge: bytes
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON: a discoverable ES256 passkey that verifies its user.

    The user handle is a digest, so that a passkey tells nobody the person's id; ``held`` are not registered again.
    """
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=organisation,
        user_id=sha256(f"counterfoil-user\0{party.id}\0{person}".encode()).digest(),
        user_name=name,
        user_display_name=name,
        challenge=challenge,
        timeout=TIMEOUT,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=unb64(credential.id)) for credential in held],
        supported_pub_key_algs=ALGORITHMS,
    )
    return options_to_json_dict(options)


def verify_registration(answer: RegistrationAnswer, challenge: bytes, party: RelyingParty) -> NewCredential:
    """The new passkey; raises :class:`StatementRefused` unless made here, now, for us, with its user verified."""
    client = client_data_of(answer.response.client_data)
    if client.get("crossOrigin", False) is not False or "topOrigin" in client:
        raise StatementRefused("The passkey was made inside another site's frame.")
    try:
        verified = verify_registration_response(
            credential={
                "id": answer.id,
                "rawId": answer.raw_id,
                "type": answer.type,
                "response": {
                    "clientDataJSON": answer.response.client_data,
                    "attestationObject": answer.response.attestation,
                },
            },
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=sorted(party.origins),
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        key = decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    except Exception:
        # The library lets errors of its parsers through; any of them means no (invariant 12).
        raise StatementRefused("The new passkey was not accepted.", "Try again with another passkey.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StatementRefused("The new passkey is of a kind that cannot be used here.", "Try another passkey.")
    if b64(verified.credential_id) != answer.id:
        raise StatementRefused("The new passkey's answer contradicts itself.", "Try again.")
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return NewCredential(answer.id, b64(spki), verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE)
