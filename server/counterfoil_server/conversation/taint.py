"""Which principals have read what others wrote (T38).

After an untrusted read, everything that the model asks for may be a stranger's idea. So the mark is set before the
text is handed out, follows the principal, and stays: a new chat or a restart washes nothing. It only ever adds
requirements, where the policy looks at ``context.tainted``.
"""

from __future__ import annotations

from counterfoil.store import Principal, Store


class Taint:
    """The marks, kept in the store's settings and remembered here once set."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._marked: set[str] = set()

    async def mark(self, principal: Principal) -> None:
        """Set the mark; returns when it is durable."""
        if principal.id not in self._marked:
            await self._store.put_setting(_name(principal), str(self._store.now()))
            self._marked.add(principal.id)

    async def is_marked(self, principal: Principal) -> bool:
        """Whether the principal ever called an untrusted read."""
        if principal.id in self._marked:
            return True
        if await self._store.setting(_name(principal)) is None:
            return False
        self._marked.add(principal.id)
        return True


def _name(principal: Principal) -> str:
    return f"tainted:{principal.id}"
