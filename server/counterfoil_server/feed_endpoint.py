"""``GET /feed?first=N``: the log, as executors outside follow it (``counterfoil/feed.py``).

The protocol is written down in ``docs/spec/outside-executor.md``.

Rules:

* only who knows a token of the feed reads it; without one in the settings there is no such address, nor is this loaded;
* what was committed before it was asked for is sealed before it is answered: a revocation that was answered is in the
  very next page. The signed time is that of before the sealing, so that it never says too much;
* a page is answered whole or not at all, and never larger than a follower reads;
* one page is made at a time, and after it none for some times as long as it took (:data:`REST`): whoever asks in a
  loop, or with many calls at once, gets a share of this process and no more, and tickets do not wait for it;
* each token has places of its own to wait in, and one call of it at most is among those whose turn comes: whoever fills
  its places keeps nobody else out, and waits for itself;
* a call has its place until its page was taken, which is sent a piece at a time: who does not read what it asked for
  fills its places, and not the memory of this process.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from counterfoil.authority import Authority
from counterfoil.bundle import BundledLeaf
from counterfoil.errors import BadArguments, CounterfoilError, StoreFailed, TamperDetected, Unauthenticated
from counterfoil.feed import LEAVES_A_PAGE, MAX_PAGE, state, write_page
from counterfoil.feed_leaves import OPENED
from counterfoil.log import Leaf
from counterfoil_server.store import SQLiteStore
from counterfoil_server.store.sealer import Sealer

PATH = "/feed"

REST, LONGEST_REST = 4, 1.0
"""For each second of work on a page, seconds in which none is made; and the most of it."""
WAITING = 16
"""Calls by one token that wait for their page, or take it, at once; more are refused."""
READ_AT_ONCE = 100
"""Leaves read together: their openings, which most are read without, may be large."""
PIECE = 64 * 1024
"""Bytes of a page that are sent at once; the next when the connection has room again."""
ROOM = MAX_PAGE - 64 * 1024
"""Bytes of a page's leaves; the rest is for its checkpoint, proof and signature."""

NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

logger = logging.getLogger(__name__)


@dataclass
class Caller:
    """Whoever has this token: how many calls of it wait, and which of them is next."""

    token: bytes
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Turns:
    """Whose turn it is to have a page made."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    not_before: float = 0.0
    """By the event loop's clock."""


