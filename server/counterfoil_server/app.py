"""The composition root: the only place where parts are wired together.

One process runs all roles over one state folder. The parts meet in the store and the authority; what one layer needs of
another (a link for a message, an order for the executor) it gets here as a function.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.authority import Authority, Times
from counterfoil.errors import StoreFailed
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing
from counterfoil.roster import RosterTrust
from counterfoil.store import Caps
from counterfoil.tickets import Event
from counterfoil_server import admin_socket, authority_keys, key_files, private_socket, published_keys
from counterfoil_server.administration import Administration
from counterfoil_server.config import Configuration, RetentionSettings
from counterfoil_server.conversation import Conversation
from counterfoil_server.execution.dispatcher import Dispatcher, LocalEngine
from counterfoil_server.execution.executor import Executor
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.listening import allowed_hosts, host_names, listening_socket
from counterfoil_server.opening import DATABASE, LEDGER, open_ledger, open_publisher, open_sealer, pin_party, started_by
from counterfoil_server.store import SQLiteStore, StateFolder
from counterfoil_server.store.sealer import Sealer
from counterfoil_server.telemetry.watch import Watch, metrics_served, watching
from counterfoil_server.verification import Lifetimes, Verification

if TYPE_CHECKING:
    from counterfoil_server.log_audit import LogAudit
    from counterfoil_server.notices import Delivery, Mailbox, Transport
    from counterfoil_server.publishing.publisher import Publisher
    from counterfoil_server.retention import Retention

VERSION = "0.1.0"
GRACE = 5
"""Seconds that open connections may take to end when the server stops."""


@dataclass(frozen=True)
class Demo:
    """What demo mode adds: messages stay in a mailbox whose page asks for the code on the operator's terminal."""

    operator_code: str
    mailbox: Mailbox


@dataclass(frozen=True)
class Parts:
    """Everything that one process runs, wired together."""

    configuration: Configuration
    authority: Authority
    store: SQLiteStore
    executor: Executor
    engine: LocalEngine
    dispatcher: Dispatcher
    conversation: Conversation
    verification: Verification
    delivery: Delivery | None
    administration: Administration
    sealer: Sealer
    publisher: Publisher | None
    watch: Watch


@asynccontextmanager
async def open_parts(
    configuration: Configuration, *, transport: Transport | None = None, clock: Callable[[], float] = time.time
) -> AsyncIterator[Parts]:
    """Own the state folder and wire the parts; nothing listens or runs yet.

    ``transport`` sends the notices; without one they wait in the outbox. ``clock`` gives Unix seconds. Raises
    StateFolderInUse, and every refusal of settings, desk, policy, keys and store.
    """
    desk, policy = configuration.desk, configuration.load_policy()
    with StateFolder.open(configuration.state):
        fresh = not (configuration.state / DATABASE).exists()
        keys = authority_keys.load(configuration, fresh=fresh)
        ledger = open_ledger(configuration.state / LEDGER, fresh=fresh)
        try:
            async with SQLiteStore.open(configuration.state / DATABASE, log_key=keys.secrets.log, clock=clock) as store:
                await pin_party(store, configuration)
                if authority_keys.how_to_change(configuration) is not None:
                    await authority_keys.record(store, keys.ring)
                judge = Judge(
                    desk=desk,
                    policy=policy,
                    store=store,
                    trust=RosterTrust(keys.roster_keys, ledger.roster_version(), configuration.party, keys.replaced),
                    log_key=keys.secrets.log,
                )
                sealer = await open_sealer(store, keys, configuration)
                publisher = await open_publisher(configuration, sealer)
                watch = watching(configuration, keys.trace_key)
                try:
                    yield _wire(configuration, keys, store, judge, ledger, sealer, publisher, transport, watch)
                    with suppress(StoreFailed):  # what is left is sealed at the next start
                        await sealer.seal()
                finally:
                    await watch.close()
        finally:
            ledger.close()


