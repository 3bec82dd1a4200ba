"""The witness over HTTP: ``POST /add-checkpoint`` of https://c2sp.org/tlog-witness."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from counterfoil.checkpoints import LOG, NoteKey
from counterfoil.errors import SettingsError, StoreFailed
from counterfoil.witness import MAX_SUBMISSION, Refusal, read_submission
from counterfoil_server.witness.memory import Memory

logger = logging.getLogger(__name__)

TOO_LARGE = 413
NOT_KEPT = 503
SIZE_TYPE = "text/x.tlog.size"


def application(memory: Memory, logs: Sequence[NoteKey], *, clock: Callable[[], float] = time.time) -> Starlette:
    """The service. ``logs``: whose checkpoints are cosigned; raises :class:`SettingsError` for keys that cannot be."""
    watched = {key.name: key for key in logs}
    if len(watched) != len(logs) or not logs or any(key.kind != LOG for key in logs):
        raise SettingsError(
            "A witness watches one or more logs, each by one key that signs a log's checkpoints.",
            "Name each with --log, as 'counterfoil prove --trust' writes it under log_key.",
        )
    busy = asyncio.Lock()

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse("The request is too large.\n", TOO_LARGE)
        asked = read_submission(body)
        if isinstance(asked, Refusal):
            return _refused(asked)
        async with busy:  # what is compared and what is kept must not change in between
            try:
                answer = await asyncio.to_thread(partial(memory.cosign, asked, watched, clock))
            except StoreFailed as error:
                logger.error("%s", error)
                return PlainTextResponse("Nothing can be cosigned at the moment.\n", NOT_KEPT)
        return _refused(answer) if isinstance(answer, Refusal) else PlainTextResponse(answer)

    async def who(_: Request) -> Response:
        return PlainTextResponse(f"{memory.key.to_text()}\n")

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/", who)])


async def _body(request: Request) -> bytes | None:
    """What was sent; None for more than is read."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_SUBMISSION:
                return None
    except ClientDisconnect:
        return b""
    return body


def _refused(refusal: Refusal) -> Response:
    if refusal.forked is not None:
        logger.error("Two histories of the log %s: %s", refusal.forked.origin, refusal.says)
    if refusal.known is not None:
        return Response(f"{refusal.known}\n".encode(), refusal.status, {"content-type": SIZE_TYPE})
    return PlainTextResponse(f"{refusal.says}\n", refusal.status)
