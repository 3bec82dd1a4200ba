"""What an administrator can see of the log: verbs with JSON in and out, which :mod:`administration` answers with.

Every leaf comes with its checks by name, each with its state (``holds``, ``broken``, ``gone``) and words; its values
only where they are proved. Whatever needs more than the leaf itself (the ticket's record, the executor's memory) is
checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from counterfoil.canonical import b64, digest
from counterfoil.checkpoints import check_proof
from counterfoil.errors import (
    BadArguments,
    CounterfoilError,
    ProofRefused,
    StoreFailed,
    TamperDetected,
    UnknownName,
    WrongState,
)
from counterfoil.judgement import Judge
from counterfoil.leaf_checks import LeafCheck, broken, check_leaf, content, held, proved_values
from counterfoil.leaves import STATEMENT
from counterfoil.log import Leaf
from counterfoil.settlement_verbs import settlement_digest
from counterfoil.tickets import Event, Ticket, state_told
from counterfoil_server.log_turns import among, record_check, shown_turn, turn_leaves
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.chain import REMEDY
from counterfoil_server.store.log_reader import FiledLeaf
from counterfoil_server.store.sealer import Sealer
from counterfoil_server.verb_calls import run

JSONObject = dict[str, Any]

VERBS = frozenset({"log_show", "log_tail", "log_search", "log_export", "log_conversation"})
"""The verbs that may be called by name."""

MOST = 1000
"""Leaves in one answer."""

MOST_WITH_TURNS = 20
"""The same where their words are answered as well, of which one leaf may have as much as a body holds."""

LOOKS = 3
"""How often a ticket is read again because it took a step meanwhile."""

REQUEST = "request"
EFFECT = "effect"
"""Stands among a ticket's leaves for what the executor noted in its own memory."""

CLAIMED = frozenset({REQUEST, Event.REDEEM.value})
"""Leaves that name the digest of the envelope."""
SETTLED = frozenset({Event.FIND_EXECUTED.value, Event.FIND_NOT_EXECUTED.value})


