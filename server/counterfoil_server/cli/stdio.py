"""``serve --stdio``: the desk for one AI client that starts it and speaks MCP over stdin and stdout.

Where a process serves the state folder already (``serve``, ``demo --stay``, or another ``serve --stdio``), this one
attaches to it over a private socket and only carries lines: there is one server, one record, one set of pages. Where
none does, this process serves the desk itself, pages for people included, for as long as its client stays.

Nothing but protocol goes to stdout; what a person should know goes to stderr. A refusal to start also answers the
client's first request, because most clients show that and hide stderr.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from counterfoil.errors import CounterfoilError, SettingsError, StateFolderInUse
from counterfoil_server import private_socket
from counterfoil_server.cli import first_start, logs, serving
from counterfoil_server.cli.bridge import Bridge, answer_first
from counterfoil_server.cli.exit_codes import NotReachable, OwnerStopped
from counterfoil_server.cli.session import Session
from counterfoil_server.cli.standard_streams import Wire
from counterfoil_server.config import Configuration
from counterfoil_server.store import StateFolder

if TYPE_CHECKING:
    from counterfoil_server.app import Parts

logger = logging.getLogger(__name__)

START_PATIENCE = 20.0
"""Seconds for which an owner that was only just started, or a command that borrowed the folder, is waited for."""

LOOK_AGAIN = 0.1
"""Seconds between two looks for it."""

FIRST_REQUEST_PATIENCE = 3.0
"""Seconds in which a client's first request must come, to be answered with why there is no server."""


def run(session: Session, *, no_notices: bool) -> None:
    """Serve one client until it is gone; raises what keeps it from being served."""
    wire = Wire.claim()
    logs.configure(as_json=session.as_json)
    if wire.is_terminal:
        session.output.warn("This speaks MCP on stdin and stdout; an AI client is to start it. Stop it with Ctrl-C.")
    with serving.stopped_by_signal() as listens:
        try:
            anyio.run(_run, session, wire, no_notices, listens)
        except BaseExceptionGroup as group:
            if group.subgroup(KeyboardInterrupt) is None:
                raise
            raise KeyboardInterrupt from None  # the signal came in the middle of a task


async def _run(session: Session, wire: Wire, no_notices: bool, listens: Callable[[], None]) -> None:
    try:
        await _attach_or_serve(session, wire, no_notices, listens)
    except OwnerStopped:
        raise  # whoever waited was told
    except (CounterfoilError, OSError, BaseExceptionGroup) as error:
        if (told := _refusal(error)) is not None:
            with anyio.move_on_after(FIRST_REQUEST_PATIENCE):
                await answer_first(wire, told)
        raise


async def _attach_or_serve(session: Session, wire: Wire, no_notices: bool, listens: Callable[[], None]) -> None:
    configuration = session.configuration
    deadline = anyio.current_time() + START_PATIENCE
    while anyio.current_time() < deadline:
        try:
            owner = await private_socket.connect(configuration.state, private_socket.CONVERSATION)
        except OSError:
            pass  # nobody listens
        else:
            return await _attach(configuration, wire, owner)
        try:
            return await _serve_here(session, wire, no_notices, listens)
        except StateFolderInUse:
            await anyio.sleep(LOOK_AGAIN)  # it is about to listen, or about to give the folder back
    raise NotReachable(f"Another process owns the state folder {configuration.state}, but it does not answer.")


async def _attach(configuration: Configuration, wire: Wire, owner: ByteStream) -> None:
    logger.info("Attached to the process that serves the state folder %s", configuration.state)
    async with owner:
        await Bridge(wire, owner).carry()


async def _serve_here(session: Session, wire: Wire, no_notices: bool, listens: Callable[[], None]) -> None:
    from counterfoil_server import app

    configuration = session.configuration
    if _is_owned(configuration):
        raise StateFolderInUse()  # it is attached to, whatever the settings say about notices
    try:
        transport = serving.transport_of(configuration, no_notices=no_notices)
    except SettingsError as error:
        raise _with_a_way_out(configuration, error) from None
    fresh = first_start.is_fresh(configuration)

    async def ready(parts: Parts, base_url: str) -> None:
        listens()
        if fresh:
            first_start.explain(configuration, session.output)
        serving.log_welcome(configuration, base_url, told=transport is not None)
        async with await private_socket.connect(configuration.state, private_socket.CONVERSATION) as owner:
            try:
                await Bridge(wire, owner).carry()
            except OwnerStopped:
                logger.info("Stopped")  # this process itself was told to

    await app.serve(configuration, transport=transport, ready=ready)


def _is_owned(configuration: Configuration) -> bool:
    """Whether a living process says that the state folder is its own."""
    occupant = StateFolder.occupant(configuration.state)
    if occupant is None:
        return False
    try:
        os.kill(occupant.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _with_a_way_out(configuration: Configuration, error: SettingsError) -> SettingsError:
    if configuration.settings.smtp is not None:
        return error
    return SettingsError(
        error.happened,
        "Run 'counterfoil demo --stay' in a terminal and connect again: this attaches to it. Or add [smtp] with host"
        " and sender to counterfoil.toml, or --no-notices to the command.",
    )


def _refusal(error: BaseException) -> CounterfoilError | None:
    from counterfoil_server.cli.main import refusal_of

    return refusal_of(error)
