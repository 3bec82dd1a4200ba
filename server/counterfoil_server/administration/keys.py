"""The authority's keys: which there are, changing them, and ending one."""

from __future__ import annotations

from counterfoil.errors import KeysElsewhere
from counterfoil.key_verbs import RevokedKey
from counterfoil_server.administration.means import Means
from counterfoil_server.administration.shown import JSONObject, revocation


class KeyVerbs(Means):
    """List, rotate, revoke."""

    async def keys_list(self) -> list[JSONObject]:
        """The ring, each key with its place, and whether it was stopped."""
        places = self._authority.keys.places
        found = await self._authority.store.suspensions([f"key:{key.id}" for key in places.values()])
        stopped = {each.scope: "for good" if each.final else "until resumed" for each in found}
        return [
            {"place": place, "key": key.id, "stopped": stopped.get(f"key:{key.id}")} for place, key in places.items()
        ]

    async def keys_log(self) -> list[JSONObject]:
        """The verifier key that seals the log, and those before it that count as far as their ``size``."""
        former = [
            {"place": "log, before", "key": each.key.to_text(), "size": each.size}
            for each in self._former_log_keys
            if each.size
        ]
        return [{"place": "log", "key": self._log_key.to_text(), "size": None}, *former]

    async def keys_rotate(self) -> JSONObject:
        """The next key signs from now on; answers the id of the key in each place."""
        if self._change_keys is not None:
            raise KeysElsewhere(remedy=self._change_keys)
        ring = await self._authority.rotate_keys(self._keep_ring)
        return {place: key.id for place, key in ring.places.items()}

    async def keys_revoke(self, *, key: str, reason: str = "revoked by an administrator") -> JSONObject:
        """What ``revoke`` does in the scope of a key; answers as well whether another key took its place, and which one
        signs now."""
        met = await self._revoke_key(key, reason)
        signs = self._authority.keys.current.id
        return {"key": key, "replaced": met.replaced, "signs": signs} | revocation(f"key:{key}", met.found)

    async def _revoke_key(self, key: str, reason: str) -> RevokedKey:
        """Where others keep the ring, only a key that will not sign can be ended: nothing here takes its place."""
        ring = self._authority.keys
        if self._change_keys is not None and key in (ring.current.id, ring.next.id):
            raise KeysElsewhere(remedy=self._change_keys)
        return await self._authority.revoke_key(key, reason, self._keep_ring)
