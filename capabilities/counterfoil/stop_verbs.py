"""The authority's verbs that only ever take away: revoke, suspend, and resume what was suspended."""

from __future__ import annotations

from counterfoil import leaves
from counterfoil.door import Door
from counterfoil.scopes import check_scope, is_final
from counterfoil.store import Revoked


class StopVerbs(Door):
    """Revoke, suspend, resume."""

    async def revoke(self, scope: str, reason: str) -> Revoked:
        """End everything in the scope that is not claimed yet, and say what was met; some kinds are barred for good."""
        scope = check_scope(scope)
        leaf = leaves.administered("revoke_scope", scope=scope, reason=reason)
        return await self.store.revoke(scope, reason=reason, leaf=leaf, final=is_final(scope))

    async def suspend(self, scope: str, reason: str) -> None:
        """Bar the scope until it is resumed."""
        scope = check_scope(scope)
        await self.store.suspend(scope, reason=reason, leaf=leaves.administered("suspend", scope=scope, reason=reason))

    async def resume(self, scope: str) -> bool:
        """Lift a suspension; False where there was none."""
        scope = check_scope(scope)
        return await self.store.resume(scope, leaf=leaves.administered("resume", scope=scope))
