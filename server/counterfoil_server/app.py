"""The composition root: the only place where parts are wired together.

One process runs all roles over one state folder. The parts meet in the store and the authority; what one layer needs of
another (a link for a message, an order for the executor) it gets here as a function.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

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
from counterfoil.checkpoints import LOG, NoteKey, NoteSigner
from counterfoil.errors import SettingsError, StoreFailed
from counterfoil.judgement import Judge
from counterfoil.keys import KeyRing
from counterfoil.roster import RosterTrust
from counterfoil.store import Caps
from counterfoil.tickets import Event
from counterfoil_server import admin_socket, authority_keys, key_files, log_keys, private_socket, published_keys
from counterfoil_server.administration import Administration
from counterfoil_server.config import Configuration, RetentionSettings
from counterfoil_server.conversation import Conversation
from counterfoil_server.execution.dispatcher import Dispatcher, LocalEngine
from counterfoil_server.execution.executor import Executor
from counterfoil_server.execution.ledger import Ledger
from counterfoil_server.listening import allowed_hosts, host_names, listening_socket
from counterfoil_server.store import SQLiteStore, StateFolder
from counterfoil_server.store.sealer import LOG_KEY, Sealer
from counterfoil_server.telemetry.watch import Watch, metrics_served, watching
from counterfoil_server.verification import Lifetimes, Verification

if TYPE_CHECKING:
    from counterfoil_server.log_audit import LogAudit
    from counterfoil_server.notices import Delivery, Mailbox, Transport
    from counterfoil_server.publishing.publisher import Publisher
    from counterfoil_server.retention import Retention

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
DATABASE = "counterfoil.db"
LEDGER = "ledger.db"
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
                await _pin_party(store, configuration)
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


def open_ledger(path: Path, *, fresh: bool) -> Ledger:
    """The executor's ledger. Beside an existing database a missing one is refused: an empty one forgets what ran."""
    if not fresh and not path.exists():
        raise StoreFailed(
            f"The executor's ledger {path} is missing, but there is a database.",
            "Restore it from your backup; without it, what ran before could run again.",
        )
    return Ledger(path)


def started_by(ledger: Ledger, configuration: Configuration) -> Callable[[str], int | None]:
    """When the executor started a ticket's effect (Unix seconds), by its ledger; None where it never did."""

    def started(ticket: str) -> int | None:
        effect = ledger.effect(configuration.issuer, ticket)
        return effect.started_at if effect else None

    return started


async def open_sealer(store: SQLiteStore, keys: key_files.Keys, configuration: Configuration) -> Sealer:
    """The sealer of the store's log, which was checked against what was sealed before.

    The log keeps the name that it had first, whatever the settings say later.
    """
    signer = await log_signer(store, keys, configuration)
    await log_keys.adopt(store, signer, configuration.state / key_files.CHECKPOINT)
    sealer = await Sealer.open(store, signer, configuration.state / key_files.CHECKPOINT)
    sealer.former = [each.key for each in key_files.former_log_keys(configuration.state / "keys")]
    return sealer


async def open_publisher(configuration: Configuration, sealer: Sealer) -> Publisher | None:
    """Who publishes the log's checkpoints, if anybody; what was published before was compared with the log."""
    if not configuration.settings.log.wanted:
        return None
    from counterfoil_server import log_publishing  # where nothing is published, nothing of it is loaded

    return await log_publishing.open_publisher(configuration, sealer)


async def log_signer(store: SQLiteStore, keys: key_files.Keys, configuration: Configuration) -> NoteSigner:
    """The key that seals the store's log, under the log's name."""
    pinned = await store.setting(LOG_KEY)
    name = NoteKey.from_text(pinned).name if pinned is not None else log_name(configuration.issuer)
    return NoteSigner.of(name, LOG, keys.log)


def log_name(issuer: str) -> str:
    """What a log is called: a URL without its scheme, as is the custom (https://c2sp.org/tlog-checkpoint)."""
    return f"{quote(issuer.partition('://')[2] or issuer, safe='/:.-_~')}/log"


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
    authority = watch.authority(
        issuer=configuration.issuer,
        tenant=settings.tenant,
        executor=settings.executor,
        judge=judge,
        keys=keys.ring,
        secrets=keys.secrets,
        times=Times(
            ticket=settings.times.ticket,
            capability=settings.times.capability,
            run=settings.times.run,
            signature=settings.times.signature,
        ),
        caps=Caps(settings.caps.per_principal, settings.caps.per_account, settings.caps.per_conversation),
        client_isolation=settings.trust_client_isolation,
    )
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
        from counterfoil_server.notices import Delivery, describer  # where nobody is told, nothing of it is loaded

        delivery = Delivery(
            store,
            transport,
            verification.make_link,
            describer(authority, organisation),
            link_lifetime=settings.times.link,
        )
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


def application(parts: Parts, *, demo: Demo | None = None) -> ASGIApp:
    """The HTTP application: MCP at ``/mcp``, turns at
    ``/conversations/…``, pages, ``/healthz``, public keys; the feed where the settings say so, and in demo mode the
    mailbox. Raises SettingsError where the feed has no token."""

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


async def _pin_party(store: SQLiteStore, configuration: Configuration) -> None:
    """Refuse a silent change of the passkeys' host: it would void every passkey."""
    pinned = await store.setting("rp_id")
    if pinned is None:
        await store.put_setting("rp_id", configuration.party.id)
    elif pinned != configuration.party.id:
        raise SettingsError(
            f"The passkeys of this state folder are bound to the host {pinned}, but public_url is at"
            f" {configuration.party.id}.",
            "Restore public_url; or use a fresh state folder and invite everyone again.",
        )
