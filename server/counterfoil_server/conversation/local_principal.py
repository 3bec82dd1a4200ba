"""The principal of whoever calls over stdio: this machine's user, ``local:<host>:<uid>``.

It is not what a client says of itself, which a hostile client would change, but what the operating system says of the
process. It is a principal like any other: listed, capped, tainted, suspended, revoked and disabled by its id. It is
made on first use, has no owner, and no bearer token leads to it. The host's name is kept at first use, so that a
machine that is renamed does not shed its taint and its suspensions.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from contextlib import suppress

from counterfoil.errors import Unauthenticated, UnknownName
from counterfoil.leaves import administered
from counterfoil.store import Principal, Store

PREFIX = "local:"
"""No principal that an administrator names has a colon."""

HOST_SETTING = "local_host"


def tokenless(name: str) -> str:
    """What stands in place of a token's digest. A digest is base64url, which has no colon, so no token has this one."""
    return f"no token: {name}"


class LocalPrincipals:
    """Finds, and on first use makes, the principal of a user of this machine."""

    def __init__(self, store: Store, host: Callable[[], str] = platform.node) -> None:
        self._store = store
        self._host = host
        self._names: dict[int, str] = {}

    async def of(self, uid: int) -> Principal:
        """The user's principal, asked of the store each time; raises :class:`Unauthenticated` once it is disabled."""
        name = self._names.get(uid)
        if name is None:
            name = await self._name(uid)
            await self._add(name)
            self._names[uid] = name
        principal = await self._store.principal_by_token(tokenless(name))
        if principal is None:
            raise Unauthenticated(
                f"The local principal {name} is disabled.",
                "Connect over HTTP with a token from 'counterfoil principals add'.",
            )
        return principal

    async def _name(self, uid: int) -> str:
        host = await self._store.setting(HOST_SETTING)
        if host is None:
            host = re.sub(r"[^A-Za-z0-9.-]", "-", self._host())[:60] or "localhost"
            await self._store.put_setting(HOST_SETTING, host)
        return f"{PREFIX}{host}:{uid}"

    async def _add(self, name: str) -> None:
        principal = Principal(name, None, self._store.now(), None)
        with suppress(UnknownName):  # it is there already
            leaf = administered("principal_added", principal=name, owner=None)
            await self._store.add_principal(principal, tokenless(name), leaf)
