"""Who plays in the story, besides the assistant: people who use the real pages with authenticators in software."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from counterfoil.testing import PageClient, SoftwareAuthenticator

if TYPE_CHECKING:
    from counterfoil_server.cli.demo import Stage

PATIENCE = 10.0
"""Seconds for which a message is awaited that usually takes some milliseconds."""


class Role(NamedTuple):
    """A person of the story, as the roster will know them."""

    name: str
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    email: str


@dataclass
class Person:
    """Somebody with a passkey, a browser and a mailbox."""

    role: Role
    browser: PageClient
    stage: Stage
    seen: int = 0
    """The number of the newest message that was read."""

    async def new_message(self, subject: str = "waits for your decision") -> Any:
        """The next message of that kind to this person."""
        kept = await self.stage.mailbox.wait_for(
            lambda kept: kept.to == self.role.email and kept.number > self.seen and subject in kept.message.subject,
            PATIENCE,
        )
        self.seen = kept.number
        return kept.message

    async def open_request(self) -> str:
        """Follow the link of the next message, sign in, and answer the words of the page."""
        message = await self.new_message()
        await self.browser.sign_in(message.link)
        return (await self.browser.read()).text

    async def decide(self, decision: str, code: str | None = None, *, disown: bool = False) -> str:
        """Decide the request on the open page; answers the headline that follows."""
        await self.browser.decide(decision, code, disown=disown)
        status = await self.browser.status()
        return str(status["headline"])


class Cast:
    """Everybody who was invited; people enrol when they first appear."""

    def __init__(self, stage: Stage, stack: AsyncExitStack) -> None:
        self._stage = stage
        self._stack = stack
        self._people: dict[str, Person] = {}

    async def person(self, role: Role) -> Person:
        """The person, invited and enrolled through the real pages if they were not before."""
        if role.name not in self._people:
            browser = await self._stack.enter_async_context(PageClient(self._stage.base_url, SoftwareAuthenticator()))
            url = await self._stage.invite(role.name, accounts=role.accounts, roles=role.roles, email=role.email)
            await browser.enrol(url)
            self._people[role.name] = Person(role, browser, self._stage)
        return self._people[role.name]

    async def message_to(self, role: Role, words: str) -> Any:
        """The message with these words to somebody who may have no passkey."""
        kept = await self._stage.mailbox.wait_for(
            lambda kept: kept.to == role.email and words in kept.message.text, PATIENCE
        )
        return kept.message

    async def stops(self, message: Any) -> str:
        """Follow a message's link in a browser that nobody has signed in with, type its code, and stop the request;
        answers the words of the page."""
        async with PageClient(self._stage.base_url, SoftwareAuthenticator()) as browser:
            return (await browser.stop(message.link, message.code)).text
