"""Who plays in the story, all over real interfaces: the assistant speaks MCP over HTTP, people use the real pages with
authenticators in software.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from counterfoil_server.testing import PageClient, SoftwareAuthenticator

if TYPE_CHECKING:
    from counterfoil_server.cli.demo import Stage

PATIENCE = 10.0
"""Seconds for which a message or an outcome is awaited; both usually take some milliseconds."""

ENDED = frozenset({"executed", "not_executed", "unknown", "declined", "cancelled", "expired", "revoked"})


@dataclass(frozen=True)
class Answer:
    """What a tool answered: ``words`` for the model, ``values`` for programs; ``ok`` False is a refusal."""

    ok: bool
    words: str
    values: dict[str, Any]

    def __getitem__(self, name: str) -> str:
        return str(self.values[name])


class Assistant:
    """An AI client of the real MCP SDK, with the bearer token of one principal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, token: str, mode: str = "auto") -> AsyncIterator[Assistant]:
        """Speak to the server at ``url``. ``mode``: ``legacy`` for the handshake of older protocol versions."""
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30.0) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=mode) as client:
                yield cls(client)

    @property
    def protocol(self) -> str:
        """The protocol version in use."""
        return self._client.protocol_version

    async def tools(self) -> list[str]:
        """The names of what is offered."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool; a protocol error counts as an answer, as it does for a model."""
        try:
            result = await self._client.call_tool(tool, arguments)
        except MCPError as error:
            return Answer(False, error.message, {})
        words = "\n".join(block.text for block in result.content if block.type == "text")
        return Answer(not result.is_error, words, result.structured_content or {})

    async def outcome(self, ticket: str) -> Answer:
        """The status once the ticket has ended, or after some patience."""
        with anyio.move_on_after(PATIENCE):
            while True:
                answer = await self.call("ticket_status", ticket=ticket)
                if not answer.ok or answer["status"] in ENDED:
                    return answer
                await anyio.sleep(0.05)
        return answer


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
