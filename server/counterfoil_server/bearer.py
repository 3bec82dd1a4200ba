"""Bearer tokens of principals: 192 random bits, shown once, known to the store only by their digest (T32)."""

from __future__ import annotations

import secrets

from counterfoil.canonical import b64, digest

PREFIX = "cfp_"


def new_token() -> str:
    """A fresh token: ``cfp_`` and 32 characters of base64url."""
    return PREFIX + b64(secrets.token_bytes(24))


def token_digest(token: str) -> str:
    """By what the store finds a token's principal. Unsalted: nobody guesses 192 random bits."""
    return digest("counterfoil-principal-token", token.encode())