class Feed:
    """The ASGI application of the address."""

    def __init__(self, authority: Authority, store: SQLiteStore, sealer: Sealer, tokens: list[str]) -> None:
        self._authority = authority
        self._store = store
        self._sealer = sealer
        self._callers = [Caller(token.encode()) for token in tokens]
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET; refuse everything else."""
        request = Request(scope, receive)
        caller = self._caller(request)
        if caller is None:
            refused = _refused(401, _unknown(), {"www-authenticate": 'Bearer realm="counterfoil feed"'})
        elif request.method != "GET":
            refused = Response(status_code=405, headers=HEADERS | {"allow": "GET"})
        elif len(asked := request.query_params.getlist("first")) != 1 or NUMBER.fullmatch(asked[0]) is None:
            refused = _refused(400, _not_a_number())
        elif caller.waiting >= WAITING:
            refused = _refused(503, _busy(), {"retry-after": "1"})
        else:
            caller.waiting += 1
            try:
                await _send_in_pieces(await self._answer(caller, int(asked[0])), send)
            finally:
                caller.waiting -= 1
            return
        await refused(scope, receive, send)

    async def _answer(self, caller: Caller, first: int) -> Response:
        try:
            async with caller.lock:
                body = await self._in_turn(first)
        except BadArguments as error:
            return _refused(400, error)
        except CounterfoilError as error:
            logger.error("The feed could not be answered: %s", error)
            return _refused(503, _not_now(), {"retry-after": "1"})
        return Response(body, media_type="application/json", headers=HEADERS)

    def _caller(self, request: Request) -> Caller | None:
        """Whose token was presented; all are compared, whichever it is."""
        presented = [value for name, value in request.headers.raw if name == b"authorization"]
        scheme, _, token = presented[0].partition(b" ") if len(presented) == 1 else (b"", b"", b"")
        found = [caller for caller in self._callers if hmac.compare_digest(token, caller.token)]
        return found[0] if found and scheme.lower() == b"bearer" else None

    async def _in_turn(self, first: int) -> bytes:
        turns, clock = self._turns, asyncio.get_running_loop().time
        async with turns.lock:
            await asyncio.sleep(max(0.0, turns.not_before - clock()))
            began = clock()
            try:
                return await self._page(first)
            finally:
                turns.not_before = clock() + min(LONGEST_REST, REST * (clock() - began))

    async def _page(self, first: int) -> bytes:
        """The page from ``first`` on; raises :class:`BadArguments` beyond the log's end."""
        now = self._store.now()
        await self._sealer.seal()
        checkpoint = self._sealer.checkpoint
        if checkpoint is None:
            raise StoreFailed("The log was never sealed.")
        if first > checkpoint.size:
            raise _beyond(first, checkpoint.size)
        leaves = await self._leaves(first, min(first + LEAVES_A_PAGE, checkpoint.size))
        end, proof = first + len(leaves), list[bytes]()
        if end < checkpoint.size:
            # At least as large as the one above, so the page still ends before it.
            proof, checkpoint = await self._sealer.consistency(end)
        statement = await state(
            self._authority.keys.current,
            issuer=self._authority.issuer,
            checkpoint=checkpoint.note,
            now=now,
            within=self._authority.times.signature,
        )
        return await asyncio.to_thread(
            write_page, statement, first=first, leaves=leaves, consistency=proof, checkpoint=checkpoint.note
        )

    async def _leaves(self, first: int, end: int) -> list[BundledLeaf]:
        """The leaves before ``end``, as many as a page has room for."""
        found: list[BundledLeaf] = []
        room, at = ROOM, first
        while at < end:
            read = await self._store.leaves(after=at - 1, limit=min(READ_AT_ONCE, end - at))
            if not read or read[0].index != at or read[-1].index != at + len(read) - 1:
                raise TamperDetected(f"Leaf {at} of the log, or one soon after it, is missing.")
            for leaf in map(_of_page, read):
                room -= _size(leaf)
                if room < 0 and found:
                    return found
                found.append(leaf)
            at += len(read)
        return found


def route(authority: Authority, store: SQLiteStore, sealer: Sealer, tokens: list[str]) -> Route:
    """Where it is served."""
    return Route(PATH, Feed(authority, store, sealer, tokens))


async def _send_in_pieces(answer: Response, send: Send) -> None:
    """Each piece waits until the connection has room for it; all at once, the whole answer would be copied there."""
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    for start in range(0, len(answer.body), PIECE):
        piece = answer.body[start : start + PIECE]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _of_page(leaf: Leaf) -> BundledLeaf:
    opening = leaf.opening.decode() if leaf.opening is not None and leaf.event in OPENED else None
    return BundledLeaf(body=leaf.body.decode(), opening=opening)


def _size(leaf: BundledLeaf) -> int:
    """Bytes of the leaf in a page, at most."""
    return len(json.dumps([leaf.body, leaf.opening])) + len('{"body":,"opening":},')


def _refused(status: int, error: CounterfoilError, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error.to_dict()}, status, HEADERS | (headers or {}))


def _unknown() -> Unauthenticated:
    return Unauthenticated(remedy="Send 'Authorization: Bearer <token>' with a token of the desk's [feed] settings.")


def _not_a_number() -> BadArguments:
    return BadArguments(
        "The feed is asked for from one leaf on, and the address does not say which.",
        f"Ask for {PATH}?first=N, N being the number of leaves that were read; 0 at first.",
    )


def _beyond(first: int, size: int) -> BadArguments:
    return BadArguments(
        f"The log ends before leaf {first}: it has {size}.",
        "Who has read more of it than there is was shown another log, or this one was set back: ask its operator.",
    )


def _not_now() -> StoreFailed:
    return StoreFailed("The log cannot be sealed or read now.", "Run nothing meanwhile, and ask again.")


def _busy() -> StoreFailed:
    return StoreFailed(
        f"{WAITING} calls with this token wait for the feed already.",
        "Ask again in a second, and not twice at once. If other executors have the same token, give each one of its own"
        " in [feed.executors] of the desk's settings.",
    )
