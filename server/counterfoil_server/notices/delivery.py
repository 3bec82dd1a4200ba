"""The worker that empties the outbox.

Rules: a link is made when its message is delivered, so its secret exists nowhere before. A notice is leased before it
is sent and settled after: what a killed process held is delivered by the next one, so a message can come twice but is
never lost. Sending ends before the lease does. A request that has ended asks nobody any more. At most three capped
messages reach a recipient in an hour. Nothing that goes wrong stops the worker, and what it writes down about it holds
no address, no link and no server's words.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from counterfoil.errors import CounterfoilError, StoreFailed
from counterfoil.recipients import APPROVE, OBJECT, SETTLE, UNCERTAIN
from counterfoil.store import NO_LONGER_NEEDED, Notice, Store
from counterfoil.tickets import STOPPABLE, State, Ticket
from counterfoil_server.notices.messages import LINK_LIFETIME, Message, compose
from counterfoil_server.notices.transports import NotDelivered, Transport

logger = logging.getLogger("counterfoil.notices")
_random = secrets.SystemRandom()


class DeliveredLink(Protocol):
    """What the page's side made for one message: an address, and for an objection the code to type on its page."""

    @property
    def url(self) -> str | None:
        """The address with its secret, or None for a kind that needs none."""

    @property
    def code(self) -> str | None:
        """The code that stops the request, or None."""


@dataclass(frozen=True)
class Described:
    """What a message may say of a notice. ``at``: when it was requested or done (Unix seconds); ``contact``: whom to
    ask, in the organisation's words; ``looked_into``: somebody is named who finds out what became of it."""

    organisation: str
    title: str
    at: int
    contact: str | None = None
    looked_into: bool = False


@dataclass(frozen=True)
class Pace:
    """How fast, how often and how long. Times are seconds."""

    cap: int = 3
    """Capped messages per recipient in ``window`` (T12)."""
    window: int = 3600
    batch: int = 8
    """Messages that are sent at the same time."""
    lease: int = 120
    poll: float = 5.0
    """How long to sleep when nobody wakes the worker: retries and held back messages become due by themselves."""
    first_retry: int = 5
    longest_retry: int = 900
    told_within: int = 3 * 24 * 3600
    """How long to try telling of what was done; what asks for a decision is tried while its ticket lives."""
    longest_pause: float = 60.0
    """Between attempts to reach a store that fails."""


