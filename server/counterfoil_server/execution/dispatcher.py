"""Direct delivery: what is approved is minted for, redeemed and handed to the engine, at once and after restarts.

The dispatcher has no power of its own: it calls the authority's door and the executor. It wakes when a decision was
made, and looks by itself every second for holds that ended, tickets that expired, and work that a crash left behind.

Who signs for the authority may be a service that fails. Then nothing more is claimed; orders of what was claimed are
asked for at each look, until one is signed or its time is over, which ends the ticket as not executed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from counterfoil.authority import Authority
from counterfoil.errors import CounterfoilError, SignerFailed, StoreFailed, TamperDetected, WrongState
from counterfoil.tickets import State, Ticket
from counterfoil_server.execution.executor import Executor

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks when nothing wakes the dispatcher."""

SETTLE_EVERY = 60
"""Looks between two attempts to settle what was redeemed and has no known end."""

SETTLED_AT_ONCE = 1000
"""Unknown outcomes asked about in one attempt, the newest first."""

READY_AT_ONCE = 100
"""Tickets that are tried in one look, besides those that could not be redeemed before."""

RETRY_AFTER = 30
"""Looks before a ticket that could not be redeemed is tried again."""


class Engine(Protocol):
    """Where orders are run. A workflow engine for operations of many steps fits here."""

    async def submit(self, ticket: Ticket, order: str) -> None:
        """Start running the order; returns at once."""

    async def settle(self) -> None:
        """Wait until nothing is running."""


class LocalEngine:
    """Runs each order as a task of this process; one effect per ticket needs no more."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, ticket: Ticket, order: str) -> None:
        """Start a task for the order."""
        task = asyncio.create_task(self._run(ticket.id, order), name=f"order {ticket.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for every task."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, ticket: str, order: str) -> None:
        try:
            await self._executor.run(ticket, order)
        except CounterfoilError as error:
            logger.error("Order for %s could not be finished: %s", ticket, error)
        except Exception:
            logger.exception("Order for %s failed", ticket)


class Dispatcher:
    """Drives approved tickets through the door, one process per state folder."""

    def __init__(
        self, authority: Authority, executor: Executor, engine: Engine, *, ready_at_once: int = READY_AT_ONCE
    ) -> None:
        self._authority = authority
        self._executor = executor
        self._engine = engine
        self._ready_at_once = ready_at_once
        self._wake = asyncio.Event()
        self._not_before: dict[str, int] = {}
        self._alarm = ""
        """What the executor found wrong with the log, so that it is said once and not every second."""
        self._looks = 0
        self._looking = asyncio.Lock()

    def wake(self) -> None:
        """Something was decided: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Recover, then look until cancelled. A failing store is waited out, not died of."""
        recovered = False
        while True:
            recovered = recovered or await self._guarded(self.recover)
            await self._guarded(self.follow)
            await self._guarded(self.look)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY)
            self._wake.clear()

    async def recover(self) -> None:
        """Go on where a former process stopped: complete decisions, then settle what was redeemed."""
        store = self._authority.store
        for ticket in await store.tickets(states=(State.PENDING, State.APPROVED), limit=100_000):
            if ticket.state is State.APPROVED or await store.statements(ticket.id):
                await self._attempt(self._authority.advance(ticket.id), ticket)
        await self.settle()

    async def follow(self) -> None:
        """Let the executor hear at once of what was stopped: what it never heard of could be erased together with the
        log, by setting the database back to an earlier copy."""
        try:
            await self._executor.follow_log()
        except TamperDetected as error:
            if self._alarm != error.happened:
                logger.error("The executor runs nothing: %s", error)
            self._alarm = error.happened
        else:
            self._alarm = ""

    async def look(self) -> None:
        """Expire what is due, redeem what is ready, now and then settle what has no known end. One look at a time:
        two at once would present the same capabilities."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        self._looks += 1
        store = self._authority.store
        await store.expire_due()
        if self._looks % SETTLE_EVERY == 0:
            await self.settle()
        elif failed := await self._run_redeemed(await self._authority.unsigned()):
            raise failed
        # Those that cannot be redeemed now, as in a suspended scope, must not take the place of those that can.
        ready = await store.ready(self._ready_at_once + len(self._not_before))
        waiting = {ticket.id for ticket in ready}
        self._not_before = {name: look for name, look in self._not_before.items() if name in waiting}
        for ticket in ready:
            if self._not_before.get(ticket.id, 0) <= self._looks:
                await self._redeem(ticket)

    async def settle(self) -> None:
        """Run redeemed orders that nobody runs, tell outcomes that could not be told, ask about unknown ones."""
        store = self._authority.store
        failed = await self._run_redeemed(await store.tickets(states=(State.EXECUTING,), limit=100_000))
        for ticket in await store.tickets(states=(State.UNKNOWN,), limit=SETTLED_AT_ONCE):
            await self._attempt(self._executor.recover(ticket), ticket)
        if failed is not None:
            raise failed

    async def _run_redeemed(self, tickets: Iterable[Ticket]) -> SignerFailed | None:
        """Have an order signed and run for each of them that nobody has started; answers why that failed, if it did.

        A signer that failed is not asked for the others: each would wait as long. Those whose time is over end.
        """
        failed: SignerFailed | None = None
        for ticket in tickets:
            if self._executor.ledger.effect(self._executor.issuer, ticket.id) is not None:
                await self._attempt(self._executor.recover(ticket), ticket)
            else:
                failed = failed or await self._run_again(ticket)
                if failed is not None and self._authority.too_late(ticket):
                    await self._attempt(self._executor.give_up(ticket, failed), ticket)
        return failed

    async def _run_again(self, ticket: Ticket) -> SignerFailed | None:
        """Sign an order and hand it over; answers why none could be signed."""
        try:
            order = await self._authority.order(ticket)
        except SignerFailed as error:
            return error
        await self._engine.submit(ticket, order)
        return None

    async def _redeem(self, ticket: Ticket) -> None:
        try:
            delivered = await self._authority.deliver(ticket.id)
        except (StoreFailed, SignerFailed):
            raise
        except WrongState:
            return
        except CounterfoilError as error:
            logger.error("Ticket %s cannot be redeemed: %s", ticket.id, error)
            self._not_before[ticket.id] = self._looks + RETRY_AFTER
            return
        self._not_before.pop(ticket.id, None)
        if delivered is not None:
            await self._engine.submit(*delivered)

    @staticmethod
    async def _attempt(step: Awaitable[object], ticket: Ticket) -> None:
        """One ticket that cannot go on holds up no other; raises only StoreFailed, which holds up all."""
        try:
            await step
        except StoreFailed:
            raise
        except CounterfoilError as error:
            logger.error("Ticket %s cannot go on: %s", ticket.id, error)

    @staticmethod
    async def _guarded(step: Callable[[], Awaitable[None]]) -> bool:
        """Whether the step was taken to its end."""
        try:
            await step()
        except CounterfoilError as error:
            logger.error("The dispatcher waits: %s", error)
        except Exception:
            logger.exception("The dispatcher failed and goes on")
        else:
            return True
        return False