def _wire(
    configuration: Configuration,
    keys: key_files.Keys,
    store: SQLiteStore,
    judge: Judge,
    ledger: Ledger,
    sealer: Sealer,
    publisher: Publisher | None,
    transport: Transport | None,
    watch: Watch,
) -> Parts:
    settings = configuration.settings
    authority = _authority(configuration, keys, judge, watch)
    wakers: list[Callable[[], None]] = []

    async def keep_ring(ring: KeyRing) -> None:
        await anyio.to_thread.run_sync(key_files.keep_ring, configuration.state / "keys", ring)

    def wake() -> None:
        """Something was requested, decided or done: whoever waits for that looks now."""
        for waker in wakers:
            waker()

    async def report(ticket: str, event: Event, outcome: dict[str, object]) -> None:
        await authority.report(ticket, event, outcome)
        wake()

    executor = watch.executor(
        name=settings.executor,
        issuer=configuration.issuer,
        judge=Judge(
            desk=judge.desk,
            policy=judge.policy,  # from files, like the executor's own would be; asking it changes nothing
            store=store,
            trust=judge.trust,
            log_key=keys.secrets.log,
        ),
        authority_keys=lambda: authority.keys.verification_keys,
        ledger=ledger,
        log_key=keys.secrets.log,
        report=report,
        proof=sealer.proof,
        sealed_by=sealer.key,
    )
    engine = LocalEngine(executor)
    dispatcher = Dispatcher(authority, executor, engine)
    organisation = judge.desk.name
    verification = Verification(
        authority,
        public_url=settings.public_url,
        organisation=organisation,
        on_decided=wake,
        lifetimes=Lifetimes(link=settings.times.link),
        locator_key=keys.locator_key,
    )
    delivery = None
    if transport is not None:
        delivery = _delivery(configuration, authority, verification, transport)
        wakers.append(delivery.wake)
    wakers.append(dispatcher.wake)
    conversation = Conversation(
        authority,
        organisation=organisation,
        allowed_hosts=allowed_hosts(configuration),
        allowed_origins=[settings.public_url],
        run_order=lambda ticket, order: executor.run(ticket.id, order),
        wake=wake,
        version=VERSION,
        arguments_key=keys.arguments_key,
        page_of=verification.locator_url,
        watched=watch.calls,
    )

    def audit() -> LogAudit:
        """Who looks through the log, for whoever asks."""
        from counterfoil_server.log_audit import LogAudit  # most processes are never asked

        return LogAudit(
            store, judge, key=keys.secrets.log, sealer=sealer, effect_started=started_by(ledger, configuration)
        )

    def retention() -> Retention:
        """Who deletes what is no longer needed, likewise."""
        from counterfoil_server.retention import Retention

        return Retention(store)

    # A replacement that died before it was finished has the key that still seals among the former ones.
    former = key_files.former_log_keys(configuration.state / "keys")
    administration = Administration(
        authority,
        verify_log=sealer.verify,
        follow_log=executor.examine,
        forget_principals=conversation.forget_principals,
        flush_calls=conversation.recorder.flush,
        keep_ring=keep_ring,
        change_keys=authority_keys.how_to_change(configuration),
        audit=audit,
        read_policy=configuration.read_policy,
        prove_leaf=publisher.proof if publisher is not None else sealer.proof,
        log_key=sealer.key,
        retention=retention,
        publisher=publisher,
        former_log_keys=[each for each in former if each.key != sealer.key],
    )
    return Parts(
        configuration,
        authority,
        store,
        executor,
        engine,
        dispatcher,
        conversation,
        verification,
        delivery,
        administration,
        sealer,
        publisher,
        watch,
    )


def _authority(configuration: Configuration, keys: key_files.Keys, judge: Judge, watch: Watch) -> Authority:
    settings = configuration.settings
    times, caps = settings.times, settings.caps
    return watch.authority(
        issuer=configuration.issuer,
        tenant=settings.tenant,
        executor=settings.executor,
        judge=judge,
        keys=keys.ring,
        secrets=keys.secrets,
        times=Times(ticket=times.ticket, capability=times.capability, run=times.run, signature=times.signature),
        caps=Caps(caps.per_principal, caps.per_account, caps.per_conversation),
        client_isolation=settings.trust_client_isolation,
    )


def _delivery(
    configuration: Configuration, authority: Authority, verification: Verification, transport: Transport
) -> Delivery:
    from counterfoil_server.notices import Delivery, describer  # where nobody is told, nothing of it is loaded

    return Delivery(
        authority.store,
        transport,
        verification.make_link,
        describer(authority, authority.judge.desk.name),
        link_lifetime=configuration.settings.times.link,
    )


