"""Who calls: a bearer token means one principal, or nobody.

Tokens are made in ``bearer.py``. A principal that was found is remembered for two seconds, so that a busy client does
not cost a database query per call; the token itself is not kept. Whoever disables one in this process calls
:meth:`Principals.forget` and it is refused from its next call on; what another process disabled is refused two seconds
later.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence

from counterfoil.store import Principal, Store
from counterfoil_server.bearer import PATTERN, token_digest

REMEMBERED = 2.0
"""Seconds."""


class Principals:
    """Finds the caller of each request."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._found: dict[bytes, tuple[float, Principal]] = {}
        self._forgotten = 0

    async def of(self, authorization: Sequence[bytes]) -> Principal | None:
        """The enabled principal whom a request's ``Authorization`` headers name; None unless there is exactly one."""
        scheme, _, token = authorization[0].partition(b" ") if len(authorization) == 1 else (b"", b"", b"")
        if scheme.lower() != b"bearer" or PATTERN.fullmatch(token) is None:
            return None
        # Much quicker than the digest that the store knows, and of use in this process alone.
        remembered = hashlib.blake2b(token, key=self._key, digest_size=32).digest()
        known = self._found.get(remembered)
        if known is not None and self._clock() < known[0]:
            return known[1]
        forgotten = self._forgotten
        principal = await self._store.principal_by_token(token_digest(token.decode("ascii")))
        self._found.pop(remembered, None)
        if principal is not None and forgotten == self._forgotten:
            # Not if they were forgotten while the store was asked: its answer may be older than that.
            self._found[remembered] = (self._clock() + REMEMBERED, principal)
        return principal

    def forget(self) -> None:
        """Ask the store again for everyone."""
        self._forgotten += 1
        self._found.clear()
