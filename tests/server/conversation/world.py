"""A whole conversation layer over the real store and authority, served on a loopback port, and clients for it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import uvicorn
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from capabilities.world import join
from counterfoil.authority import Authority, Secrets
from counterfoil.canonical import b64
from counterfoil.desk import Desk
from counterfoil.evidence import SignedStatement
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing, SigningKey
from counterfoil.leaves import administered, stepped
from counterfoil.policy import Policy
from counterfoil.roster import (
    NO_RECORD,
    Enrolment,
    Invitation,
    RosterTrust,
    SignedEnrolment,
    record_digest,
    secret_key_of,
    sign_record,
    sign_with_secret,
)
from counterfoil.store import Caps, Principal, Step
from counterfoil.tickets import Event, Ticket
from counterfoil.values import Account, Execution, NotExecuted
from counterfoil_server.bearer import new_token, token_digest
from counterfoil_server.conversation import Conversation
from counterfoil_server.store import SQLiteStore
from counterfoil_server.verification.locators import Locators
from server.conversation.passkey import PARTY, Passkey

MODERN = "2026-07-28"
ERAS = (MODERN, "2025-11-25", "2025-06-18")


@dataclass
class World:
    """One desk, served."""

    desk: Desk
    store: SQLiteStore
    authority: Authority
    roster_key: SigningKey
    port: int
    token: str = ""
    passkey: Passkey = field(default_factory=lambda: Passkey("pk-maria"))
    woken: int = 0
    engine_fails: bool = False
    conversation: Conversation = field(init=False)
    has_run: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def wake(self) -> None:
        self.woken += 1

    async def run_order(self, ticket: Ticket, order: str) -> None:
        """What the execution layer does, without its checks: run the connector once, report how it ended."""
        if self.engine_fails:
            raise OSError("the engine's disk is full")
        operation = self.desk.operations[ticket.operation]
        assert ticket.account is not None
        execution = Execution(ticket=ticket.id, idempotency_key=ticket.id)
        arguments = operation.call_arguments(ticket.envelope.arguments.encode(), Account(ticket.account))
        try:
            receipt = await operation.run(execution, **arguments)
        except NotExecuted as error:
            await self.authority.report(ticket.id, Event.REPORT_NOT_EXECUTED, {"reason": str(error)})
        else:
            await self.authority.report(ticket.id, Event.REPORT_EXECUTED, {"receipt": receipt.model_dump(mode="json")})
        finally:
            self.has_run.set()

    async def principal(self, name: str) -> str:
        """Add a principal; answers its token."""
        token = new_token()
        principal = Principal(name, None, self.store.now(), None)
        await self.store.add_principal(principal, token_digest(token), administered("add_principal", name=name))
        return token

    async def enrol(self, person: str, account: str) -> None:
        """The holder of an account enrols the world's passkey."""
        secret, now = secrets.token_bytes(32), self.store.now()
        invitation = Invitation(
            version=1, previous=NO_RECORD, person=person, name=person.title(), accounts=(account,), roles=(),
            channels=(f"{person}@boats.example",), secret_key=secret_key_of(secret), iat=now, exp=now + 3600,
        )  # fmt: skip
        record = sign_record(self.roster_key, invitation)
        await self.store.add_roster_record(record, version=1, leaf=administered("invite", person=person))
        enrolment = Enrolment(
            invitation=record_digest(record), person=person, credential=self.passkey.credential,
            public_key=b64(self.passkey.public_key), backup_eligible=False, party=PARTY.id, iat=now,
        )  # fmt: skip
        signed = SignedEnrolment(
            enrolment=enrolment,
            secret_signature=sign_with_secret(secret, enrolment),
            assertion=self.passkey.sign(enrolment.challenge),
        )
        await join(self.store, signed.to_text())

    async def step(self, ticket: str, *events: Event, outcome: str | None = None) -> None:
        """Take these transitions, as the other layers would."""
        for event in events:
            await self.store.step(ticket, Step(event, stepped(event, ticket), outcome=outcome))

    async def approve(self, ticket: str, person: str) -> Ticket:
        """The holder confirms with code and passkey, as the page would have it."""
        code = self.authority.match_code(ticket)
        offer = await self.authority.prepare(ticket, person, self.passkey.credential, "approve", code)
        assertion = self.passkey.sign(offer.challenge)
        return await self.authority.decide(ticket, SignedStatement(offer.statement_bytes, assertion))

    async def claim(self, ticket: str) -> None:
        """Confirm and redeem it, as far as executing."""
        await self.enrol("maria", "B-1")
        await self.approve(ticket, "maria")
        await self.authority.redeem(ticket, await self.authority.mint(ticket), presenter="agent")

    def http(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """A plain HTTP client that sends this token, or the world's own."""
        sent = {"authorization": f"Bearer {token or self.token}"} | headers
        return httpx2.AsyncClient(headers=sent, timeout=30)

    @asynccontextmanager
    async def client(self, era: str = MODERN, token: str | None = None) -> AsyncIterator[ClientSession]:
        """A connected client of the MCP library, speaking this protocol version."""
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self.http(token))
            yield await stack.enter_async_context(connected(streamable_http_client(self.url, http_client=http), era))


