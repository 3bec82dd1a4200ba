"""One JSON-RPC message as bytes: read strictly, or refused with an answer: a body over HTTP, or a line of a pipe.

The rules held here: at most 256 KiB, strict JSON (T23), one message and no batch. What is refused is answered with the
request's id where that can be read, so that its client need not wait in vain.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mcp_types import INVALID_REQUEST, PARSE_ERROR

from counterfoil.canonical import MAX_INTEGER, parse_strict
from counterfoil.errors import BadJSON, CounterfoilError

MAX_BODY = 256 * 1024
"""Bytes. The largest legitimate call is a tool's arguments; this leaves room for a long text."""

MAX_ECHOED_ID = 128
"""Characters of a request id that is repeated in a refusal."""

RequestId = str | int

_ID = rb'"id"\s*:\s*("(?:[^"\\]|\\.){0,%d}"|-?[0-9]{1,16})\s*' % MAX_ECHOED_ID
_ID_AT_THE_BEGINNING = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb"[,}]")
_ID_AT_THE_END = re.compile(rb",\s*" + _ID + rb"\}\s*\Z")
"""The last brace of a message closes its outermost object, so what stands right before it belongs to that one."""


class Refused(Exception):
    """A message that is not handed on. ``code``: of JSON-RPC; ``to``: the id of the request, where it is known."""

    def __init__(self, code: int, error: CounterfoilError, to: RequestId | None) -> None:
        super().__init__(str(error))
        self.code = code
        self.error = error
        self.to = to

    def answer(self) -> bytes:
        """The JSON-RPC error that answers it."""
        told = {"code": self.code, "message": str(self.error), "data": self.error.to_dict()}
        return json.dumps({"jsonrpc": "2.0", "id": self.to, "error": told}).encode()


class TooLong(Refused):
    """A message over the limit."""

    def __init__(self, to: RequestId | None) -> None:
        error = BadJSON(f"The message is longer than {MAX_BODY // 1024} KiB.", "Send less in one call.")
        super().__init__(INVALID_REQUEST, error, to)


def read_message(body: bytes) -> dict[str, Any]:
    """The message in ``body``; raises :class:`Refused`."""
    if len(body) > MAX_BODY:
        raise TooLong(id_at_the_ends(body, body))
    try:
        message = parse_strict(body)
    except BadJSON as error:
        raise Refused(PARSE_ERROR, error, readable_id(body)) from None
    if not isinstance(message, dict):
        raise Refused(INVALID_REQUEST, not_one_message(), None)
    if not _is_message(message):
        raise Refused(INVALID_REQUEST, not_one_message(), readable_id(body))
    return message


def _is_message(value: dict[str, Any]) -> bool:
    """Whether this has the shape of a request, a notification or a response (JSON-RPC 2.0, sections 4 and 5); what its
    method takes is for the library to say."""
    if value.get("jsonrpc") != "2.0" or not (value.get("id") is None or type(value["id"]) in (str, int)):
        return False
    if "method" in value:
        return isinstance(value["method"], str) and isinstance(value.get("params", {}), dict)
    return isinstance(value.get("result"), dict) or isinstance(value.get("error"), dict)


def not_one_message() -> BadJSON:
    """The refusal of JSON that is no message."""
    return BadJSON("This is not one JSON-RPC message.", "Send one request or notification at a time, no batch.")


def readable_id(body: bytes) -> RequestId | None:
    """The id of a request whose JSON is refused, if there is a plain one."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return echoable(message.get("id")) if isinstance(message, dict) else None


def id_at_the_ends(head: bytes, tail: bytes) -> RequestId | None:
    """The id of a message too long to be parsed, of which only both ends are known; clients write it first or last."""
    found = _ID_AT_THE_BEGINNING.match(head) or _ID_AT_THE_END.search(tail)
    try:
        return echoable(json.loads(found[1])) if found else None
    except ValueError:
        return None


def echoable(found: Any) -> RequestId | None:
    """The id, if it is short and plain enough to be repeated."""
    if isinstance(found, str):
        return found if len(found) <= MAX_ECHOED_ID else None
    return found if type(found) is int and abs(found) <= MAX_INTEGER else None
