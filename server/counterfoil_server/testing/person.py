"""Somebody in a test: a name, an address, a browser, and a passkey in software once they have enrolled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from counterfoil import recipients
from counterfoil_server.notices.messages import Message
from counterfoil_server.testing.assistant import Asked
from counterfoil_server.testing.browser import Page, PageClient, PageRefused
from counterfoil_server.testing.mailbox import Mailbox, NoMessage
from counterfoil_server.verification.links import PATHS

Behind = Callable[[str], Awaitable[str | None]]
"""Which ticket a link is about; None for one that never was."""


@dataclass
class Person:
    """What a person does with the messages that reach them, on the real pages.

    Each step takes the request that an AI got a ticket for, and finds the newest message about it; or a message or a
    link, as somebody has it before them. ``id`` is the person's in the roster, None for one who was never invited.
    Steps raise PageRefused, PasskeyRefused and :class:`NoMessage`.
    """

    name: str
    address: str
    browser: PageClient
    mailbox: Mailbox = field(repr=False)
    behind: Behind = field(repr=False)
    id: str | None = None

    async def reads(self, about: Asked | Message | str) -> Page:
        """Open the link, sign in, and read the page on which to decide."""
        await self._sign_in(about, recipients.APPROVE)
        return await self.browser.read()

    async def approves(self, about: Asked | Message | str, code: str | None = None) -> str:
        """Read and sign; answers the headline that follows.

        ``code`` is the one from the chat. Where the page asks for one and none is given, it is that of the request.
        """
        page = await self.reads(about)
        if code is None and isinstance(about, Asked) and "code" in page.ids:
            code = about.match_code
        return await self._decide("approve", code)

    async def declines(self, about: Asked | Message | str) -> str:
        """Read and decline; answers the headline that follows."""
        await self.reads(about)
        return await self._decide("decline")

    async def disowns(self, about: Asked | Message | str) -> str:
        """Read, and choose "This wasn't me", which also bars whoever asked from the account."""
        await self.reads(about)
        return await self._decide("decline", disown=True)

    async def stops(self, about: Asked | Message | str, code: str | None = None, *, disown: bool = False) -> Page:
        """Stop a request without a passkey, with the code of the message unless another is given; the last page."""
        message = about if isinstance(about, Message) else await self._message(about, recipients.OBJECT)
        return await self.browser.stop(message.link or "", code or message.code or "", disown=disown)

    async def settles(self, about: Asked | Message | str, found: str, reference: str = "") -> Page:
        """Say of an unknown outcome what was found, ``executed`` or ``not_executed``, and sign; the last page."""
        await self._sign_in(about, recipients.SETTLE)
        await self.browser.read("/settle")
        await self.browser.settle(found, reference)
        return await self.browser.read("/settled")

    async def ends_access(self, about: Asked | Message | str) -> Page:
        """Close what an approved access opened, from the page that tells of it; the last page."""
        await self._sign_in(about, recipients.APPROVE)
        page = await self.browser.read("/done")
        return await self.browser.submit("/done/end", page.form)

    async def _decide(self, decision: str, code: str | None = None, *, disown: bool = False) -> str:
        await self.browser.decide(decision, code, disown=disown)
        return str((await self.browser.status())["headline"])

    async def _sign_in(self, about: Asked | Message | str, kind: str) -> None:
        """Open the link and sign in; one that has lapsed is asked for again, as its page offers."""
        link = about.link if isinstance(about, Message) else about
        if isinstance(link, Asked):
            link = (await self._message(link, kind)).link
        try:
            await self.browser.sign_in(link or "")
        except PageRefused as error:
            if not error.lapsed or not isinstance(about, Asked):
                raise
            await self.browser.ask_again(link or "")
            await self.browser.sign_in((await self._message(about, kind)).link or "")

    async def _message(self, about: Asked | str, kind: str) -> Message:
        """The newest message of this kind about a request; or the one that holds this link."""
        await self.mailbox.caught_up()
        for message in self.mailbox.to(self):
            if message.link is None or not urlsplit(message.link).path.startswith(PATHS[kind]):
                continue
            if await self._is_about(message.link, about):
                return message
        wanted = about.ticket if isinstance(about, Asked) else about
        raise NoMessage(f"No message to {self.name} is about {wanted}. The mailbox holds:{self.mailbox.listed()}")

    async def _is_about(self, link: str, about: Asked | str) -> bool:
        return about == link or (isinstance(about, Asked) and await self.behind(link) == about.ticket)