@asynccontextmanager
async def connected(transport: AbstractAsyncContextManager[Any], era: str) -> AsyncIterator[ClientSession]:
    """A client of the MCP library on this transport, speaking this protocol version."""
    async with AsyncExitStack() as stack:
        if era == MODERN:
            client = await stack.enter_async_context(Client(transport, mode=era))
            yield client.session
            return
        read, write = await stack.enter_async_context(transport)
        session = await stack.enter_async_context(ClientSession(dispatcher=JSONRPCDispatcher(read, write)))
        params = types.InitializeRequestParams(
            protocol_version=era,
            capabilities=types.ClientCapabilities(),
            client_info=types.Implementation(name="test", version="1"),
        )
        result = await session.send_request(types.InitializeRequest(params=params), types.InitializeResult)
        assert result.protocol_version == era
        session.adopt(result)
        await session.send_notification(types.InitializedNotification())
        yield session


async def call(session: ClientSession, tool: str, **arguments: Any) -> types.CallToolResult:
    """Call a tool; the result, checked by the client against the tool's output schema."""
    result = await session.call_tool(tool, arguments)
    assert isinstance(result, types.CallToolResult)
    return result


def words(result: types.CallToolResult) -> str:
    """The text of a result."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@asynccontextmanager
async def open_world(
    folder: Path,
    desk: Desk,
    policy: str,
    *,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    caps: Caps | None = None,
) -> AsyncIterator[World]:
    """Serve ``desk`` until left."""
    log_key = secrets.token_bytes(32)
    roster_key = SigningKey.generate()
    desk.check()
    listening = listen()
    port = int(listening.getsockname()[1])
    async with SQLiteStore.open(folder / "counterfoil.db", log_key=log_key) as store:
        judge = Judge(
            desk=desk,
            policy=Policy.load(policy, desk),
            store=store,
            trust=RosterTrust({roster_key.id: roster_key.public}, 0, PARTY),
            log_key=log_key,
        )
        authority = Authority(
            issuer="http://localhost:8700", tenant="test", executor="local", judge=judge,
            keys=KeyRing(SigningKey.generate(), SigningKey.generate()),
            secrets=Secrets(secrets.token_bytes(32), secrets.token_bytes(32), log_key), caps=caps,
        )  # fmt: skip
        world = World(desk, store, authority, roster_key, port)
        world.token = await world.principal("agent")
        world.conversation = Conversation(
            authority,
            organisation=desk.name,
            allowed_hosts=[f"127.0.0.1:{port}", f"localhost:{port}"],
            allowed_origins=[f"http://127.0.0.1:{port}", f"http://localhost:{port}"],
            run_order=world.run_order,
            wake=world.wake,
            version="0.1.0",
            page_of=Locators(secrets.token_bytes(32), authority.issuer).url,
        )
        async with served(wrap(world.conversation.asgi_app()), world.conversation.lifespan, listening):
            yield world


def listen() -> socket.socket:
    """A listening socket on a free loopback port."""
    # With the protocol named, asyncio turns Nagle's algorithm off; without, every answer waits 40 ms for an ACK.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


@asynccontextmanager
async def served(app: ASGIApp, lifespan: Callable[[], Any], listening: socket.socket) -> AsyncIterator[None]:
    """Run uvicorn on a listening socket until left."""

    @asynccontextmanager
    async def whole(_: Starlette) -> AsyncIterator[None]:
        async with lifespan():
            yield

    starlette = Starlette(routes=[Route("/mcp", endpoint=app)], lifespan=whole)
    config = uvicorn.Config(starlette, log_level="warning", lifespan="on", access_log=False)
    server = uvicorn.Server(config)
    task: Awaitable[None] = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
