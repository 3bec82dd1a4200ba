"""Stopping: revoke for good, suspend until resumed, in a scope."""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.errors import CounterfoilError, UnknownName
from counterfoil.scopes import check_scope
from counterfoil_server.administration.keys import KeyVerbs
from counterfoil_server.administration.shown import JSONObject, revocation

MANY = 1000
"""So many of something are counted, and no more."""


class StoppingVerbs(KeyVerbs):
    """Revoke, suspend, resume. The scope of a key is ended as ``keys_revoke`` does."""

    async def revoke(self, *, scope: str, reason: str = "revoked by an administrator") -> JSONObject:
        """End what is open in the scope; answers how many tickets were revoked, executing and done, and how many grants
        ended."""
        await self._check_known(scope)
        kind, _, name = scope.partition(":")
        if kind == "key":
            return revocation(scope, (await self._revoke_key(name, reason)).found)
        found = await self._authority.revoke(scope, reason)
        self._forget_principals()
        return revocation(scope, found) | await self._known_of(scope)

    async def suspend(self, *, scope: str, reason: str = "suspended by an administrator") -> JSONObject:
        """Bar the scope until resumed."""
        await self._check_known(scope)
        await self._authority.suspend(scope, reason)
        return {"scope": scope, "suspended": True} | await self._known_of(scope)

    async def _check_known(self, scope: str) -> None:
        """Refuse a name that is surely mistyped: whoever stops something must not believe that it is stopped."""
        kind, _, name = check_scope(scope).partition(":")
        known: Iterable[str]
        if kind == "operation":
            known = self._authority.judge.desk.operations
        elif kind == "principal":
            known = {found.id for found in await self._authority.store.principals()}
        elif kind == "ticket":
            known = {name} if await self._authority.store.ticket(name) else ()
        elif kind == "key":
            self._authority.check_key(name)
            return
        elif kind == "person":
            try:
                known = (await self._authority.judge.roster()).people
            except CounterfoilError:  # stopping works with a roster that does not verify, too
                return
        else:
            return
        if name not in known:
            raise UnknownName(f"There is no {kind} {name!r}; nothing was stopped.", "Check the name and try again.")

    async def _known_of(self, scope: str) -> JSONObject:
        """How many tickets there are on an account: accounts are the organisation's, so a wrong one is not refused."""
        kind, _, name = scope.partition(":")
        if kind != "account":
            return {}
        return {"tickets": len(await self._authority.store.tickets(account=name, limit=MANY))}

    async def resume(self, *, scope: str) -> JSONObject:
        """Lift a suspension."""
        return {"scope": scope, "resumed": await self._authority.resume(scope)}

    async def suspensions(self) -> list[JSONObject]:
        """All of them."""
        return [
            {"scope": found.scope, "final": found.final, "since": found.since, "reason": found.reason}
            for found in await self._authority.store.suspensions()
        ]