class LogAudit:
    """The verbs. ``key``: of the chain; ``sealer``: of the tree, or what was wrong with it when the log was opened;
    ``effect_started``: when the executor started a ticket's effect, by its own memory (Unix seconds), or None."""

    def __init__(
        self,
        store: SQLiteStore,
        judge: Judge,
        *,
        key: bytes,
        sealer: Sealer | TamperDetected,
        effect_started: Callable[[str], int | None],
    ) -> None:
        self._store = store
        self._judge = judge
        self._log = store.log_reader()
        self._key = key
        self._sealer = sealer
        self._unsealed = sealer.happened if isinstance(sealer, TamperDetected) else None
        self._effect_started = effect_started

    async def call(self, verb: str, arguments: JSONObject) -> Any:
        """Run the verb of that name; raises :class:`BadArguments` for an unknown one or wrong arguments."""
        if verb not in VERBS:
            raise BadArguments(f"There is no verb {verb[:40]!r}.")
        return await run(verb, getattr(self, verb), arguments)

    async def log_show(self, *, ticket: str, turns: bool = True) -> JSONObject:
        """The life of one ticket: its leaves in order, each with its checks, and checks of the whole; among them what
        was said in its conversation, unless ``turns`` are not wanted."""
        found, leaves = await self._at_rest(ticket)
        if not leaves and found is None:
            raise UnknownName(f"There is no ticket {ticket}.", "List them with 'counterfoil tickets list'.")
        recorded = await self._recorded(ticket, found)
        steps = [await self._shown_whole(filed, recorded) for filed in leaves]
        said = await self._said(found.conversation) if turns and found and found.conversation else []
        return {
            "ticket": ticket,
            "organisation": self._judge.desk.name,
            "at": self._store.now(),
            "state": found.state.value if found else None,
            **_asked_for(found, untouched=not _is_broken("record", steps[:1])),
            "people": await self._names(),
            "steps": among(said, self._with_effect(ticket, steps)),
            "checks": [check.to_dict() for check in await self._of_the_whole(found, leaves)],
        }

    async def log_conversation(self, *, conversation: str) -> JSONObject:
        """What was said in one conversation: the leaves of its turns in order, each with its turns and checks."""
        steps = await self._said(conversation)
        if not steps:
            raise UnknownName(
                f"No turns are kept of a conversation {conversation}.",
                "Find some with 'counterfoil log search --event turns'.",
            )
        return {"conversation": conversation, "at": self._store.now(), "steps": steps}

    async def _said(self, conversation: str) -> list[JSONObject]:
        """What hosts told of the conversation, a step for each call."""
        steps: list[JSONObject] = []
        for number, turns in turn_leaves(await self._store.turns(conversation)):
            found = await self._log.after(number - 1, 1)
            if not found or found[0].leaf.index != number:
                raise TamperDetected(f"Leaf {number} of the log is missing.", REMEDY)
            step = await self._shown_whole(found[0], {})
            step["checks"].append(record_check(step["values"], turns).to_dict())
            steps.append(step | {"turns": [shown_turn(turn) for turn in turns]})
        return steps

    async def log_tail(self, *, after: int | None = None, limit: int = 20) -> JSONObject:
        """The newest leaves in order, or those that follow the leaf ``after``; and what is ``broken`` of the log."""
        limit = _bounded(limit)
        found = await (self._log.newest(limit) if after is None else self._log.after(after, limit))
        return {"leaves": [self._shown(filed) for filed in found], "broken": self._unsealed}

    async def log_search(
        self,
        *,
        event: str | None = None,
        account: str | None = None,
        operation: str | None = None,
        principal: str | None = None,
        person: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int = -1,
        limit: int = 50,
    ) -> JSONObject:
        """The leaves that fit, the leaf after which there may be more (None at the end), and what is ``broken`` of the
        stretch that was looked through."""
        words = {"event": event, "account": account, "operation": operation, "principal": principal, "person": person}
        wanted = {name: word for name, word in words.items() if word is not None}
        stretch = await self._log.search(wanted, after=after, since=since, until=until, limit=_bounded(limit))
        return {
            "leaves": [self._shown(filed) for filed in stretch.found],
            "more_after": None if stretch.following is None else stretch.following - 1,
            "broken": stretch.broken or (self._unsealed if stretch.following is None else None),
        }

    async def log_export(
        self, *, after: int = -1, until: int | None = None, limit: int = 200, turns: bool = False
    ) -> JSONObject:
        """The same, of leaves as they are stored: bytes in base64url. With ``turns``, what was kept under each."""
        limit = min(_bounded(limit), MOST_WITH_TURNS) if turns else _bounded(limit)
        stretch = await self._log.search({}, after=after, until=until, limit=limit, openings=True)
        leaves = [_stored(filed) for filed in stretch.found]
        if turns:
            by_number = {leaf["index"]: leaf for leaf in leaves}
            for number, said in turn_leaves(await self._store.turns_of_leaves(list(by_number))):
                by_number[number]["turns"] = [shown_turn(turn) for turn in said]
        return {
            "leaves": leaves,
            "more_after": None if stretch.following is None else stretch.following - 1,
            "broken": stretch.broken or (self._unsealed if stretch.following is None else None),
        }

    async def _at_rest(self, ticket: str) -> tuple[Ticket | None, list[FiledLeaf]]:
        """The ticket and its leaves as of one moment."""
        for _ in range(LOOKS):
            before = await self._store.ticket(ticket)
            leaves = await self._log.of_ticket(ticket)
            after = await self._store.ticket(ticket)
            if (before and before.state) == (after and after.state):
                break
        return after, leaves

    async def _recorded(self, ticket: str, found: Ticket | None) -> dict[str, set[str]]:
        """The digests of the stored records, by the group in which a leaf names them."""
        store = self._store
        statements = {digest("counterfoil-statement", each.statement) for each in await store.statements(ticket)}
        settlement = await store.settlement(ticket)
        if settlement is not None:
            statements.add(settlement_digest(settlement.statement))
        return {"envelope": {found.digest} if found else set(), "statement": statements}

    async def _shown_whole(self, filed: FiledLeaf, recorded: dict[str, set[str]]) -> JSONObject:
        """One leaf with everything that can be checked of it."""
        step = self._shown(filed)
        tree = await self._tree_check(filed.leaf)
        if tree.state == "broken":
            step["values"] = None
        more = (*_record_check(filed.leaf.event, step["values"], recorded), tree)
        step["checks"] += [check.to_dict() for check in more]
        return step

    def _shown(self, filed: FiledLeaf) -> JSONObject:
        leaf = filed.leaf
        checks = check_leaf(leaf, filed.previous, self._key)
        values = proved_values(leaf, checks)
        at = content(leaf).get("at")
        return {
            "index": leaf.index,
            "at": at if isinstance(at, int) else None,
            "event": leaf.event,
            "ticket": leaf.ticket,
            "operation": filed.operation,
            "account": filed.account,
            "principal": filed.principal,
            "values": values,
            "checks": [check.to_dict() for check in checks],
        }

    async def _tree_check(self, leaf: Leaf) -> LeafCheck:
        """Whether the leaf is under a signed checkpoint; what is not yet is sealed first."""
        if isinstance(self._sealer, TamperDetected):
            return LeafCheck("tree", "gone", "The log does not fit its checkpoint, which proves no leaf of it then.")
        try:
            proof = await self._sealer.proof(leaf.index)
            _, checkpoint = check_proof(proof, leaf.body, self._sealer.key)
        except StoreFailed as error:
            return LeafCheck("tree", "gone", f"It is not under a signed checkpoint yet. {error.happened}")
        except (ProofRefused, ValueError):
            return broken("tree", "It is not the leaf that is under the signed checkpoint.")
        return held("tree", f"It is included under the signed checkpoint of size {checkpoint.size}.")

    def _with_effect(self, ticket: str, steps: list[JSONObject]) -> list[JSONObject]:
        """The steps, and among them when the effect began: after the redemption that allowed it."""
        at = self._effect_started(ticket)
        if at is None:
            return steps
        redeemed = any(step["event"] == Event.REDEEM for step in steps)
        noted = (
            held("ledger", "Noted in the executor's own memory before it began.")
            if redeemed
            else broken("ledger", "The executor began it, but the log knows of no redemption.")
        )
        began: JSONObject = {
            "index": None,
            "at": at,
            "event": EFFECT,
            "ticket": ticket,
            "values": {},
            "checks": [noted.to_dict()],
        }
        place = next((n for n, step in enumerate(steps, 1) if step["event"] == Event.REDEEM), len(steps))
        return [*steps[:place], began, *steps[place:]]

    async def _of_the_whole(self, found: Ticket | None, leaves: list[FiledLeaf]) -> list[LeafCheck]:
        first = leaves[0].leaf.index if leaves else 0
        wrong = await self._log.verified_from(first)
        log = (
            held("log", f"From leaf {first} to the end of the log, every leaf follows from the one before it.")
            if wrong is None
            else broken("log", wrong)
        )
        sealed = [broken("sealed", self._unsealed)] if self._unsealed else []
        return [log, *sealed, _state_check(found, [filed.leaf.event for filed in leaves])]

    async def _names(self) -> dict[str, str]:
        """Who is who, as far as the roster verifies."""
        try:
            people = (await self._judge.roster()).people
        except CounterfoilError:
            return {}
        return {person.id: person.name for person in people.values()}


