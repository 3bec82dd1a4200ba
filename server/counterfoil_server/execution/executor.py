"""The executor: the only thing that calls a connector, and only for an order that it verified itself.

It shares a database with the rest in the embedded deployment, and treats every row of it as hearsay. Its own are: the
authority's public keys, the roster's public key, the desk and policy it loaded from files, and its ledger. The
sequence for one order is in :meth:`Executor.run`; whatever fails before ``start`` is ``not_executed``, whatever fails
after it is ``unknown`` unless the connector promised that nothing happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from counterfoil.canonical import canonical, parse_strict
from counterfoil.checkpoints import NoteKey, check_proof
from counterfoil.errors import (
    ASK_AGAIN,
    CounterfoilError,
    OrderRefused,
    ProofRefused,
    RosterRefused,
    StoreFailed,
    TamperDetected,
)
from counterfoil.grants import Grant
from counterfoil.judgement import COUNTER_WINDOW, Judge, account_of, comparable_of, signed_statement
from counterfoil.key_verbs import good_keys
from counterfoil.keys import VerificationKey
from counterfoil.log import Leaf, check_link
from counterfoil.operations import Operation
from counterfoil.proof import Proven, verify_envelope, verify_evidence
from counterfoil.roster import Roster
from counterfoil.scopes import scopes_of
from counterfoil.store import Store
from counterfoil.tickets import Envelope, Event, State, Ticket
from counterfoil.values import Account, Execution, Facts, NotExecuted, Receipt
from counterfoil_server.execution.ledger import OTHER_LOG, Effect, Ledger

logger = logging.getLogger(__name__)

Report = Callable[[str, Event, dict[str, object]], Awaitable[object]]
"""Takes ticket id, event and outcome: how the executor tells the authority."""

MAX_OUTCOME = 16_384
"""Bytes of a receipt as JSON; a connector that returns more did something, but what it says is cut down to that."""

LEAVES_AT_ONCE = 1000

HAPPENED = frozenset({Event.REPORT_EXECUTED, Event.REPORT_UNKNOWN, Event.FIND_EXECUTED})
"""After one of these the ticket's effect has started: it starts no second time, whatever the ledger has lost."""

FOUND = {Event.REPORT_EXECUTED: Event.FIND_EXECUTED, Event.REPORT_NOT_EXECUTED: Event.FIND_NOT_EXECUTED}
"""How an outcome is told of a ticket that was ``unknown`` until then."""


