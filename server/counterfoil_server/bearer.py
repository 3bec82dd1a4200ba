"""Bearer tokens of principals: 256 random bits, shown once, known to the store only by their digest (T32)."""

from __future__ import annotations

import secrets

from counterfoil.canonical import digest

PREFIX = "cfp_"


def new_token() -> str:
    """A fresh token."""
    return PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """By what the store finds a token's principal. Unsalted: nobody guesses 256 random bits."""
    return digest("counterfoil-bearer-token", token.encode())
