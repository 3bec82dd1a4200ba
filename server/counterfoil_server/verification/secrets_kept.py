"""The one-time secrets of this layer: each is kept by its digest under its own kind, never in the clear (T32)."""

from __future__ import annotations

import hmac
import secrets

from counterfoil.canonical import b64, digest, unb64
from counterfoil.errors import BadJSON

SECRET_LENGTH = 32
"""Bytes of every secret we mint."""

LINK = "link"
RELINK = "relink"
TRY = "code-try"
CHALLENGE = "challenge"
OFFER = "offer"
SETTLEMENT = "settlement"
ENROLMENT = "enrolment"
SESSION = "session"
STOP_SESSION = "stop-session"
SETTLE_SESSION = "settle-session"


def new_secret() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(SECRET_LENGTH)


def secret_digest(kind: str, secret: bytes) -> str:
    """By what the store knows a secret of this kind."""
    return digest(f"counterfoil-{kind}", secret)


def read_secret(text: str | None) -> bytes | None:
    """The 32 bytes of a secret's only spelling, or None for anything else."""
    try:
        secret = unb64(text or "")
    except (BadJSON, ValueError):
        return None
    return secret if len(secret) == SECRET_LENGTH else None


def keyed(secret: bytes, purpose: str, text: str) -> str:
    """A MAC of ``text`` under a secret that the store does not hold: nothing to guess from a copy of the database."""
    return b64(hmac.digest(secret, f"counterfoil-{purpose}\0{text}".encode(), "sha256"))