def application(parts: Parts, *, demo: Demo | None = None) -> ASGIApp:
    """The HTTP application: MCP at ``/mcp``, turns at ``/conversations/…``, pages, ``/healthz``, public keys; the feed
    where the settings say so, and in demo mode the mailbox. Raises SettingsError where the feed has no token."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.conversation.lifespan(), anyio.create_task_group() as group:
            group.start_soon(parts.sealer.run)
            if parts.publisher is not None:
                group.start_soon(parts.publisher.run)
            group.start_soon(parts.dispatcher.run)
            await group.start(admin_socket.serve, parts.administration, parts.configuration.state)
            await group.start(
                private_socket.serve,
                parts.configuration.state,
                private_socket.CONVERSATION,
                parts.conversation.serve_pipe,
            )
            if parts.delivery is not None:
                group.start_soon(parts.delivery.run)
            if (days := parts.configuration.settings.retention) != RetentionSettings():
                from counterfoil_server.retention import Retention  # where everything is kept, nothing of it is loaded

                group.start_soon(Retention(parts.store).run, days)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await parts.engine.settle()

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    routes = [
        Route("/healthz", health),
        published_keys.route(parts.authority),
        *parts.verification.routes(),
    ]
    if (feed := parts.configuration.settings.feed) is not None:
        from counterfoil_server import feed_endpoint  # most desks have no executor outside

        routes.append(feed_endpoint.route(parts.authority, parts.store, parts.sealer, feed.tokens))
    if demo is not None:
        from counterfoil_server.notices.mailbox_page import mailbox_routes  # a server that sends mail has no such page

        routes += mailbox_routes(
            demo.mailbox, operator_code=demo.operator_code, organisation=parts.authority.judge.desk.name
        )
    pages = Starlette(
        routes=routes + parts.verification.other_routes(),
        lifespan=lifespan,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=host_names(parts.configuration), www_redirect=False)
        ],
    )
    conversation, watched_pages = parts.conversation.asgi_app(), parts.watch.pages(pages)
    turns = cache(lambda: parts.conversation.turns_app(parts.store))

    async def entrance(scope: Scope, receive: Receive, send: Send) -> None:
        """MCP calls and turns go straight to the conversation, which checks hosts itself; everything else is for the
        pages."""
        path = scope["path"] if scope["type"] == "http" else ""
        to = conversation if path == "/mcp" else turns() if path.startswith("/conversations/") else watched_pages
        await to(scope, receive, send)

    return entrance


async def serve(
    configuration: Configuration,
    *,
    transport: Transport | None = None,
    demo: Demo | None = None,
    ready: Callable[[Parts, str], Awaitable[None]] | None = None,
) -> None:
    """Serve until a signal; or until ``ready``, called once listening with the base URL, returns."""
    async with open_parts(configuration, transport=demo.mailbox if demo else transport) as parts:
        watched = metrics_served(configuration, parts.store, parts.sealer, parts.publisher, parts.conversation)
        with listening_socket(configuration) as listener:
            address = f"http://localhost:{listener.getsockname()[1]}"
            server = uvicorn.Server(
                uvicorn.Config(
                    application(parts, demo=demo),
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=GRACE,
                )
            )
            stopped = anyio.Event()
            async with watched, anyio.create_task_group() as group:

                async def run() -> None:
                    await server.serve(sockets=[listener])
                    stopped.set()
                    group.cancel_scope.cancel()

                group.start_soon(run)
                while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                    await anyio.sleep(0.01)
                if ready is not None:
                    await _while_serving(ready(parts, address), server, stopped)


async def _while_serving(work: Awaitable[None], server: uvicorn.Server, stopped: anyio.Event) -> None:
    """Do the work, then let the server end in order, also where the work failed: its tasks still need the store."""
    try:
        await work
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await stopped.wait()


def smtp_transport(configuration: Configuration) -> Transport | None:
    """The transport of the [smtp] settings, if there are any."""
    smtp = configuration.settings.smtp
    if smtp is None:
        return None
    from counterfoil_server.notices.smtp import SMTPTransport  # a desk without mail does without its library

    return SMTPTransport(
        smtp.host, smtp.port, sender=smtp.sender, username=smtp.username, password=smtp.password, tls=smtp.tls
    )