def _is_broken(name: str, steps: list[JSONObject]) -> bool:
    return any(check["check"] == name and check["state"] == "broken" for step in steps for check in step["checks"])


def _asked_for(found: Ticket | None, *, untouched: bool) -> JSONObject:
    """What was requested; of what the envelope holds nothing where that is gone or was edited."""
    try:
        envelope = found.envelope if found and untouched else None
    except TamperDetected:
        envelope = None
    return {
        "operation": found.operation if found else None,
        "account": found.account if found else None,
        "principal": found.principal if found else None,
        "requested_at": found.requested_at if found else None,
        "arguments": envelope.argument_values if envelope else None,
        "note": envelope.note if envelope else None,
        "refusal": found.refusal if found else None,
    }


def _record_check(event: str, values: JSONObject | None, recorded: dict[str, set[str]]) -> tuple[LeafCheck, ...]:
    """Whether what the leaf is about is stored as it was then."""
    if event in CLAIMED:
        group, what = "envelope", "request"
    elif event == STATEMENT or (event in SETTLED and (values is None or "statement" in values)):
        group, what = "statement", "signed statement"
    else:
        return ()
    if values is None:
        return (LeafCheck("record", "gone", f"Without its opening the stored {what} cannot be compared."),)
    if values.get(group) not in recorded[group]:
        return (broken("record", f"The stored {what} is not the one that was recorded."),)
    return (held("record", f"The stored {what} is the one that was recorded."),)


def _state_check(found: Ticket | None, events: list[str]) -> LeafCheck:
    """Whether the ticket stands where its leaves lead."""
    if found is None:
        return broken("state", "The log tells of this ticket, but its record is gone.")
    if events[:1] != [REQUEST]:
        return broken("state", "The request of this ticket is not on the log.")
    try:
        told = state_told(events)
    except WrongState:
        return broken("state", "Its leaves tell of steps that cannot follow each other.")
    if told is not found.state:
        return broken(
            "state", f"By its leaves the ticket is {_words(told)}, but its record says {_words(found.state)}."
        )
    return held("state", f"The ticket stands where its leaves lead: {_words(told)}.")


def _words(state: str) -> str:
    return state.replace("_", " ")


def _stored(filed: FiledLeaf) -> JSONObject:
    leaf = filed.leaf
    return {
        "index": leaf.index,
        "body": b64(leaf.body),
        "mac": b64(leaf.mac),
        "opening": None if leaf.opening is None else b64(leaf.opening),
    }


def _bounded(limit: int) -> int:
    return max(1, min(int(limit), MOST))
