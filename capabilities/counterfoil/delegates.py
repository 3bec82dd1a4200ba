"""Delegates: keys that may invite people in the roster key's place, and do nothing else.

An organisation's own sign-in service invites customers all day, and the roster key should lie in a safe. So the roster
key names a delegate in a record of the roster, with the roles it may give. What a delegate signs counts only if

* it is an invitation, dated before the delegation's end, and not before the record that precedes it;
* it gives no role that the delegation does not name;
* its person is new, or was invited by this delegate alone: it cannot become somebody that others invited;
* it gives no account whose holders somebody else invited: it cannot sit down beside them;
* the delegation was not ended by an earlier record.

Who steals a delegate's key, and can write into the database, makes new people for accounts that nobody or the delegate
itself invited anyone for. That is what a delegate is for; the roster key ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from counterfoil.errors import KeyFileError, RosterRefused
from counterfoil.keys import VerificationKey
from counterfoil.values import Frozen, Version

SIGN_IT = "Let the roster key sign it; if it is stored already, run 'counterfoil doctor'."


class Delegation(Frozen):
    """The roster key lets another key invite people. ``name``: what it is, for people; ``x``, ``y``: the public key."""

    type: Literal["delegation"] = "delegation"
    v: Version = 1
    version: int
    previous: str
    name: str
    x: str
    y: str
    roles: tuple[str, ...]
    iat: int
    exp: int

    @property
    def key(self) -> VerificationKey:
        """The delegate's key; raises :class:`KeyFileError`."""
        return VerificationKey.from_jwk({"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y})


@dataclass(frozen=True)
class Delegate:
    """A delegate as the roster has it."""

    id: str
    name: str
    roles: frozenset[str]
    since: int
    until: int
    ended: bool


@dataclass
class Delegates:
    """What the records walked so far say of delegates, and who invited whom."""

    _named: dict[str, Delegation] = field(default_factory=dict)
    _keys: dict[str, VerificationKey] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _inviters: dict[str, set[str]] = field(default_factory=dict)
    """By person, the delegates that invited them; empty text stands for the roster key."""
    _holders: dict[str, set[str]] = field(default_factory=dict)
    """The same by account."""

    @property
    def keys(self) -> Mapping[str, VerificationKey]:
        """The keys that are not the roster's, by id."""
        return self._keys

    def add(self, delegation: Delegation) -> None:
        """The roster key names a delegate; raises :class:`RosterRefused`."""
        try:
            key = delegation.key
        except KeyFileError:
            raise RosterRefused(f"Record {delegation.version} of the roster names a key that cannot be one.") from None
        if key.id in self._named:
            raise RosterRefused(f"Record {delegation.version} of the roster names a delegate that was named before.")
        self._named[key.id], self._keys[key.id] = delegation, key

    def end(self, key: str) -> None:
        """The roster key ends a delegate."""
        self._ended.add(key)

    def invited(self, signer: str | None, person: str, accounts: tuple[str, ...]) -> None:
        """Remember who invited: a delegate's id, or None for the roster key."""
        self._inviters.setdefault(person, set()).add(signer or "")
        for account in accounts:
            self._holders.setdefault(account, set()).add(signer or "")

    def check(
        self, signer: str, number: int, person: str, accounts: tuple[str, ...], roles: tuple[str, ...], iat: int
    ) -> None:
        """Raise :class:`RosterRefused` unless the delegate may sign this invitation."""
        delegation = self._named[signer]
        if signer in self._ended or iat > delegation.exp:
            raise RosterRefused(f"Record {number} of the roster is by a delegate whose time is over.", SIGN_IT)
        if not set(roles) <= set(delegation.roles):
            raise RosterRefused(f"Record {number} of the roster gives a role that its delegate may not give.", SIGN_IT)
        if self._inviters.get(person, set()) - {signer}:
            raise RosterRefused(
                f"Record {number} of the roster is about somebody whom its delegate did not invite.", SIGN_IT
            )
        if any(self._holders.get(account, set()) - {signer} for account in accounts):
            raise RosterRefused(
                f"Record {number} of the roster gives an account whose holder its delegate did not invite.",
                SIGN_IT,
            )

    def known(self) -> dict[str, Delegate]:
        """All of them, by id."""
        return {
            key: Delegate(key, each.name, frozenset(each.roles), each.iat, each.exp, key in self._ended)
            for key, each in self._named.items()
        }
