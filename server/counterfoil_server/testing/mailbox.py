"""The mailbox of a desk in a test: where every message goes, as it would leave by e-mail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from counterfoil_server.notices import transports
from counterfoil_server.notices.messages import Message
from counterfoil_server.notices.transports import Kept


class Addressee(Protocol):
    """Somebody with an address."""

    @property
    def address(self) -> str:
        """Where messages to them go."""


class NoMessage(AssertionError):
    """No such message has come; the words list what has."""


class Mailbox(transports.Mailbox):
    """Keeps the newest 200 messages. ``caught_up`` lets everything be sent that is due."""

    def __init__(self, clock: Callable[[], float], caught_up: Callable[[], Awaitable[None]]) -> None:
        super().__init__(clock)
        self.caught_up = caught_up

    async def newest(self, to: Addressee | str, subject: str = "", text: str = "") -> Message:
        """The newest message to this person or address whose subject and text hold these words.

        Everything that is due is sent before. Raises :class:`NoMessage` where there is none.
        """
        await self.caught_up()
        found = next((message for message in self.to(to) if subject in message.subject and text in message.text), None)
        if found is None:
            raise NoMessage(f"There is no such message to {address_of(to)}. The mailbox holds:{self.listed()}")
        return found

    def to(self, whom: Addressee | str) -> list[Message]:
        """Every message that was sent to this person or address so far, newest first."""
        return [kept.message for kept in self.messages() if kept.to == address_of(whom)]

    def listed(self) -> str:
        """What is kept, a line for each message."""
        return "".join(f"\n  {_line(kept)}" for kept in self.messages()) or " nothing"


def address_of(whom: Addressee | str) -> str:
    """The address of a person, or the address itself."""
    return whom if isinstance(whom, str) else whom.address


def _line(kept: Kept) -> str:
    return f"{kept.number}. to {kept.to}: {kept.message.subject}"
