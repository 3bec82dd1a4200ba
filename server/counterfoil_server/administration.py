"""What administrators do, as verbs with JSON in and out.

The command line calls these verbs in its own process when it owns the state folder, and through the serving process's
private socket when that one does (``admin_socket.py``): the same code either way. Whoever may open the state folder may
use them; the socket has the folder's rights.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from counterfoil import leaves, roster, tokens
from counterfoil.authority import Authority
from counterfoil.checkpoints import FormerKey, NoteKey
from counterfoil.errors import BadArguments, CounterfoilError, KeysElsewhere, RosterRefused, TamperDetected, UnknownName
from counterfoil.evidence import met_but_for_time
from counterfoil.key_verbs import Keep, RevokedKey
from counterfoil.keys import SigningKey
from counterfoil.recipients import SETTLE
from counterfoil.roster import record_digest, verify_roster
from counterfoil.scopes import check_scope
from counterfoil.store import NO_LONGER_NEEDED, Notice, Principal, Revoked, StoredSettlement, StoredStatement
from counterfoil.tickets import State, Ticket
from counterfoil_server.bearer import new_token, token_digest

if TYPE_CHECKING:
    from counterfoil_server.log_audit import LogAudit
    from counterfoil_server.publishing.publisher import Publisher
    from counterfoil_server.retention import Retention

JSONObject = dict[str, Any]

VERBS = frozenset(
    {
        "tickets_list", "tickets_show", "tickets_ask", "revoke", "suspend", "resume", "suspensions", "people_list",
        "roster_head", "roster_append", "delegates_list", "principals_add", "principals_list", "principals_disable",
        "notices_list", "calls_list", "doctor", "keys_list", "keys_log", "keys_rotate", "keys_revoke",
        "openssh_files",
        "evidence_bundle", "evidence_trust",
    }
)  # fmt: skip
"""The verbs that may be called by name."""
FORGET = "forget"
"""The verb that ``retention.py`` answers."""
LOG = "log_"
"""How the names of those begin that ``log_audit.py`` answers."""

MANY = 1000
"""So many of something are counted, and no more."""

PROBE = "cf-probe+jwt"
"""The type of what a signer elsewhere is asked to sign, to see whether it does. Nobody takes it for anything."""

ROTATE = "Run 'counterfoil keys rotate'."

RESTORED = (
    "If you restored the database from a backup, run 'counterfoil doctor --accept-log'; what ran will not run again."
)


class Administration:
    """Verbs over one authority. ``forget_principals`` drops what the conversation layer remembers of tokens;
    ``keep_ring`` makes a changed ring of the authority's keys durable, and ``change_keys`` says what to do where only
    others can; ``audit`` is who looks through the log, made
    when somebody asks; ``read_policy`` reads the policy's file; ``prove_leaf`` proves that a leaf is on the log, whose
    key is ``log_key``, after ``former_log_keys``; ``retention`` is who deletes, made likewise;
    ``publisher`` is who brings checkpoints to others, if anybody."""

    def __init__(
        self,
        authority: Authority,
        *,
        verify_log: Callable[[], Awaitable[object]],
        follow_log: Callable[[], Awaitable[object]],
        forget_principals: Callable[[], None],
        flush_calls: Callable[[], Awaitable[object]],
        keep_ring: Keep,
        change_keys: str | None = None,
        audit: Callable[[], LogAudit],
        read_policy: Callable[[], str],
        prove_leaf: Callable[[int], Awaitable[str]],
        log_key: NoteKey,
        retention: Callable[[], Retention],
        publisher: Publisher | None = None,
        former_log_keys: Sequence[FormerKey] = (),
    ) -> None:
        self._authority = authority
        self._verify_log = verify_log
        self._follow_log = follow_log
        self._forget_principals = forget_principals
        self._flush_calls = flush_calls
        self._keep_ring = keep_ring
        self._change_keys = change_keys
        self._audit = audit
        self._read_policy = read_policy
        self._prove_leaf = prove_leaf
        self._log_key = log_key
        self._retention = retention
        self._publisher = publisher
        self._former_log_keys = former_log_keys

    async def call(self, verb: str, arguments: JSONObject) -> Any:
        """Run the verb of that name; raises :class:`BadArguments` for an unknown one or wrong arguments."""
        try:
            if verb.startswith(LOG):
                return await self._audit().call(verb, arguments)
            if verb == FORGET:
                return await self._retention().forget(**arguments)
            if verb not in VERBS:
                raise BadArguments(f"There is no verb {verb[:40]!r}.")
            return await getattr(self, verb)(**arguments)
        except TypeError as error:
            raise BadArguments(f"The verb {verb} does not take these arguments: {error}.") from None

    # Tickets

    async def tickets_list(
        self, *, state: str | None = None, account: str | None = None, principal: str | None = None, limit: int = 50
    ) -> list[JSONObject]:
        """The newest tickets, one line each."""
        try:
            states = (State(state),) if state else ()
        except ValueError:
            raise UnknownName(f"There is no state {state!r}.", f"Use one of {', '.join(State)}.") from None
        found = await self._authority.store.tickets(states=states, account=account, principal=principal, limit=limit)
        return [line(ticket) for ticket in found]

    async def tickets_show(self, *, ticket: str) -> JSONObject:
        """Everything that is stored of one ticket, with what it still waits for."""
        store = self._authority.store
        found = await self._known_ticket(ticket)
        envelope = found.envelope
        statements = await store.statements(ticket)
        notices = await store.notices(ticket)
        return line(found) | {
            "arguments": envelope.argument_values,
            "facts": envelope.fact_values,
            "note": envelope.note,
            "requirements": [rung.in_words() for rung in envelope.requirements],
            "waiting_for": await self._waiting_for(found, statements),
            "refusal": found.refusal,
            "statements": [signed(stored) for stored in statements],
            "settlers": await self._settlers(found, notices),
            "settlement": settled(await store.settlement(ticket)),
            "notices": [notice(sent) for sent in notices],
            "log": [
                {"index": leaf.index, "event": leaf.values["event"], "at": leaf.values["at"]}
                for leaf in await store.leaves(ticket=ticket)
            ],
            "hold_until": found.hold_until,
            "redeemed_at": found.redeemed_at,
            "digest": found.digest,
        }

    async def tickets_ask(self, *, ticket: str) -> JSONObject:
        """Tell everybody who still has to decide, or who may settle an unknown outcome, once more; answers whom."""
        found = await self._known_ticket(ticket)
        if found.state is State.PENDING:
            return {"ticket": ticket, "role": None, "asked": list(await self._authority.ask_deciders(ticket))}
        role, _ = await self._authority.settlers(found)
        if role is None:
            raise UnknownName(
                "The desk names nobody who may settle this operation by hand.",
                "Name a role in settled_by, of the desk or the operation, and start Counterfoil again.",
            )
        asked = await self._authority.ask_settlers(ticket)
        return {"ticket": ticket, "role": role, "asked": list(asked)}

    async def openssh_files(self, *, ticket: str) -> JSONObject:
        """What was signed about a ticket, as files that ssh-keygen verifies."""
        from counterfoil_server import proving  # a server that serves has no use for it

        return await proving.openssh_files(self._authority, ticket)

    async def evidence_bundle(self, *, ticket: str) -> str:
        """The evidence bundle of a ticket, as the text of its file."""
        from counterfoil_server import proving

        try:
            rules: str | None = self._read_policy()
        except CounterfoilError:  # evidence of what was decided by earlier rules is evidence as well
            rules = None
        return await proving.bundle(self._authority, ticket, rules, self._prove_leaf)

    async def evidence_trust(self) -> JSONObject:
        """What an auditor of this desk has to bring."""
        from counterfoil_server import proving

        publisher, former = self._publisher, self._former_log_keys
        if publisher is None:
            return await proving.trust(self._authority, self._log_key, former=former)
        return await proving.trust(self._authority, self._log_key, publisher.witnesses, publisher.quorum, former=former)

    async def _known_ticket(self, ticket: str) -> Ticket:
        found = await self._authority.store.ticket(ticket)
        if found is None:
            raise UnknownName(f"There is no ticket {ticket}.", "List them with 'counterfoil tickets list'.")
        return found

    async def _settlers(self, ticket: Ticket, notices: list[Notice]) -> JSONObject | None:
        """Who may settle a ticket of unknown outcome, and which of them a message has reached."""
        if ticket.state is not State.UNKNOWN:
            return None
        try:
            role, people = await self._authority.settlers(ticket)
        except CounterfoilError:  # of the roster: nobody can sign anything then, which doctor says
            role, people = self._authority.judge.desk.settler_of(ticket.operation), ()
        told = {sent.recipient for sent in notices if sent.kind == SETTLE and sent.state == "sent"}
        return {"role": role, "people": list(people), "told": [person for person in people if person in told]}

    async def _waiting_for(self, ticket: Ticket, statements: list[StoredStatement]) -> list[str]:
        if ticket.state is not State.PENDING:
            return []
        try:
            evidence = await self._authority.judge.evidence(ticket, statements)
        except CounterfoilError as error:
            return [error.happened]
        if met_but_for_time(ticket.envelope.requirements, evidence.reached):
            return []
        return [rung.in_words() for rung in ticket.envelope.requirements]

    # Stopping

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

    # The authority's keys

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

    # People and principals

    async def people_list(self) -> list[JSONObject]:
        """The verified roster."""
        verified = await self._authority.judge.roster()
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
        verified = await self._authority.judge.roster()
        return [
            {"key": each.id, "name": each.name, "roles": sorted(each.roles), "until": each.until, "ended": each.ended}
            for each in verified.delegates.values()
        ]

    async def roster_head(self) -> JSONObject:
        """What the next record must carry: its version and the digest of the record before it."""
        verified = await self._authority.judge.roster()
        return {"version": verified.version + 1, "previous": verified.head, "now": self._authority.store.now()}

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

    # Looking

    async def notices_list(self, *, ticket: str | None = None, limit: int = 50) -> list[JSONObject]:
        """The outbox."""
        return [notice(found) for found in await self._authority.store.notices(ticket, limit)]

    async def calls_list(self, *, limit: int = 50) -> list[JSONObject]:
        """Recorded tool calls, those that wait to be written included."""
        await self._flush_calls()
        return [
            {
                "at": call.at,
                "principal": call.principal,
                "tool": call.tool,
                "ticket": call.ticket,
                "status": call.status,
            }
            for call in await self._authority.store.calls(limit)
        ]

    async def doctor(self) -> list[JSONObject]:
        """Checks of what is stored: each with a name, whether it holds, and what to do if not."""
        store = self._authority.store
        checks: list[JSONObject] = []

        async def check(name: str, run: Callable[[], Any], remedy: str) -> None:
            try:
                said = await run()
                checks.append({"check": name, "ok": True, "says": said or "fine"})
            except TamperDetected as error:
                checks.append({"check": name, "ok": False, "says": error.happened, "remedy": remedy})
            except CounterfoilError as error:
                checks.append({"check": name, "ok": False, "says": error.happened, "remedy": error.remedy})

        async def roster_check() -> str:
            verified = await self._authority.judge.roster()
            return f"people: {len(verified.people)}, passkeys: {len(verified.credentials)}, version: {verified.version}"

        async def unknown_check() -> str:
            unknown = await store.tickets(states=(State.UNKNOWN,), limit=1000)
            if unknown:
                raise UnknownName(
                    f"Tickets with an unknown outcome: {len(unknown)}.",
                    "Look at each with 'counterfoil tickets show': it says who can settle it.",
                )
            return "every outcome is known"

        async def notices_check() -> str:
            failed = [
                found
                for found in await store.notices(limit=1000)
                if found.state == "failed" and not (found.error or "").startswith(NO_LONGER_NEEDED)
            ]
            if failed:
                raise UnknownName(
                    f"Messages that could not be delivered: {len(failed)}.", "Check [smtp] and the addresses."
                )
            return "no failed notices"

        async def key_check() -> str:
            ring = self._authority.keys
            if ring.current.id not in await self._authority.good_keys():
                raise UnknownName(
                    "The key that the authority signs with is stopped, so that nothing is carried out.", ROTATE
                )
            if ring.cut_short:
                raise UnknownName("A rotation of the authority's keys was interrupted.", ROTATE)
            if not isinstance(ring.current, SigningKey):
                await tokens.issue(ring.current, PROBE, {"iat": store.now()}, within=self._authority.times.signature)
            return f"signing with {ring.current.id}"

        async def log_check() -> str:
            await self._verify_log()
            return "every leaf follows from the one before it"

        async def executor_check() -> str:
            await self._follow_log()
            return "the log goes on from where the executor has read it"

        await check("log", log_check, "Compare with a backup; somebody changed the database outside Counterfoil.")
        await check("executor", executor_check, RESTORED)
        await check("signing", key_check, "")
        await check("roster", roster_check, "Restore the roster from a backup.")
        await check("outcomes", unknown_check, "")
        await check("notices", notices_check, "")
        if self._publisher is not None:
            checks += await self._publisher.checks()
        return checks


def revocation(scope: str, found: Revoked) -> JSONObject:
    """What a revocation met."""
    return {
        "scope": scope, "revoked": found.revoked, "executing": found.executing, "done": found.done,
        "grants": found.grants,
    }  # fmt: skip


def line(ticket: Ticket) -> JSONObject:
    """One ticket in a listing."""
    return {
        "ticket": ticket.id,
        "state": ticket.state.value,
        "operation": ticket.operation,
        "account": ticket.account,
        "principal": ticket.principal,
        "delivery": ticket.delivery,
        "requested_at": ticket.requested_at,
        "expires_at": ticket.expires_at,
        "outcome": ticket.outcome,
    }


def signed(stored: StoredStatement) -> JSONObject:
    """One statement in a listing."""
    return {
        "seat": stored.seat,
        "person": stored.person,
        "decision": stored.decision,
        "recorded_at": stored.recorded_at,
    }


def settled(stored: StoredSettlement | None) -> JSONObject | None:
    """What a person established of an unknown outcome."""
    if stored is None:
        return None
    return {
        "seat": stored.seat,
        "person": stored.person,
        "found": stored.found,
        "reference": stored.reference,
        "recorded_at": stored.recorded_at,
    }


def notice(found: Notice) -> JSONObject:
    """One outbox row in a listing."""
    return {
        "id": found.id,
        "ticket": found.ticket,
        "kind": found.kind,
        "recipient": found.recipient,
        "state": found.state,
        "tries": found.tries,
        "error": found.error,
        "created_at": found.created_at,
        "sent_at": found.sent_at,
    }
