"""``POST /conversations/{conversation}/turns``: the application that hosts a chat tells what was said in it.

Rules: nobody but the principal whose conversation it is, by its bearer token; a foreign, an ended and an unknown one
answer alike (T39). No browser: hosts are checked as at ``/mcp``, and a request that says where its page came from is
refused. Strict JSON, everything bounded, all of a call or nothing of it; what is sent again under the same ids is kept
once. One call is looked through at a time, and those of one principal one after another: whoever floods it keeps
neither other principals nor tickets waiting (T13). What must not be kept is cut out before anything is written, and no
refusal repeats what was sent.

Loaded at the first such call: most desks have none.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

import anyio
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from counterfoil.authority import Authority
from counterfoil.canonical import parse_strict
from counterfoil.errors import (
    BadArguments,
    BadJSON,
    CounterfoilError,
    StoreFailed,
    Suspended,
    TooManyRequests,
    UnknownConversation,
)
from counterfoil.operations import explain
from counterfoil.redaction import redact, removed
from counterfoil.store import Principal
from counterfoil.turns import Limits, Role, TurnDraft, TurnStore, turn_key, turns_leaf
from counterfoil.values import Frozen
from counterfoil_server.conversation.intake import read_body, refuse_caller
from counterfoil_server.conversation.principals import Principals
from counterfoil_server.json_rpc import MAX_BODY

logger = logging.getLogger(__name__)

PATH = re.compile(r"/conversations/([^/]{1,200})/turns")
LATEST = 4_102_444_800
"""The year 2100: what a host may say of the time; later ones are a mistake of units."""
TRIES = 3
"""How often a call is sorted again because another one brought some of its turns meanwhile."""
WAITING = 32
"""Calls of one principal at once; more are refused."""
LIMITS = Limits()

STATUS: dict[type[CounterfoilError], int] = {
    UnknownConversation: 404, Suspended: 403, TooManyRequests: 429, StoreFailed: 503,
}  # fmt: skip
"""HTTP statuses of refusals; 400 for any other."""


class Turn(Frozen):
    """One turn, as it is sent."""

    role: Role
    text: Annotated[str, Field(min_length=1, max_length=LIMITS.text)]
    at: Annotated[int, Field(ge=0, le=LATEST)] | None = None
    """Unix seconds, by the host's clock."""
    id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The host's own: what is sent again under it is kept once."""


class Turns(Frozen):
    """The body of a call."""

    turns: Annotated[list[Turn], Field(min_length=1, max_length=LIMITS.per_call)]


@dataclass
class Queue:
    """The calls of one principal: how many there are, and whose turn it is."""

    calls: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class TurnIntake:
    """The ASGI application behind ``/conversations/``."""

    def __init__(
        self, authority: Authority, store: TurnStore, principals: Principals, allowed_hosts: Sequence[str],
        limits: Limits = LIMITS,
    ) -> None:  # fmt: skip
        self._authority = authority
        self._store = store
        self._principals = principals
        self._limits = limits
        self._queues: dict[str, Queue] = {}
        self._looking = asyncio.Lock()
        self._security = TransportSecurityMiddleware(
            TransportSecuritySettings(allowed_hosts=list(allowed_hosts), allowed_origins=[])
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope)
        refusal = await self._security.validate_request(request)
        if refusal is not None:
            return await refusal(scope, receive, send)
        authorization = [value for name, value in scope["headers"] if name == b"authorization"]
        try:
            principal = await self._principals.of(authorization)
        except StoreFailed as error:
            return await _refused(error)(scope, receive, send)
        if principal is None:
            return await refuse_caller(send, presented=bool(authorization))
        try:
            response = await self._answer(request, receive, principal)
        except CounterfoilError as error:
            response = _refused(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request, receive: Receive, principal: Principal) -> Response:
        found = PATH.fullmatch(request.scope["path"])
        if found is None:
            raise UnknownConversation()
        if request.method != "POST":
            return Response(status_code=405, headers={"allow": "POST"})
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refused(BadJSON("The body is not said to be JSON.", "Send it as application/json."), 415)
        body = await read_body(receive)
        if body is None:
            too_long = BadJSON(f"The message is longer than {MAX_BODY // 1024} KiB.", "Send fewer turns in one call.")
            return _refused(too_long, 413)
        conversation = (await self._authority.conversation(principal.id, found[1])).id
        scopes = ("everything", f"principal:{principal.id}", f"conversation:{conversation}")
        if await self._authority.store.suspensions(scopes):
            raise Suspended()
        sent = _read(body)
        async with self._in_turn(principal.id), self._looking:
            # It takes seconds for the worst of bodies, and others wait.
            drafts = await anyio.to_thread.run_sync(_drafts, conversation, sent)
        stored = await self._add(conversation, principal.id, drafts)
        marks = sum(removed(draft.text) for draft in stored)
        return JSONResponse(
            {
                "conversation": conversation,
                "stored": len(stored),
                "known_before": len(drafts) - len(stored),
                "removed": marks,
            }
        )

    @asynccontextmanager
    async def _in_turn(self, principal: str) -> AsyncIterator[None]:
        """Wait for the principal's earlier calls; raises :class:`TooManyRequests` where too many do."""
        queue = self._queues.setdefault(principal, Queue())
        if queue.calls >= WAITING:
            raise TooManyRequests("Too many calls of this principal wait for their turn.", "Send them again later.")
        queue.calls += 1
        try:
            async with queue.turn:
                yield
        finally:
            queue.calls -= 1
            if not queue.calls:
                del self._queues[principal]

    async def _add(self, conversation: str, principal: str, drafts: Sequence[TurnDraft]) -> Sequence[TurnDraft]:
        """Keep what is not known yet, and answer that."""
        for _ in range(TRIES):
            keys = [draft.key for draft in drafts if draft.key is not None]
            known = set(await self._store.known_turns(conversation, keys)) if keys else set()
            new: list[TurnDraft] = []
            for draft in drafts:
                if draft.key is None or draft.key not in known:
                    new.append(draft)
                if draft.key is not None:
                    known.add(draft.key)
            if not new:
                return new
            leaf = turns_leaf(conversation, principal, new)
            if await self._store.add_turns(conversation, principal, new, leaf=leaf, limits=self._limits):
                return new
        raise StoreFailed("The same turns are being sent by several calls at once.", "Send them again.")


def _read(body: bytes) -> list[Turn]:
    value = parse_strict(body)
    try:
        return Turns.model_validate(value).turns
    except ValidationError as error:
        raise BadArguments(explain(error)[:500], "Correct them and send them again.") from None


def _drafts(conversation: str, sent: Sequence[Turn]) -> list[TurnDraft]:
    return [
        TurnDraft(
            role=turn.role,
            text=redact(turn.text),
            said_at=turn.at,
            key=turn_key(conversation, turn.id) if turn.id is not None else None,
        )
        for turn in sent
    ]


def _refused(error: CounterfoilError, status: int | None = None) -> Response:
    if status is None:
        status = next((number for kind, number in STATUS.items() if isinstance(error, kind)), 400)
    return JSONResponse({"error": error.to_dict()}, status)