class Executor:
    """Runs orders addressed to ``name``."""

    def __init__(
        self,
        *,
        name: str,
        issuer: str,
        judge: Judge,
        authority_keys: Callable[[], Mapping[str, VerificationKey]],
        ledger: Ledger,
        log_key: bytes,
        report: Report,
        proof: Callable[[int], Awaitable[str]],
        sealed_by: NoteKey,
    ) -> None:
        """``proof`` gives the proof that a leaf is on the log, once there is one; ``sealed_by`` is the log's key."""
        self.name = name
        self.issuer = issuer
        self.judge = judge.believing(self._carried_out)
        self.ledger = ledger
        self._authority_keys = authority_keys
        self._log_key = log_key
        self._report = report
        self._proof = proof
        self._sealed_by = sealed_by
        self._examined: Roster | None = None
        self._running: set[str] = set()
        self._starting = asyncio.Lock()
        """Held from counting until the start is counted: two orders must not pass one limit together (T45)."""
        self._unwritten: dict[str, tuple[Event, dict[str, object]]] = {}
        """What came of effects while the ledger could not be written; :meth:`recover` writes it."""

    @property
    def store(self) -> Store:
        """Where the envelope, statements and roster records are read, all unbelieved."""
        return self.judge.store

    async def run(self, ticket_id: str, order: str) -> None:
        """Verify the order, start its effect at most once, and report what came of it. Raises only StoreFailed."""
        with self._alone(ticket_id) as alone:
            if alone:
                await self._run(ticket_id, order)

    @contextmanager
    def _alone(self, ticket_id: str) -> Iterator[bool]:
        """Whether nobody else in this process works on the ticket; while entered, nobody else begins to."""
        if ticket_id in self._running:
            yield False
            return
        self._running.add(ticket_id)
        try:
            yield True
        finally:
            self._running.discard(ticket_id)

    async def _run(self, ticket_id: str, order: str) -> None:
        before = await asyncio.to_thread(self.ledger.effect, self.issuer, ticket_id)
        if before is not None:
            await self._report_known(ticket_id, before)
            return
        ticket = await self.store.ticket(ticket_id)
        if ticket is None:
            logger.error("An order names a ticket that is not stored: %s", ticket_id)
            return
        try:
            proven = await self.prove(ticket, order)
            facts = await self._fresh_facts(proven)
            presented = await self._presented(proven, ticket, order)
            async with self._starting:
                await self._ask_policy(proven, facts)
                if await self._undone(proven.envelope):
                    raise OrderRefused("What it would undo was undone already, or is being undone.")
                started = await self._start(proven)
        except StoreFailed:
            raise
        except CounterfoilError as error:
            logger.warning("Order for %s refused: %s", ticket_id, error)
            await self._report(ticket_id, Event.REPORT_NOT_EXECUTED, {"reason": error.happened, "code": error.code})
            return
        if started:
            event, outcome = await self._call(proven.envelope, facts, presented)
            await self._record(ticket_id, event, outcome)

    async def prove(self, ticket: Ticket, order: str) -> Proven:
        """Everything that must hold of order, envelope, feed, roster and signatures; raises a refusal."""
        claims, envelope = verify_envelope(
            order,
            ticket.envelope_bytes,
            issuer=self.issuer,
            executor=self._addressed(ticket.operation),
            keys=await good_keys(self.store, self._authority_keys()),
            now=self.store.now(),
        )
        if envelope.ticket != ticket.id or envelope.operation != ticket.operation:
            raise OrderRefused("The order and the stored request name different tickets.")
        roster = await self.examine()
        if await asyncio.to_thread(self.ledger.stopped, envelope.ticket):
            raise OrderRefused("The ticket was stopped, or it was told that it was not executed.")
        statements = [signed_statement(stored) for stored in await self.store.statements(envelope.ticket)]
        proven = verify_evidence(
            claims,
            envelope,
            statements,
            roster=roster,
            party=self.judge.trust.party,
            display_of=self.judge.display_digests(envelope),
            grant=await self._grant(envelope, claims.redeemed_at),
        )
        # Hearsay, but it can only refuse: whoever signs orders with a stolen key cannot go past an administrator's bar.
        if await self.store.suspensions(scopes_of(envelope, people=proven.evidence.people)):
            raise OrderRefused("Something that the request depends on is suspended.")
        history = [
            leaf for leaf in await self.store.leaves(ticket=envelope.ticket) if leaf.values["ticket"] == envelope.ticket
        ]
        if any(leaf.values["event"] in HAPPENED for leaf in history):
            raise OrderRefused("The log tells what came of it already: the ledger has lost that it ran.")
        if proven.envelope.grant is None:
            await self._see_sealed(history)
        return proven

    def _addressed(self, operation: str) -> str:
        """To whom orders of the operation have to be addressed: to this executor, or to the one outside to which the
        connector hands them on."""
        declared = self.judge.desk.operations.get(operation)
        return (declared.executor if declared is not None else None) or self.name

    async def _see_sealed(self, history: Sequence[Leaf]) -> None:
        """Wait until the redemption is on the log under a signed checkpoint: what people signed for never happens
        without a trace that others can check."""
        for leaf in history:
            if leaf.values["event"] == Event.REDEEM.value:
                break
        else:
            raise OrderRefused("The ticket's redemption is not on the log.")
        try:
            check_proof(await self._proof(leaf.index), leaf.body, self._sealed_by)
        except ProofRefused as error:
            raise OrderRefused(f"The ticket's redemption is not proven to be on the log. {error.happened}") from None

    async def _grant(self, envelope: Envelope, at: int) -> Grant | None:
        """The grant that the request names, verified from the signatures of those who gave it, as of ``at``; and only
        if it is this executor itself that carried out the access, and nothing has ended it since."""
        if envelope.grant is None:
            return None
        effect = await asyncio.to_thread(self.ledger.effect, self.issuer, envelope.grant)
        if effect is None or effect.event != Event.REPORT_EXECUTED.value:
            raise OrderRefused("The access under which it was asked for was never carried out.")
        try:
            return await self.judge.grants.grant(envelope.grant, at)
        except CounterfoilError as error:
            raise OrderRefused(f"The access under which it was asked for does not hold. {error.happened}") from None

    async def _carried_out(self, operation: Operation[Any, Any], ticket: str, account: Account) -> object:
        """The outcome of what this executor itself carried out; None of anything else."""
        effect = await asyncio.to_thread(self.ledger.effect, self.issuer, ticket)
        if effect is None or (effect.operation, effect.account) != (operation.name, account):
            return None
        return parse_strict((effect.outcome or "{}").encode()) if effect.event == Event.REPORT_EXECUTED.value else None

    async def follow_log(self) -> None:
        """Read what the log says since the last time; raises :class:`TamperDetected` if it does not continue."""
        index, mac = await asyncio.to_thread(self.ledger.head)
        if index >= 0:
            last = await self.store.leaves(after=index - 1, limit=1)
            if not last or last[0].index != index or last[0].mac != mac:
                raise TamperDetected(OTHER_LOG)
        while leaves := await self.store.leaves(after=index, limit=LEAVES_AT_ONCE):
            for leaf in leaves:
                if leaf.index != index + 1 or leaf.values["n"] != leaf.index:
                    raise TamperDetected(f"Leaf {index + 1} of the log is missing.")
                check_link(leaf, mac, self._log_key)
                index, mac = leaf.index, leaf.mac
            await asyncio.to_thread(self.ledger.follow, leaves)
        if self.ledger.reads_again:
            raise TamperDetected(OTHER_LOG)

    async def examine(self) -> Roster:
        """The roster, with every record that the log tells of, and of each invitation the enrolment that it told of
        first; raises :class:`TamperDetected`, RosterRefused."""
        await self.follow_log()
        roster = await self.judge.roster()
        if roster.version < await asyncio.to_thread(self.ledger.roster_version):
            raise RosterRefused("The roster lacks records that the log tells of.")
        roster.check_told(*await asyncio.to_thread(self.ledger.roster_told))
        if roster is not self._examined:
            await self.follow_log()  # the roster was read after the log, and may have an enrolment of in between
            roster.check_enrolled((await asyncio.to_thread(self.ledger.enrolled)).get)
            await asyncio.to_thread(self.ledger.saw_enrolments, roster)
            self._examined = roster  # what was told first stays so
        await asyncio.to_thread(self.ledger.saw_roster, roster.version)
        return roster

    async def _fresh_facts(self, proven: Proven) -> Facts:
        envelope = proven.envelope
        operation = self.judge.operation(envelope)
        previewed = await self.judge.preview(operation, envelope.arguments.encode(), account_of(envelope))
        if previewed.facts is None:
            raise OrderRefused(previewed.refusal)
        if operation.comparable(previewed.facts) != comparable_of(operation, envelope):
            raise OrderRefused("The facts have changed since they were approved.", ASK_AGAIN)
        return previewed.facts

    async def _ask_policy(self, proven: Proven, facts: Facts) -> None:
        envelope = proven.envelope
        operation = self.judge.operation(envelope)
        amount = operation.counted(envelope.arguments.encode())
        counters = await asyncio.to_thread(
            self.ledger.counters,
            account=envelope.account or "",
            operation=envelope.operation,
            currency=amount.currency if amount else None,
            since=self.store.now() - COUNTER_WINDOW,
            nothing_done=Event.REPORT_NOT_EXECUTED.value,
        )
        question = self.judge.question(operation, envelope, facts.model_dump(mode="json"), counters)
        policy = self.judge.policy
        verdict = policy.allows(question, proven.reached) if envelope.grant is None else policy.unattended(question)
        if not verdict.allowed:
            raise OrderRefused(f"The executor's own policy refuses: {'; '.join(verdict.reasons) or 'no permit'}.")

    async def _undone(self, envelope: Envelope) -> bool:
        """Whether another effect undoes the same ticket, or may have (the ledger's own memory)."""
        undoes = envelope.undoes
        return undoes is not None and await asyncio.to_thread(self.ledger.undone, self.issuer, undoes)

    async def _start(self, proven: Proven) -> bool:
        """Record that the effect starts now; False where it was started before."""
        envelope = proven.envelope
        amount = self.judge.operation(envelope).counted(envelope.arguments.encode())
        return await asyncio.to_thread(
            self.ledger.start,
            issuer=self.issuer,
            ticket=envelope.ticket,
            account=envelope.account or "",
            operation=envelope.operation,
            currency=amount.currency if amount else None,
            amount=amount.amount if amount else None,
            at=self.store.now(),
            undoes=envelope.undoes,
        )

    async def _presented(self, proven: Proven, ticket: Ticket, order: str) -> str | None:
        """What an executor outside needs to verify the order by itself; None where the operation names none."""
        if self.judge.operation(proven.envelope).executor is None:
            return None
        from counterfoil_server.execution.presenting import present  # most desks have no executor outside

        return await present(self.judge, ticket, order)

    async def _call(self, envelope: Envelope, facts: Facts, presented: str | None) -> tuple[Event, dict[str, object]]:
        operation = self.judge.operation(envelope)
        execution = execution_of(envelope.ticket, facts.guard, presented)
        account = account_of(envelope)
        assert account is not None  # noqa: S101 - a preview without account was refused above
        try:
            arguments = await self.judge.call_arguments(operation, envelope.arguments.encode(), account)
            async with asyncio.timeout(operation.time_limit) as limit:
                receipt = await operation.run(execution, **arguments)
        except NotExecuted as error:
            return Event.REPORT_NOT_EXECUTED, {"reason": str(error)[:1000]}
        except Exception as error:
            if limit.expired() and isinstance(error, TimeoutError):
                why = f"The connector did not answer within {operation.time_limit:g} seconds."
                logger.error("%s (operation %s, %s)", why, operation.name, envelope.ticket)
                return await self._look_up(operation, envelope.ticket, why)
            logger.exception("The connector of %s failed for %s", operation.name, envelope.ticket)
            return await self._look_up(operation, envelope.ticket, f"The connector failed: {type(error).__name__}.")
        return executed(operation, receipt)

    async def _look_up(self, operation: Operation[Any, Any], ticket: str, why: str) -> tuple[Event, dict[str, object]]:
        """Ask the connector what happened; without a clear answer it stays unknown."""
        if operation.run_lookup is None:
            return Event.REPORT_UNKNOWN, {"reason": why}
        try:
            async with asyncio.timeout(operation.time_limit) as limit:
                receipt = await operation.run_lookup(execution_of(ticket, None))
        except Exception as error:
            if limit.expired() and isinstance(error, TimeoutError):
                said = f"Its lookup did not answer within {operation.time_limit:g} seconds."
                logger.error("%s (operation %s, %s)", said, operation.name, ticket)
                return Event.REPORT_UNKNOWN, {"reason": f"{why} {said}"}
            logger.exception("The lookup of %s failed for %s", operation.name, ticket)
            return Event.REPORT_UNKNOWN, {"reason": f"{why} Its lookup failed too."}
        if receipt is None:
            return Event.REPORT_NOT_EXECUTED, {"reason": f"{why} Its lookup proved that nothing happened."}
        return executed(operation, receipt)

    async def _record(self, ticket: str, event: Event, outcome: dict[str, object]) -> None:
        self._unwritten[ticket] = (event, outcome)
        await self._finish(ticket, event, outcome)
        self._unwritten.pop(ticket, None)
        await self._report(ticket, event, outcome)

    async def _finish(self, ticket: str, event: Event, outcome: dict[str, object]) -> None:
        text = canonical(outcome).decode()
        await asyncio.to_thread(
            self.ledger.finish, issuer=self.issuer, ticket=ticket, event=event.value, outcome=text, at=self.store.now()
        )

    async def give_up(self, ticket: Ticket, why: CounterfoilError) -> None:
        """End a redeemed ticket for which no order could be signed in time, unless its effect was started all the same.

        It is here that this is known for sure: while the ticket is looked at, no order of it is run.
        """
        with self._alone(ticket.id) as alone:
            if alone and await asyncio.to_thread(self.ledger.effect, self.issuer, ticket.id) is None:
                reason: dict[str, object] = {
                    "reason": f"No order could be signed in time. {why.happened}",
                    "code": why.code,
                }
                await self._report(ticket.id, Event.REPORT_NOT_EXECUTED, reason)

    # After a crash, or a disk that was full ---------------------------------------------------------------------------

    async def recover(self, ticket: Ticket) -> None:
        """Settle a ticket found ``executing`` or ``unknown`` whose effect the ledger says was started.

        It is never run again: what this process still knows is told, else the connector's lookup decides, or it stays
        unknown (invariant 11).
        """
        with self._alone(ticket.id) as alone:
            if alone:
                # Read again: its run may have ended since the ticket was listed.
                current = await self.store.ticket(ticket.id)
                effect = await asyncio.to_thread(self.ledger.effect, self.issuer, ticket.id)
                if effect is not None and current is not None and current.state in (State.EXECUTING, State.UNKNOWN):
                    await self._settle(current, effect)

    async def _settle(self, ticket: Ticket, effect: Effect) -> None:
        was_unknown = ticket.state is State.UNKNOWN
        if ticket.id in self._unwritten:
            await self._record(ticket.id, *self._unwritten[ticket.id])
            return
        if effect.event not in (None, Event.REPORT_UNKNOWN.value):
            await self._report_known(ticket.id, effect, was_unknown=was_unknown)
            return
        why = "The process ended while the effect was under way."
        operation = self.judge.desk.operations.get(ticket.operation)
        if operation is not None and operation.run_lookup is not None:
            event, outcome = await self._look_up(operation, ticket.id, why)
        else:
            event, outcome = Event.REPORT_UNKNOWN, {"reason": why}
        if not was_unknown:
            await self._record(ticket.id, event, outcome)
        elif event is not Event.REPORT_UNKNOWN:
            await self._finish(ticket.id, event, outcome)
            await self._report(ticket.id, FOUND[event], outcome)

    async def _report_known(self, ticket: str, effect: Effect, *, was_unknown: bool = False) -> None:
        """Tell again what the ledger knows; an effect without an end is unknown."""
        if effect.event is None:
            outcome: dict[str, object] = {"reason": "It was started before, and its end is not known."}
            await self._record(ticket, Event.REPORT_UNKNOWN, outcome)
            return
        value = parse_strict((effect.outcome or "{}").encode())
        event = Event(effect.event)
        if was_unknown:
            event = FOUND[event]
        await self._report(ticket, event, value if isinstance(value, dict) else {})


def execution_of(ticket: str, guard: str | None, presented: str | None = None) -> Execution:
    """What the connector is told."""
    return Execution(ticket=ticket, idempotency_key=ticket, guard=guard, presented=presented)


def executed(operation: Operation[Any, Any], receipt: object) -> tuple[Event, dict[str, object]]:
    """The event and outcome of what a connector returned; anything but a receipt leaves the outcome unknown."""
    if not isinstance(receipt, Receipt):
        return Event.REPORT_UNKNOWN, {"reason": "The connector returned no receipt."}
    try:
        checked = operation.receipt.model_validate(receipt.model_dump())
        text = canonical(checked.model_dump(mode="json"))
    except (ValidationError, CounterfoilError):
        return Event.REPORT_UNKNOWN, {"reason": "The connector returned a receipt that is not of its declared form."}
    if len(text) > MAX_OUTCOME:
        return Event.REPORT_EXECUTED, {"receipt": {"reference": checked.reference[:200]}, "cut": True}
    return Event.REPORT_EXECUTED, {"receipt": checked.model_dump(mode="json")}
