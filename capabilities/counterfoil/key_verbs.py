"""The authority's verbs over its own keys: which of them count, the next one takes its turn, a stolen one is stopped.

Three rules. A ring is recorded on the log before it is kept, and kept before it signs. A key that was stopped never
becomes the one that signs. Whatever a rotation is cut short by, the key that signed before it still verifies.

Files are none of the core's business: each verb that changes the ring is handed what keeps it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from counterfoil import leaves
from counterfoil.errors import UnknownName
from counterfoil.keys import KeyRing, SigningKey, VerificationKey
from counterfoil.stop_verbs import StopVerbs
from counterfoil.store import Revoked, Store

Keep = Callable[[KeyRing], Awaitable[None]]
"""Makes a ring durable; raises StoreFailed where it cannot, and then the former ring goes on."""


@dataclass(frozen=True)
class RevokedKey:
    """What the revocation of a key met. ``replaced``: whether it would have signed, so that others took its place."""

    found: Revoked
    replaced: bool


async def good_keys(store: Store, keys: Mapping[str, VerificationKey]) -> dict[str, VerificationKey]:
    """Those of ``keys`` that nobody has revoked or suspended."""
    barred = {found.scope for found in await store.suspensions([scope_of(name) for name in keys])}
    return {name: key for name, key in keys.items() if scope_of(name) not in barred}


def scope_of(key: str) -> str:
    """How a key is named where things are stopped."""
    return f"key:{key}"


class KeyVerbs(StopVerbs):
    """Rotate, revoke, and tell which keys are good."""

    async def good_keys(self) -> dict[str, VerificationKey]:
        """The public keys of the ring that nobody stopped, by id: what others may believe."""
        return await good_keys(self.store, self.keys.verification_keys)

    async def rotate_keys(self, keep: Keep) -> KeyRing:
        """Next becomes current, current previous, a fresh key next; a rotation that was cut short is finished instead.

        What was signed before goes on being good until the following rotation. Answers the new ring.
        """
        async with self._changing_keys:
            return await self._change(await self._rotated(self.keys), keep)

    async def revoke_key(self, key: str, reason: str, keep: Keep) -> RevokedKey:
        """End everything that a key of the ring signed and that is not claimed yet, and bar it for good.

        If it is the one that signs, it is rotated away first; if it is to be the next, a fresh one takes its place.
        Raises :class:`UnknownName` with the ids there are.
        """
        async with self._changing_keys:
            self.check_key(key)
            ring = self.keys
            if key == ring.next.id:
                ring = ring.with_next(SigningKey.generate())
            if key == ring.current.id:
                ring = await self._rotated(ring)
            if replaced := ring is not self.keys:
                await self._change(ring, keep)
            return RevokedKey(await self.revoke(scope_of(key), reason), replaced)

    def check_key(self, key: str) -> None:
        """Raise :class:`UnknownName` unless the key is in the ring: nothing that another one signed is accepted."""
        places = self.keys.places
        if key not in {held.id for held in places.values()}:
            raise UnknownName(
                f"There is no key {str(key)[:80]!r} in the authority's ring; nothing was stopped.",
                f"Its keys are: {', '.join(f'{held.id} ({place})' for place, held in places.items())}.",
            )

    async def _rotated(self, ring: KeyRing) -> KeyRing:
        if ring.cut_short:
            return ring.with_next(SigningKey.generate())
        if await self.store.suspensions([scope_of(ring.next.id)]):
            ring = ring.with_next(SigningKey.generate())
        return ring.rotated(SigningKey.generate())

    async def _change(self, ring: KeyRing, keep: Keep) -> KeyRing:
        names = {place: held.id for place, held in ring.places.items()}
        await self.store.append_leaf(leaves.administered(leaves.KEYS, **names))
        await keep(ring)
        self.keys = ring
        return ring
