"""Where an administration verb runs.

The process that owns the state folder runs it, reached over its private socket; where no process owns the folder, this
one takes it, runs the verb and gives it back. Asking the socket first means that stopping things works while the desk
or the policy on disk is broken. A verb is sent at most once: if the owner dies after it was sent, we say that we do not
know, and never send it again.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from counterfoil.errors import StateFolderInUse
from counterfoil_server import admin_socket, private_socket
from counterfoil_server.administration import LOG
from counterfoil_server.cli import first_start
from counterfoil_server.cli.exit_codes import NotReachable
from counterfoil_server.config import Configuration

if TYPE_CHECKING:
    from counterfoil_server.cli.console import Output

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Runs a verb with its arguments; raises its refusal, or one of :data:`BROKEN` where the owner ended."""

TRIES = 2
"""Between the two looks, an owner may have stopped or started once."""

BROKEN = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def call(configuration: Configuration, verb: str, arguments: dict[str, Any], output: Output) -> Any:
    """Run the verb; raises its refusal, or :class:`NotReachable`."""
    for _ in range(TRIES):
        try:
            return await admin_socket.call(configuration.state, verb, arguments)
        except OSError:
            pass  # nobody listens
        except BROKEN:
            raise NotReachable(
                "The serving process stopped before it answered; the command may or may not have taken effect.",
                "Look before you repeat it, with 'counterfoil tickets list', 'suspensions' or 'people list'.",
            ) from None
        try:
            return await _call_here(configuration, verb, arguments, output)
        except StateFolderInUse:
            continue  # it was taken in between
    raise _silent_owner(configuration)


def _silent_owner(configuration: Configuration) -> NotReachable:
    return NotReachable(f"Another process owns the state folder {configuration.state}, but it does not answer.")


@asynccontextmanager
async def many_calls(configuration: Configuration, verbs: str, output: Output) -> AsyncIterator[Call]:
    """Run many verbs like ``verbs``, one after the other. Where no process owns the folder this one does until the end:
    it takes long to open, and nobody must change what is read meanwhile."""
    try:
        async with await private_socket.connect(configuration.state, private_socket.ADMINISTRATION):
            pass
    except OSError:
        async with AsyncExitStack() as stack:
            try:
                call = await stack.enter_async_context(_owning(configuration, output, verbs))
            except StateFolderInUse:
                raise _silent_owner(configuration) from None
            yield call
        return
    yield functools.partial(admin_socket.call, configuration.state)


async def _call_here(configuration: Configuration, verb: str, arguments: dict[str, Any], output: Output) -> Any:
    async with _owning(configuration, output, verb) as call:
        return await call(verb, arguments)


@asynccontextmanager
async def _owning(configuration: Configuration, output: Output, verb: str) -> AsyncIterator[Call]:
    """Take the folder, and answer what runs ``verb`` and its like."""
    fresh = first_start.is_fresh(configuration)
    if verb.startswith(LOG) and not fresh:
        from counterfoil_server.log_opening import open_log

        async with open_log(configuration) as audit:
            yield audit.call
        return
    from counterfoil_server.app import open_parts

    async with open_parts(configuration) as parts:
        if fresh:
            first_start.explain(configuration, output)
        yield parts.administration.call
