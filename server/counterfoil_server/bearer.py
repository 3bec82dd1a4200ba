"""Bearer tokens of principals: 256 random bits, shown once, known to the store only by their digest (T32)."""

from __future__ import annotations

import re
import secrets

from counterfoil.canonical import b64, digest

PREFIX = "cfp_"
PATTERN = re.compile(rb"cfp_[A-Za-z0-9_-]{43}")
"""What a token looks like; anything else is refused without a look into the store."""


def new_token() -> str:
    """A fresh token: ``cfp_`` and 43 characters of base64url."""
    return PREFIX + b64(secrets.token_bytes(32))


def token_digest(token: str) -> str:
    """By what the store finds a token's principal. Unsalted: nobody guesses 256 random bits."""
    return digest("counterfoil-bearer-token", token.encode())
