"""How a message leaves the house: what every transport does, and the demo's mailbox.

An address is exactly one address, so it can neither add recipients nor header lines.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from counterfoil.errors import CounterfoilError
from counterfoil_server.notices.messages import Message

KEPT = 200
"""Messages that the demo's mailbox remembers."""


class NotDelivered(CounterfoilError):
    """A message was not handed over. ``permanent``: trying again cannot help."""

    code = "not_delivered"
    happened_default = "The message could not be handed to the mail server."
    remedy_default = "It is tried again; check the mail settings if this goes on."

    def __init__(self, happened: str | None = None, remedy: str | None = None, *, permanent: bool = False) -> None:
        super().__init__(happened, remedy)
        self.permanent = permanent


class Transport(Protocol):
    """Hands messages over."""

    async def send(self, message: Message, to: str) -> None:
        """Hand ``message`` over for the address ``to``; raises :class:`NotDelivered`."""


def single_address(text: str) -> str:
    """``text`` if it is exactly one address without a name; raises NotDelivered."""
    # The grammar of mail's headers is large, and many a desk has no address to check.
    from email.errors import MessageError
    from email.headerregistry import Address

    try:
        address = Address(addr_spec=text)
        if not address.username or not address.domain or address.addr_spec != text or not text.isprintable():
            raise ValueError
    except (ValueError, IndexError, MessageError):
        raise NotDelivered(
            "The recipient's address is not one e-mail address.",
            "Correct it in the roster or the directory.",
            permanent=True,
        ) from None
    return text


@dataclass(frozen=True)
class Kept:
    """A message in the mailbox; ``number`` counts from 1, ``at`` is in Unix seconds."""

    number: int
    at: int
    to: str
    message: Message


class Mailbox:
    """The demo's transport: keeps the newest 200 messages in memory. Used from one event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: deque[Kept] = deque(maxlen=KEPT)
        self._count = 0
        self._arrival = anyio.Event()

    async def send(self, message: Message, to: str) -> None:
        """Keep it, and wake whoever waits."""
        self._count += 1
        self._kept.append(Kept(self._count, int(self._clock()), single_address(to), message))
        self._arrival.set()
        self._arrival = anyio.Event()

    def messages(self) -> list[Kept]:
        """Newest first."""
        return list(reversed(self._kept))

    async def wait_for(self, predicate: Callable[[Kept], bool], timeout: float) -> Kept:  # noqa: ASYNC109 - a plain number is what scripts want
        """The newest message that fits, as soon as there is one; raises TimeoutError after ``timeout`` seconds."""
        with anyio.fail_after(timeout):
            while True:
                arrival = self._arrival
                for kept in self.messages():
                    if predicate(kept):
                        return kept
                await arrival.wait()
