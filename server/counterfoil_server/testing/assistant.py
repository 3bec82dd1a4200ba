"""The AI of a test: a client of the official MCP library over HTTP, with the bearer token of one principal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from counterfoil.reads import CONVERSATION
from counterfoil.tickets import TERMINAL, State
from counterfoil.values import Money
from counterfoil_server.conversation.answers import ERROR_META

PATIENCE = 10.0
"""Seconds for which an outcome is awaited that usually takes some milliseconds."""

ENDED = TERMINAL | {State.UNKNOWN}
"""States that nothing leaves by itself."""


@dataclass(frozen=True)
class Answer:
    """What a tool answered: ``words`` for the model, ``values`` for programs.

    ``ok`` False is a refusal, with its stable ``code`` where it has one.
    """

    ok: bool
    words: str
    values: dict[str, Any]
    code: str | None = None

    def __getitem__(self, name: str) -> str:
        return str(self.values[name])


class ToolRefused(Exception):
    """A tool refused. ``words``: what the model is told; ``code``: the refusal's stable code, where it has one."""

    def __init__(self, tool: str, answer: Answer) -> None:
        super().__init__(f"{tool}: {answer.words}")
        self.words = answer.words
        self.code = answer.code


@dataclass(frozen=True)
class Asked:
    """What an AI got for a request: a ticket, and the code that the holder types on the page."""

    ticket: str
    match_code: str
    answer: Answer = field(repr=False)

    @property
    def status(self) -> str:
        """Where the ticket stood when it was answered."""
        return self.answer["status"]


def money(value: str, currency: str = "EUR") -> Money:
    """An amount: ``money("20.00")``."""
    return Money(value=value, currency=currency)


async def _at_once() -> None:
    """Waits for nothing."""


class Assistant:
    """One AI client. :meth:`call` answers as a model is answered and never waits; everything else raises
    :class:`ToolRefused`, and lets the desk do first what is due (``caught_up``)."""

    def __init__(self, client: Client, caught_up: Callable[[], Awaitable[None]] = _at_once) -> None:
        self._client = client
        self._caught_up = caught_up

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, token: str, mode: str = "auto", caught_up: Callable[[], Awaitable[None]] = _at_once
    ) -> AsyncIterator[Assistant]:
        """Speak to the server at ``url``. ``mode``: ``legacy`` for the handshake of older protocol versions."""
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30.0) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=mode) as client:
                yield cls(client, caught_up)

    @property
    def protocol(self) -> str:
        """The protocol version in use."""
        return self._client.protocol_version

    async def tools(self) -> list[str]:
        """The names of what is offered."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, tool: str, /, **arguments: Any) -> Answer:
        """Call a tool; a protocol error counts as an answer, as it does for a model."""
        try:
            result = await self._client.call_tool(tool, plain(arguments))
        except MCPError as error:
            return Answer(False, error.message, {})
        words = "\n".join(block.text for block in result.content if block.type == "text")
        refusal = (result.meta or {}).get(ERROR_META) or {}
        return Answer(not result.is_error, words, result.structured_content or {}, refusal.get("code"))

    async def request(self, operation: str, /, **arguments: Any) -> Asked:
        """Ask for an operation: ``request("credit", account="C-1", amount=money("20.00"))``.

        ``note`` and ``conversation`` go along like any argument; an :class:`Asked` stands for its ticket.
        """
        answer = await self._granted(f"request_{operation}", arguments)
        return Asked(answer["ticket"], answer["match_code"], answer)

    async def read(self, name: str, /, **arguments: Any) -> Any:
        """What a read answers. A result that is no object comes as it is, without the ``result`` it travels in."""
        values = (await self._granted(name, arguments)).values
        return values["result"] if values.keys() == {"result"} else values

    async def status(self, asked: Asked | str) -> Answer:
        """What the AI is told of a ticket."""
        return await self._granted("ticket_status", {"ticket": asked})

    async def cancel(self, asked: Asked | str) -> Answer:
        """Withdraw a request."""
        return await self._granted("cancel_ticket", {"ticket": asked})

    async def redeem(self, asked: Asked | str, capability: str | None = None) -> Answer:
        """Carry out a confirmed request whose delivery is ``collected``, with the capability that its status hands
        out unless another is given."""
        if capability is None:
            capability = str((await self.status(asked)).values.get("capability"))
        return await self._granted("redeem_ticket", {"ticket": asked, "capability": capability})

    async def start_conversation(self) -> Conversation:
        """A handle for one chat with one person."""
        answer = await self._granted("start_conversation", {})
        return Conversation(self, answer["conversation"])

    async def outcome(self, ticket: str) -> Answer:
        """The status once the ticket has ended, or after some patience; for a desk that runs by itself."""
        with anyio.move_on_after(PATIENCE):
            while True:
                answer = await self.call("ticket_status", ticket=ticket)
                if not answer.ok or answer["status"] in ENDED:
                    return answer
                await anyio.sleep(0.05)
        return answer

    async def _granted(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        await self._caught_up()
        answer = await self.call(tool, **arguments)
        if not answer.ok:
            raise ToolRefused(tool, answer)
        return answer


@dataclass(frozen=True)
class Conversation:
    """One chat of an AI with one person; its handle goes along with everything that is asked and read in it."""

    assistant: Assistant = field(repr=False)
    id: str

    async def request(self, operation: str, /, **arguments: Any) -> Asked:
        """Like :meth:`Assistant.request`. ``request("access", account=…)`` asks the holder to open their records."""
        return await self.assistant.request(operation, **arguments, **{CONVERSATION: self.id})

    async def read(self, name: str, /, **arguments: Any) -> Any:
        """A personal read, under the grant that the holder gave to this conversation."""
        return await self.assistant.read(name, **arguments, **{CONVERSATION: self.id})


def plain(value: Any) -> Any:
    """The value as JSON: money and other models as objects, what was asked for as its ticket."""
    match value:
        case Asked():
            return value.ticket
        case BaseModel():
            return value.model_dump(mode="json")
        case Mapping():
            return {name: plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value
