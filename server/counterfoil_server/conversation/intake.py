"""What stands before the MCP library: who calls, and whether the bytes say one thing only.

The library parses JSON leniently: of two equal keys the last one wins, NaN and lone surrogates pass. So every body is
parsed strictly first (T23), and only then handed on, byte for byte. The rules held here, in this order:

* no call without the bearer token of an enabled principal, nor while nobody can say who that is;
* nothing but POST: there are no sessions to end and no streams to open;
* no body over 256 KiB, whatever its length header says;
* one JSON-RPC message per body, in strict JSON.

The principal travels to the tools in the ASGI scope, under :data:`PRINCIPAL`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mcp_types import INVALID_REQUEST, PARSE_ERROR
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.canonical import MAX_INTEGER, parse_strict
from counterfoil.errors import BadJSON, CounterfoilError, StoreFailed, Unauthenticated
from counterfoil_server.conversation.principals import Principals

PRINCIPAL = "counterfoil.principal"
"""The key of the ASGI scope under which the tools find who calls."""

MAX_BODY = 256 * 1024
"""Bytes. The largest legitimate call is a tool's arguments; this leaves room for a long text."""

MAX_ECHOED_ID = 128
"""Characters of a request id that is repeated in a refusal."""

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
            return await _respond_json(send, 503, {"error": error.to_dict()})
        if principal is None:
            return await _refuse_caller(send, presented=bool(authorization))
        if scope["method"] != "POST":
            return await _respond(send, 405, b"", [(b"allow", b"POST")])
        if declared.isdigit() and int(declared[:20]) > MAX_BODY:
            return await _refuse_message(send, 413, INVALID_REQUEST, _too_long(), None)
        body = await _read_body(receive)
        if body is None:
            return await _refuse_message(send, 413, INVALID_REQUEST, _too_long(), None)
        try:
            message = parse_strict(body)
        except BadJSON as error:
            return await _refuse_message(send, 400, PARSE_ERROR, error, _readable_id(body))
        if not isinstance(message, dict) or not _is_message(message):
            return await _refuse_message(send, 400, INVALID_REQUEST, _not_one_message(), _readable_id(body))
        await self._app({**scope, PRINCIPAL: principal}, _replay(body, receive), send)


def _too_long() -> BadJSON:
    return BadJSON(f"The message is longer than {MAX_BODY // 1024} KiB.", "Send less in one call.")


def _not_one_message() -> BadJSON:
    return BadJSON("The body is not one JSON-RPC message.", "Send one request or notification per POST, no batch.")


def _is_message(value: dict[str, Any]) -> bool:
    """Whether this has the shape of a request, a notification or a response (JSON-RPC 2.0, sections 4 and 5); what its
    method takes is for the library to say."""
    if value.get("jsonrpc") != "2.0" or not (value.get("id") is None or type(value["id"]) in (str, int)):
        return False
    if "method" in value:
        return isinstance(value["method"], str) and isinstance(value.get("params", {}), dict)
    return isinstance(value.get("result"), dict) or isinstance(value.get("error"), dict)


async def _read_body(receive: Receive) -> bytes | None:
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


def _readable_id(body: bytes) -> str | int | None:
    """The id of a request whose JSON is refused, where it can be read, so that its client need not wait in vain."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = message.get("id") if isinstance(message, dict) else None
    if isinstance(found, str):
        return found if len(found) <= MAX_ECHOED_ID else None
    return found if type(found) is int and abs(found) <= MAX_INTEGER else None


async def _refuse_caller(send: Send, *, presented: bool) -> None:
    """401 as RFC 6750, section 3 says; an unknown, a disabled and a malformed token read alike (T32)."""
    challenge = _CHALLENGE + (b', error="invalid_token"' if presented else b"")
    await _respond_json(send, 401, {"error": Unauthenticated().to_dict()}, [(b"www-authenticate", challenge)])


async def _refuse_message(send: Send, status: int, code: int, error: CounterfoilError, to: str | int | None) -> None:
    told = {"code": code, "message": str(error), "data": error.to_dict()}
    await _respond_json(send, status, {"jsonrpc": "2.0", "id": to, "error": told})


async def _respond_json(send: Send, status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    await _respond(send, status, json.dumps(value).encode(), [*headers, (b"content-type", b"application/json")])


async def _respond(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
