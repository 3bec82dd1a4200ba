"""The whole authority over the real store, driven at random by everybody at once; the invariants after every step.

Hypothesis plays two agents, the people, an administrator, the dispatcher, an executor that reports and the clock.
What the machine keeps of its own is what was answered to somebody; everything else is read from the store.
``COUNTERFOIL_EXPLORE=full`` lets it play longer.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from capabilities.world import EXECUTOR, ISSUER, PARTY, World, open_world
from counterfoil.authority import Requester
from counterfoil.errors import CounterfoilError, UnknownTicket
from counterfoil.evidence import SignedStatement
from counterfoil.judgement import signed_statement
from counterfoil.proof import verify_envelope, verify_evidence
from counterfoil.store import Revoked
from counterfoil.tickets import COUNTED, Event, State, Ticket, after

T = TypeVar("T")
PRINCIPALS = ("agent", "other")
PEOPLE = ("ann", "ben", "fay", "fox", "fil", "ida", "ivo")


class Life(RuleBasedStateMachine):
    """Everything that may be asked of an authority, in any order."""

    tickets = Bundle("tickets")
    signatures = Bundle("signatures")
    capabilities = Bundle("capabilities")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.opened: AbstractAsyncContextManager[World] = open_world(Path(self.folder.name))
        self.world = self.runner.run(self.opened.__aenter__())
        self.envelopes: dict[str, bytes] = {}
        self.ended: dict[str, State] = {}
        self.orders: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.states: dict[str, State] = {}

    def teardown(self) -> None:
        assert self.run(self.world.store.verify_log()) > 0
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def attempt(self, work: Awaitable[T]) -> T | None:
        """The answer, or None for a refusal; anything else that is raised is a mistake."""
        try:
            return self.run(work)
        except CounterfoilError:
            return None

    # What can be done -------------------------------------------------------------------------------------------------

    @initialize(target=tickets)
    def somebody_asked_before(self) -> Any:
        return multiple(*(self.run(self.world.request(name, by="agent")).id for name in ("refund", "close_account")))

    @rule(
        target=tickets,
        by=st.sampled_from(PRINCIPALS),
        owner=st.sampled_from([None, "fay"]),
        operation=st.sampled_from(["refund", "send_gift", "close_account"]),
        account=st.sampled_from(["A-1", "A-2", "A-9"]),
        amount=st.sampled_from(["1.00", "30.00", "49.00", "400.00", "900.00"]),
    )
    def request(self, by: str, owner: str | None, operation: str, account: str, amount: str) -> Any:
        arguments: dict[str, Any] = {"account": account}
        if operation == "refund":
            arguments["amount"] = {"value": amount, "currency": "EUR"}
            arguments["order_id"] = "O-2" if account == "A-2" else "O-1"
        ticket = self.attempt(self.world.request(operation, by=Requester(by, owner=owner), **arguments))
        return multiple() if ticket is None else ticket.id

    @rule(target=signatures, ticket=tickets, person=st.sampled_from(PEOPLE), approves=st.booleans())
    def prepare(self, ticket: str, person: str, approves: bool) -> Any:
        return self.signed(ticket, person, approves)

    @rule(ticket=tickets, people=st.lists(st.sampled_from(PEOPLE), max_size=4))
    def approve(self, ticket: str, people: list[str]) -> None:
        for person in people:
            signed = self.signed(ticket, person, True)
            if isinstance(signed, SignedStatement):
                self.attempt(self.world.authority.decide(ticket, signed))

    def signed(self, ticket: str, person: str, approves: bool) -> Any:
        passkey, code = self.world.passkeys[person], self.world.authority.match_code(ticket)
        offer = self.attempt(
            self.world.authority.prepare(ticket, person, passkey.credential, "approve" if approves else "decline", code)
        )
        return multiple() if offer is None else SignedStatement(offer.statement_bytes, passkey.sign(offer.challenge))

    @rule(ticket=tickets, signature=signatures, disown=st.booleans())
    def decide(self, ticket: str, signature: SignedStatement, disown: bool) -> None:
        self.attempt(self.world.authority.decide(ticket, signature, disown=disown))

    @rule(ticket=tickets)
    def everybody_approves(self, ticket: str) -> None:
        self.approve(ticket, ["ann", "ben", "ida", "ivo", "fay", "fox"])

    @rule(ticket=tickets)
    def veto(self, ticket: str) -> None:
        self.attempt(self.world.authority.veto(ticket))

    @rule(ticket=tickets, by=st.sampled_from(PRINCIPALS))
    def cancel(self, ticket: str, by: str) -> None:
        owner = self.ticket(ticket).principal
        cancelled = self.attempt(self.world.authority.cancel(by, ticket))
        assert cancelled is None or owner == by

    @rule(target=capabilities, ticket=tickets)
    def mint(self, ticket: str) -> Any:
        capability = self.attempt(self.world.authority.mint(ticket))
        return multiple() if capability is None else (ticket, capability)

    @rule(ticket=tickets, minted=capabilities, presenter=st.sampled_from([None, *PRINCIPALS]))
    def redeem_with_any(self, ticket: str, minted: tuple[str, str], presenter: str | None) -> None:
        self.redeem(ticket, minted[1], presenter, minted[0])

    @rule(minted=capabilities, presenter=st.sampled_from([None, *PRINCIPALS]))
    def redeem_with_own(self, minted: tuple[str, str], presenter: str | None) -> None:
        self.redeem(minted[0], minted[1], presenter, minted[0])

    def redeem(self, ticket: str, capability: str, presenter: str | None, minted_for: str) -> None:
        before = self.ticket(ticket)
        answered = self.attempt(self.world.authority.redeem(ticket, capability, presenter=presenter))
        if answered is not None:
            assert ticket == minted_for
            assert presenter == (before.principal if before.delivery == "collected" else None)
            self.ordered(answered)

    @rule()
    def deliver_what_is_ready(self) -> None:
        for ticket in self.run(self.world.store.ready()):
            answered = self.attempt(self.world.authority.deliver(ticket.id))
            if answered is not None:
                self.ordered(answered)

    def ordered(self, answered: tuple[Ticket, str]) -> None:
        ticket, order = answered
        assert ticket.id not in self.orders, "2: a second redemption"
        assert ticket.id not in self.revoked, "3: redeemed after it was revoked"
        self.orders[ticket.id] = order
        self.prove(ticket, order)

    @rule(ticket=tickets, event=st.sampled_from(list(Event)))
    def report(self, ticket: str, event: Event) -> None:
        self.attempt(self.world.authority.report(ticket, event, {}))

    @rule(ticket=tickets, kind=st.sampled_from(["ticket", "account", "principal-account", "operation"]))
    def revoke(self, ticket: str, kind: str) -> None:
        before = {one.id: one.state for one in self.all_tickets()}
        subject = self.ticket(ticket)
        name = {
            "ticket": ticket,
            "account": subject.account or "none",
            "principal-account": f"{subject.principal}|{subject.account}",
            "operation": subject.operation,
        }[kind]
        answered = self.run(self.world.authority.revoke(f"{kind}:{name}", "a test"))
        assert isinstance(answered, Revoked)
        gone = {one.id for one in self.all_tickets() if one.state is State.REVOKED and before[one.id] is not one.state}
        assert len(gone) == answered.revoked
        self.revoked |= gone

    @rule(scope=st.sampled_from(["all", "account:A-1", "operation:refund", "person:ann", "principal:agent"]))
    def suspend_and_resume(self, scope: str) -> None:
        self.run(self.world.authority.suspend(scope, "a test"))
        assert self.run(self.world.store.ready()) is not None
        for ticket in self.run(self.world.store.ready()):
            covered = scope == "all" or scope.partition(":")[2] in (ticket.account, ticket.operation, ticket.principal)
            if covered:
                assert self.attempt(self.world.authority.deliver(ticket.id)) is None
        self.run(self.world.authority.resume(scope))

    @rule(seconds=st.sampled_from([1, 100, 599, 3600, 86400, -5000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.at += seconds

    @rule()
    def expire(self) -> None:
        self.run(self.world.store.expire_due())

    @rule(ticket=tickets)
    def advance(self, ticket: str) -> None:
        self.attempt(self.world.authority.advance(ticket))

    @rule()
    def records_change(self) -> None:
        self.world.shop.orders["O-1"].version += 1

    # What must hold after every step ----------------------------------------------------------------------------------

    @invariant()
    def what_must_hold(self) -> None:
        for ticket in self.all_tickets():
            self.check_log(ticket)
            assert self.envelopes.setdefault(ticket.id, ticket.envelope_bytes) == ticket.envelope_bytes, "9"
            if ticket.id in self.ended:
                assert ticket.state is self.ended[ticket.id], "what ended is left by nothing"
            if ticket.ended:
                self.ended[ticket.id] = ticket.state
            if ticket.state in COUNTED | {State.NOT_EXECUTED}:
                assert ticket.id in self.orders, "1: claimed without a redemption"
                assert ticket.redeemed_at is not None
                assert ticket.redeemed_at < ticket.expires_at, "6: redeemed after its time"
                assert ticket.redeemed_at >= (ticket.hold_until or 0), "6: redeemed before its waiting time was over"
            else:
                assert ticket.id not in self.orders
            for stranger in {"nobody", *PRINCIPALS} - {ticket.principal}:
                with pytest.raises(UnknownTicket):
                    self.run(self.world.authority.status(stranger, ticket.id))

    def check_log(self, ticket: Ticket) -> None:
        """Invariants 2, 7 and 8: the leaves of a ticket add up to its state, one step each."""
        state, declined = State.PENDING, False
        happened = [leaf.event for leaf in self.run(self.world.store.leaves(ticket=ticket.id))]
        assert happened[0] == "request"
        assert happened.count("redeem") <= 1
        for name in happened:
            if name in {event.value for event in Event}:
                assert not declined, "7: something followed a decline"
                state = after(state, Event(name))
                declined = name == Event.DECLINE.value
        assert state is ticket.state, "8: the log does not tell the state"
        people = [stored.person for stored in self.run(self.world.store.statements(ticket.id))]
        assert len(people) == len(set(people)) == happened.count("statement"), "5: one person, one seat"

    def prove(self, ticket: Ticket, order: str) -> None:
        """Invariant 1, as an executor sees it: with its own trust, over the very bytes."""
        body = ticket.envelope_bytes
        keys = self.world.authority.keys.verification_keys
        now = self.world.store.now()
        claims, envelope = verify_envelope(order, body, issuer=ISSUER, executor=EXECUTOR, keys=keys, now=now)
        statements = self.run(self.world.store.statements(ticket.id))
        proven = verify_evidence(
            claims,
            envelope,
            [signed_statement(stored) for stored in statements],
            roster=self.world.office.roster(),
            party=PARTY,
            display_of=self.world.authority.judge.display_digests(envelope),
        )
        assert len(set(proven.evidence.people)) == len(proven.evidence.people)
        assert envelope.owner not in [stored.person for stored in statements if stored.seat != "holder"], "5"

    def ticket(self, ticket: str) -> Ticket:
        found = self.run(self.world.store.ticket(ticket))
        assert found is not None
        return found

    def all_tickets(self) -> list[Ticket]:
        return self.run(self.world.store.tickets(limit=1000))


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=500 if os.environ.get("COUNTERFOIL_EXPLORE") == "full" else 20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
