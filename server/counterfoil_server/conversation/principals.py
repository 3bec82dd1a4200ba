"""Who calls: a bearer token means one principal, or nobody.

A token is 192 random bits, shown once and stored only as a digest; what is random needs no salt and no slow hash. The
store is asked on every call and nothing is remembered in between, so that a principal that was disabled is refused
from its next call on, in every process.
"""

from __future__ import annotations

import re
import secrets

from counterfoil.canonical import b64, digest
from counterfoil.store import Principal, Store

TOKEN_BYTES = 24

_TOKEN = re.compile(rb"cfp_[A-Za-z0-9_-]{32}")


def new_token() -> str:
    """A fresh bearer token: ``cfp_`` and 192 random bits in base64url (36 characters)."""
    return f"cfp_{b64(secrets.token_bytes(TOKEN_BYTES))}"


def token_digest(token: str) -> str:
    """By what the store knows a token."""
    return digest("counterfoil-principal-token", token.encode())


async def principal_of(store: Store, authorization: list[bytes]) -> Principal | None:
    """The enabled principal whom the ``Authorization`` headers of one call name; None unless there is exactly one."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].partition(b" ")
    if scheme.lower() != b"bearer" or _TOKEN.fullmatch(token) is None:
        return None
    return await store.principal_by_token(token_digest(token.decode("ascii")))
