"""What the service does with an order: verify it, begin it in its own ledger, carry it out, and remember what came.

Rules:

* nothing is begun but what ``counterfoil.presented`` verified, from pinned trust, the floors of this service and what
  it heard of the authority's feed; and nothing is heard between the verdict and the beginning;
* a ticket begins once in this ledger, and only one thread works on a ticket;
* *not executed* is a promise, so it is written before it is said; *waiting* is none, and nothing is written;
* what began and has no known end is *unknown* until the business's own records prove one or the other.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from counterfoil.bundle import Trust
from counterfoil.canonical import parse_strict
from counterfoil.errors import CounterfoilError
from counterfoil.presented import OrderVerifier, PresentedOrder
from counterfoil.proof import Proven, verify_envelope
from counterfoil.tickets import Envelope
from counterfoil.values import Money, Receipt
from payments_service.database import Database
from payments_service.feed_follower import FeedFollower
from payments_service.heard import FeedMemory
from payments_service.ledger import Entry, Ledger
from payments_service.refunds import Done, NotDone, Refunds

logger = logging.getLogger("payments_service")

SEALED_WITHIN = 5
"""Seconds in which a redemption gets to the feed: before they are over, one that is not heard may still come."""

State = Literal["executed", "not_executed", "unknown", "waiting", "never_seen"]


class BadOrder(Exception):
    """What was sent is not an order for this service at all. The text says why."""


@dataclass(frozen=True)
class Answer:
    """Where a ticket stands."""

    state: State
    reason: str = ""
    receipt: Receipt | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it is sent."""
        if self.receipt is not None:
            return {"state": self.state, "receipt": self.receipt.model_dump()}
        return {"state": self.state} | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True)
