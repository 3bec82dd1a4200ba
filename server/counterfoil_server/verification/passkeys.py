"""Passkey ceremonies: what a browser is asked for, and how its answer is read.

Sign-in and registration challenges are 32 random bytes, each good once, for one purpose and one place; what a person
signs to decide or to enrol has another shape and is never looked for here (T51). Assertions are verified by the core's
one verifier and nowhere else; the library is used for registration only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from counterfoil.assertions import MAX_CLIENT_DATA, RelyingParty
from counterfoil.canonical import b64, parse_strict, unb64
from counterfoil.errors import BadJSON, StatementRefused
from counterfoil.statements import Assertion
from counterfoil.store import Secret, Store
from counterfoil_server.verification.secrets_kept import CHALLENGE, SECRET_LENGTH, new_secret, secret_digest

Base64 = Annotated[str, Field(max_length=16 * 1024, pattern=r"^[A-Za-z0-9_-]+$")]
CredentialId = Annotated[str, Field(max_length=1364, pattern=r"^[A-Za-z0-9_-]+$")]
"""At most 1023 bytes (W3C WebAuthn Level 3, section 4, "Credential ID")."""

TIMEOUT = 300_000
"""Milliseconds that a browser waits for the person; a hint."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class AssertionResponse(_Answer):
    """The ``response`` of an assertion."""

    client_data: Base64 = Field(alias="clientDataJSON")
    authenticator_data: Base64 = Field(alias="authenticatorData")
    signature: Base64


class AssertionAnswer(_Answer):
    """``PublicKeyCredential.toJSON()`` of an assertion (AuthenticationResponseJSON, WebAuthn Level 3, 5.1)."""

    id: CredentialId
    type: Literal["public-key"]
    response: AssertionResponse

    def to_assertion(self) -> Assertion:
        """What the core verifies and keeps."""
        return Assertion(
            credential=self.id,
            authenticator_data=self.response.authenticator_data,
            client_data=self.response.client_data,
            signature=self.response.signature,
        )


class AttestationResponse(_Answer):
    """The ``response`` of a registration."""

    client_data: Base64 = Field(alias="clientDataJSON")
    attestation: Base64 = Field(alias="attestationObject")


class RegistrationAnswer(_Answer):
    """``PublicKeyCredential.toJSON()`` of a registration (RegistrationResponseJSON)."""

    id: CredentialId
    raw_id: CredentialId = Field(alias="rawId")
    type: Literal["public-key"]
    response: AttestationResponse


def request_options(party: RelyingParty, challenge: bytes, credential: str | None = None) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON: any passkey of ours (sign-in), or exactly this one (a decision)."""
    allowed = [{"type": "public-key", "id": credential}] if credential is not None else []
    return {
        "challenge": b64(challenge),
        "rpId": party.id,
        "allowCredentials": allowed,
        "userVerification": "required",
        "timeout": TIMEOUT,
    }


def client_data_of(text: str) -> dict[str, Any]:
    """The client data that the browser signed for; raises :class:`StatementRefused` where it cannot be read."""
    try:
        raw = unb64(text)
        value = parse_strict(raw) if len(raw) <= MAX_CLIENT_DATA else None
    except BadJSON:
        value = None
    if not isinstance(value, dict):
        raise StatementRefused("The passkey's answer cannot be read.")
    return value


def challenge_of(client_data: str) -> bytes:
    """The challenge that the answer names; whoever takes it must have kept it."""
    sent = client_data_of(client_data).get("challenge")
    try:
        return unb64(sent) if isinstance(sent, str) else b""
    except BadJSON:
        return b""


class Challenges:
    """Random challenges, each kept until it is answered once, for one purpose in one place."""

    def __init__(self, store: Store, life: int) -> None:
        self._store = store
        self._life = life

    async def make(self, purpose: str, place: str) -> bytes:
        """A fresh one."""
        challenge = new_secret()
        await self._store.put_secret(
            Secret(
                CHALLENGE, secret_digest(CHALLENGE, challenge), f"{purpose}:{place}", {}, self._store.now() + self._life
            )
        )
        return challenge

    async def spend(self, client_data: str, purpose: str, place: str) -> bytes:
        """The challenge that an answer names; raises :class:`StatementRefused` unless it was made for just this."""
        challenge = challenge_of(client_data)
        kept = await self._store.take_secret(CHALLENGE, secret_digest(CHALLENGE, challenge))
        if kept is None or len(challenge) != SECRET_LENGTH or kept.subject != f"{purpose}:{place}":
            raise StatementRefused("The answer came too late, or was used before.")
        return challenge
