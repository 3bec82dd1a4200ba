"""What stands before the MCP library: who calls, and whether the bytes say one thing only.

The library parses JSON leniently: of two equal keys the last one wins, NaN and lone surrogates pass. So every body is
parsed strictly first (T23), and only then handed on, byte for byte. The rules held here, in this order:

* no call without the bearer token of an enabled principal, nor while nobody can say who that is;
* nothing but POST: there are no sessions to end and no streams to open;
* no body over 256 KiB, whatever its length header says;
* one JSON-RPC message per body, in strict JSON.

The principal travels to the tools in the ASGI scope, under :data:`PRINCIPAL`; the message as it was read, which says
how it can be answered, under :data:`MESSAGE`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.errors import StoreFailed, Unauthenticated
from counterfoil_server.conversation.principals import Principals
from counterfoil_server.json_rpc import MAX_BODY, Refused, TooLong, read_message

PRINCIPAL = "counterfoil.principal"
"""The key of the ASGI scope under which the tools find who calls."""

MESSAGE = "counterfoil.message"
"""The key of the ASGI scope that holds the JSON-RPC message as it was read."""

JSON_TYPE = (b"content-type", b"application/json")

_CHALLENGE = b'Bearer realm="counterfoil"'


class Intake:
    """The ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, principals: Principals) -> None:
        self._app = app
        self._principals = principals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one HTTP request and hand it on, or answer it."""
        if scope["type"] != "http":
            raise RuntimeError("the conversation speaks HTTP only; its lifespan is entered by whoever mounts it")
        authorization: list[bytes] = []
        declared = b"0"
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization.append(value)
            elif name == b"content-length":
                declared = value
        try:
            principal = await self._principals.of(authorization)
        except StoreFailed as error:
            return await respond_json(send, 503, {"error": error.to_dict()})
        if principal is None:
            return await refuse_caller(send, presented=bool(authorization))
        if scope["method"] != "POST":
            return await _respond(send, 405, b"", [(b"allow", b"POST")])
        if declared.isdigit() and int(declared[:20]) > MAX_BODY:
            return await _refuse_message(send, 413, TooLong(None))
        body = await read_body(receive)
        if body is None:
            return await _refuse_message(send, 413, TooLong(None))
        try:
            message = read_message(body)
        except Refused as refused:
            return await _refuse_message(send, 400, refused)
        await self._app({**scope, PRINCIPAL: principal, MESSAGE: message}, _replay(body, receive), send)


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is too long. A caller who hangs up leaves what came so far, which is no JSON."""
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > MAX_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body once more, then goes on with the original."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse_caller(send: Send, *, presented: bool) -> None:
    """401 as RFC 6750, section 3 says; an unknown, a disabled and a malformed token read alike (T32)."""
    challenge = _CHALLENGE + (b', error="invalid_token"' if presented else b"")
    await respond_json(send, 401, {"error": Unauthenticated().to_dict()}, [(b"www-authenticate", challenge)])


async def _refuse_message(send: Send, status: int, refused: Refused) -> None:
    await _respond(send, status, refused.answer(), [JSON_TYPE])


async def respond_json(send: Send, status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    await _respond(send, status, json.dumps(value).encode(), [*headers, JSON_TYPE])


async def _respond(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