class Delivery:
    """Delivers the notices of ``store`` through ``transport``. Run one in a process, as a task."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        make_link: Callable[[Notice], Awaitable[DeliveredLink]],
        describe: Callable[[Notice], Awaitable[Described]],
        *,
        pace: Pace | None = None,
        link_lifetime: int = LINK_LIFETIME,
        jitter: Callable[[], float] = _random.random,
    ) -> None:
        self._store = store
        self._transport = transport
        self._make_link = make_link
        self._describe = describe
        self._pace = pace or Pace()
        self._link_lifetime = link_lifetime
        self._jitter = jitter
        self._woken = anyio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Look into the outbox now. Called from the worker's event loop after something was written."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._woken = anyio.Event()
            pause = await self._round()
            with anyio.move_on_after(pause):
                await self._woken.wait()

    async def deliver_due(self) -> int:
        """Lease and deliver one batch; answers how many notices it held. Raises StoreFailed."""
        pace = self._pace
        notices = await self._store.lease_notices(limit=pace.batch, lease=pace.lease, cap=pace.cap, window=pace.window)
        async with anyio.create_task_group() as group:
            for notice in notices:
                group.start_soon(self._deliver_safely, notice)
        return len(notices)

    async def _round(self) -> float:
        """Deliver all that is due and answer how long to sleep."""
        try:
            while await self.deliver_due():
                pass
        except Exception as error:
            self._failures += 1
            pause = min(self._pace.longest_pause, self._pace.poll * 2.0 ** min(self._failures, 16))
            logger.error("The outbox could not be read (%s); trying again in %g seconds.", _in_words(error), pause)
            return pause
        self._failures = 0
        return self._pace.poll

    async def _deliver_safely(self, notice: Notice) -> None:
        try:
            await self._deliver(notice)
        except Exception as error:
            # Not settled: the lease runs out, and the notice is due again.
            logger.error("Notice %d could not be settled (%s).", notice.id, _in_words(error))

    async def _deliver(self, notice: Notice) -> None:
        ticket = await self._store.ticket(notice.ticket) if notice.ticket else None
        over = no_longer_needed(notice, ticket, self._store.now())
        if over is not None:
            await self._settle(notice, sent=False, error=over, next_try=None)
            return
        sending = False
        try:
            # Three quarters: what is still being sent when the lease ends would be sent twice.
            with anyio.fail_after(self._pace.lease * 0.75):
                message = await self._prepared(notice, ticket)
                sending = True
                await self._transport.send(message, notice.address)
        except anyio.get_cancelled_exc_class():
            # What may have left stays leased: it counts for the cap, and comes again when the lease is over.
            if not sending:
                await self._give_back(notice)
            raise
        except StoreFailed:
            raise
        except Exception as error:
            await self._failed(notice, ticket, error)
            return
        logger.info("Notice %d (%s) was sent.", notice.id, notice.kind)
        await self._settle(notice, sent=True, error=None, next_try=None)

    async def _prepared(self, notice: Notice, ticket: Ticket | None) -> Message:
        """Make the link and write the message."""
        described = await self._describe(notice)
        link = await self._make_link(notice)
        return compose(
            notice.kind,
            organisation=described.organisation,
            title=described.title,
            at=described.at,
            contact=described.contact,
            link=link.url,
            code=link.code,
            due=ticket.hold_until if ticket and ticket.state is State.HELD else None,
            looked_into=described.looked_into,
            refused=ticket is not None and ticket.refusal is not None,
            link_lifetime=self._link_lifetime,
        )

    async def _failed(self, notice: Notice, ticket: Ticket | None, error: Exception) -> None:
        """Queue it again, or give up where that cannot help or would come too late."""
        now = self._store.now()
        next_try = now + self._retry_after(notice.tries)
        permanent = isinstance(error, NotDelivered) and error.permanent
        given_up = permanent or next_try >= self._deadline(notice, ticket)
        reason = _in_words(error)
        logger.warning(
            "Notice %d (%s) was not sent (%s); %s.",
            notice.id, notice.kind, reason, "given up" if given_up else f"trying again in {next_try - now} seconds",
        )  # fmt: skip
        await self._settle(notice, sent=False, error=reason, next_try=None if given_up else next_try)

    def _retry_after(self, tries: int) -> int:
        """Twice as long each time, less up to a half by chance, so that many do not come back at once."""
        longest = min(self._pace.longest_retry, self._pace.first_retry << min(max(tries - 1, 0), 30))
        return max(1, round(longest * (1 - self._jitter() / 2)))

    def _deadline(self, notice: Notice, ticket: Ticket | None) -> int:
        if ticket is not None and notice.kind in (APPROVE, OBJECT):
            return ticket.expires_at
        return notice.created_at + self._pace.told_within

    async def _settle(self, notice: Notice, *, sent: bool, error: str | None, next_try: int | None) -> None:
        # A message that left must be known to have left, whoever stops the worker now.
        with anyio.CancelScope(shield=True):
            await self._store.settle_notice(notice.id, sent=sent, error=error, next_try=next_try)

    async def _give_back(self, notice: Notice) -> None:
        try:
            await self._settle(notice, sent=False, error=None, next_try=self._store.now())
        except CounterfoilError as error:
            logger.error("Notice %d could not be given back (%s).", notice.id, _in_words(error))


def no_longer_needed(notice: Notice, ticket: Ticket | None, now: int) -> str | None:
    """Why this must not be sent any more, or None. What was done is always told; of what may have been done, what is
    known by then has a message of its own."""
    state = ticket.state if ticket else None
    if notice.kind not in (APPROVE, OBJECT, SETTLE, UNCERTAIN):
        return None
    if ticket is None or state is None:
        return f"{NO_LONGER_NEEDED}: there is no such request."
    if notice.kind in (SETTLE, UNCERTAIN):
        return None if state is State.UNKNOWN else f"{NO_LONGER_NEEDED}: the outcome is known."
    if state not in STOPPABLE:
        return f"{NO_LONGER_NEEDED}: the request is {state.value.replace('_', ' ')}."
    return f"{NO_LONGER_NEEDED}: the request has expired." if now >= ticket.expires_at else None


def _in_words(error: Exception) -> str:
    """What may be written down: the words of our own errors, and of others only the class."""
    if isinstance(error, CounterfoilError):
        return f"{error.happened} {error.remedy}" if isinstance(error, NotDelivered) else error.happened
    if isinstance(error, TimeoutError):
        return "Sending took too long."
    return f"It failed with {type(error).__name__}."