class PaymentsService:
    """``database``: where ledger and memory are; ``executor``: to whom orders have to be addressed."""

    trust: Trust
    executor: str
    verifier: OrderVerifier
    database: Database
    ledger: Ledger
    memory: FeedMemory
    feed: FeedFollower
    feed_life: int
    refunds: Refunds
    clock: Callable[[], float]
    _working: set[str] = field(default_factory=set)
    _working_lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes, key: str) -> Answer:
        """Run a presented order, once; raises :class:`BadOrder`."""
        envelope = self._read(body, key)
        with self._alone(envelope.ticket) as alone:
            if not alone:
                return _being_carried_out()
            known = self.ledger.entry(envelope.ticket)
            if known is not None:
                return self._known(known)
            trouble = self.feed.hear()
            if trouble is not None and trouble.kind == "lies":
                return Answer("waiting", f"The authority's feed cannot be believed: {trouble.words}")
            begun = self._begin(body, envelope)
            return begun if isinstance(begun, Answer) else self._carry_out(begun)

    def where(self, ticket: str) -> Answer:
        """Where a ticket stands; begins and ends nothing."""
        with self._alone(ticket) as alone:
            if not alone:
                return _being_carried_out()
            entry = self.ledger.entry(ticket)
            return self._known(entry) if entry is not None else Answer("never_seen")

    def close(self, ticket: str) -> Answer:
        """The end of a ticket. What never began never will; of what began, the business's records decide."""
        with self._alone(ticket) as alone:
            if not alone:
                return _being_carried_out()
            entry = self.ledger.entry(ticket)
            if entry is None:
                return self._never(ticket, "It was closed before it began.")
            return self._settle(entry) if entry.state == "begun" else self._known(entry)

    def recover(self) -> None:
        """After a start: what began in an earlier life and is in the business's records was executed."""
        for entry in self.ledger.without_end():
            answer = self._known(entry)
            logger.warning("Ticket %s began before this start: %s", entry.ticket, answer.state)

    # An order -----------------------------------------------------------------------------------------------------

    def _read(self, body: bytes, key: str) -> Envelope:
        try:
            envelope = Envelope.from_bytes(PresentedOrder.from_bytes(body).envelope.encode())
        except CounterfoilError as error:
            raise BadOrder(error.happened) from None
        if envelope.issuer != self.trust.issuer:
            raise BadOrder("The order is from another authority than the one that is trusted here.")
        if envelope.ticket != key:
            raise BadOrder("The header Idempotency-Key is not the ticket of the order.")
        return envelope

    def _begin(self, body: bytes, envelope: Envelope) -> Proven | Answer:
        with self.database.lock:
            now, ticket = self._now(), envelope.ticket
            if self.memory.carried_out(ticket):
                return self._never(ticket, "")
            heard_at = self.memory.heard_at()
            if heard_at is None or abs(now - heard_at) > self.feed_life:
                return Answer("waiting", "What the authority revoked or declined lately was not heard.")
            try:
                proven = self.verifier.verify(body, now=now)
            except CounterfoilError as error:
                if self._may_still_be_heard(body, envelope, now, heard_at):
                    return Answer("waiting", "The log does not tell of this redemption yet.")
                logger.warning("Refused %s: %s", ticket, error.happened)
                return self._never(ticket, error.happened)
            if not self.ledger.begin(ticket, envelope.operation, at=now):
                return Answer("unknown", "It began before, and its end is not known.")
            return proven

    def _may_still_be_heard(self, body: bytes, envelope: Envelope, now: int, heard_at: int) -> bool:
        """Whether an order is good as far as it can be seen, and was redeemed after what was heard, or just before."""
        if self.memory.redeemed(envelope.ticket) is not None or self.memory.stopped(envelope.ticket):
            return False
        keys = {name: key for name, key in self.trust.authority_keys.items() if not self.memory.barred([f"key:{name}"])}
        try:
            claims, _ = verify_envelope(
                PresentedOrder.from_bytes(body).order, envelope.to_bytes(), issuer=self.trust.issuer,
                executor=self.executor, keys=keys, now=max(now, heard_at),
            )  # fmt: skip
        except CounterfoilError:
            return False
        return heard_at <= claims.redeemed_at + SEALED_WITHIN

    def _carry_out(self, proven: Proven) -> Answer:
        ticket = proven.envelope.ticket
        try:
            done = self._effect(proven.envelope)
        except NotDone as error:
            self.ledger.not_executed(ticket, str(error))
            return Answer("not_executed", str(error))
        except Exception as error:
            logger.error("The effect of %s failed: %s", ticket, type(error).__name__)
            return Answer("unknown", "It began, and its end is not known.")
        return self._executed(ticket, done)

    def _effect(self, envelope: Envelope) -> Done:
        account, arguments = envelope.account or "", envelope.argument_values
        if envelope.operation == "refund":
            amount = Money.model_validate(arguments["amount"])
            return self.refunds.refund(
                envelope.ticket, account=account, order_id=str(arguments["order_id"]), cents=_cents(amount),
                currency=amount.currency, version=_guard(envelope), at=self._now(),
            )  # fmt: skip
        if envelope.operation == "undo_refund" and envelope.undoes is not None:
            return self.refunds.take_back(envelope.ticket, account=account, refund=envelope.undoes)
        raise NotDone(f"This service does not know how to do {envelope.operation[:80]!r}.")

    def _never(self, ticket: str, reason: str) -> Answer:
        """The ledger knows nothing of the ticket: nothing was done and nothing will be, unless the ledger is an old
        copy, and the payments or the log know better."""
        done = self.refunds.find_or_close(ticket)
        if done is None and not self.memory.carried_out(ticket):
            self.ledger.close(ticket, reason, at=self._now())
            return Answer("not_executed", reason)
        logger.error("%s was executed, and the ledger does not know: it is an old copy.", ticket)
        if done is None:
            return Answer("unknown", "The log tells that it was executed, and the ledger does not know.")
        self.ledger.begin(ticket, "", at=self._now())
        return self._executed(ticket, done)

    # What is known ------------------------------------------------------------------------------------------------

    def _known(self, entry: Entry) -> Answer:
        if entry.state == "executed":
            return Answer("executed", receipt=entry.receipt)
        if entry.state == "not_executed":
            return Answer("not_executed", entry.reason)
        return self._settle(entry, close=False)

    def _settle(self, entry: Entry, *, close: bool = True) -> Answer:
        """Ask the business's own records; only a key that is closed there proves that nothing will happen."""
        try:
            done = self.refunds.find_or_close(entry.ticket) if close else self.refunds.find(entry.ticket)
        except sqlite3.Error as error:
            logger.error("The payments cannot be read: %s", error)
            return Answer("unknown", "It began, and the payments cannot be read.")
        if done is not None:
            return self._executed(entry.ticket, done)
        if not close:
            return Answer("unknown", "It began, and its end is not known.")
        reason = "It began, but nothing was done, and its key is closed in the payments' own records."
        self.ledger.not_executed(entry.ticket, reason)
        return Answer("not_executed", reason)

    def _executed(self, ticket: str, done: Done) -> Answer:
        receipt = Receipt(reference=done.reference, summary=done.summary)
        self.ledger.executed(ticket, receipt)
        return Answer("executed", receipt=receipt)

    def _now(self) -> int:
        return int(self.clock())

    @contextmanager
    def _alone(self, ticket: str) -> Iterator[bool]:
        with self._working_lock:
            alone = ticket not in self._working
            self._working.add(ticket)
        try:
            yield alone
        finally:
            if alone:
                with self._working_lock:
                    self._working.discard(ticket)


def _being_carried_out() -> Answer:
    return Answer("unknown", "It is being carried out.")


def _cents(amount: Money) -> int:
    cents = amount.amount * 100
    if cents != int(cents):
        raise NotDone("That is no whole number of cents.")
    return int(cents)


def _guard(envelope: Envelope) -> str | None:
    """The version of the payment that people decided on: part of the facts that they signed."""
    facts = parse_strict((envelope.facts or "{}").encode())
    guard = facts.get("guard") if isinstance(facts, dict) else None
    return guard if isinstance(guard, str) else None
