"""People and principals: the roster, whose records others sign, and the credentials of agents."""

from __future__ import annotations

from counterfoil import leaves, roster
from counterfoil.errors import BadArguments, RosterRefused, UnknownName
from counterfoil.roster import record_digest, verify_roster
from counterfoil.store import Principal
from counterfoil_server.administration.means import Means
from counterfoil_server.administration.shown import JSONObject
from counterfoil_server.bearer import new_token, token_digest


class PeopleVerbs(Means):
    """The roster and its next record; principals, added and disabled."""

    async def people_list(self, *, as_recorded: bool = False) -> list[JSONObject]:
        """The verified roster; ``as_recorded``: also where the log tells of other enrolments, to end whose they are."""
        verified = await (self._as_recorded() if as_recorded else self._authority.judge.roster())
        return [
            {
                "person": person.id,
                "name": person.name,
                "accounts": sorted(person.accounts),
                "roles": sorted(person.roles),
                "channels": list(person.channels),
                "passkeys": len(verified.credentials_of(person.id)),
                "disabled": person.ended,
            }
            for person in verified.people.values()
        ]

    async def delegates_list(self) -> list[JSONObject]:
        """The delegates of the verified roster."""
        verified = await self._as_recorded()
        return [
            {"key": each.id, "name": each.name, "roles": sorted(each.roles), "until": each.until, "ended": each.ended}
            for each in verified.delegates.values()
        ]

    async def roster_head(self) -> JSONObject:
        """What the next record must carry: its version and the digest of the record before it."""
        verified = await self._as_recorded()
        return {"version": verified.version + 1, "previous": verified.head, "now": self._authority.store.now()}

    async def _as_recorded(self) -> roster.Roster:
        """Verified, whatever the log tells of its enrolments: where that is another one, a record that ends somebody is
        how it is mended, so that has to be signed and appended all the same."""
        return verify_roster(*await self._authority.store.roster(), self._authority.judge.trust)

    async def roster_append(self, *, record: str) -> JSONObject:
        """Append a record that the roster key signed; raises :class:`RosterRefused` unless the whole still verifies."""
        store, judge = self._authority.store, self._authority.judge
        records, enrolments = await store.roster()
        verified = verify_roster([*records, record], enrolments, judge.trust)
        if verified.head != record_digest(record):
            raise RosterRefused()
        values = roster.read_record(record)
        about = str(values.get("person") or values.get("id") or values.get("name"))
        leaf = leaves.administered(
            leaves.ROSTER, record=record_digest(record), person=about, type=str(values.get("type"))
        )
        await store.add_roster_record(record, version=verified.version, leaf=leaf)
        return {"version": verified.version}

    async def principals_add(self, *, name: str, owner: str | None = None) -> JSONObject:
        """Add an agent's credential; its token is in the answer and nowhere else."""
        if owner is not None and owner not in (await self._authority.judge.roster()).people:
            raise UnknownName(f"There is no person {owner}.", "List them with 'counterfoil people list'.")
        if not name or len(name) > 100 or not name.isprintable() or any(mark in name for mark in '|:" \\'):
            raise BadArguments(
                "A principal's name has 1 to 100 printable characters without spaces, quotes, : or |.",
                "Choose a name such as ada-laptop.",
            )
        token = new_token()
        principal = Principal(name, owner, self._authority.store.now(), None)
        leaf = leaves.administered("principal_added", principal=name, owner=owner)
        await self._authority.store.add_principal(principal, token_digest(token), leaf)
        return {"principal": name, "owner": owner, "token": token}

    async def principals_list(self) -> list[JSONObject]:
        """All, with when they were added and disabled."""
        return [
            {
                "principal": found.id,
                "owner": found.owner,
                "created_at": found.created_at,
                "disabled_at": found.disabled_at,
            }
            for found in await self._authority.store.principals()
        ]

    async def principals_disable(self, *, name: str) -> JSONObject:
        """It can call no longer, from the next call on."""
        leaf = leaves.administered("principal_disabled", principal=name)
        await self._authority.store.disable_principal(name, leaf)
        self._forget_principals()
        return {"principal": name, "disabled": True}
