"""An executor outside as its HTTP protocol has it: a small service over real sockets, with a ledger and with moods.

In a mood it misbehaves once. Its ledger knows what was done, whatever it answered.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

TOKEN = "0123456789abcdef0123456789abcdef01234567"

BYTES: dict[str, bytes] = {
    "says nothing": b"",
    "cuts its answer": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"state":"exe',
    "speaks no HTTP": b"220 mail.example ESMTP\r\n",
    "fails": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nOops",
    "redirects": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "redirects to itself": b"HTTP/1.1 303 See Other\r\nLocation: /orders\r\nContent-Length: 0\r\n\r\n",
    "never ends": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * 3_000_000,
}
"""What is written in a mood, before the connection is closed."""

ANSWERS: dict[str, tuple[int, str, str]] = {
    "answers garbage": (200, "application/json", "{'state': 'not_executed'}"),
    "answers a page": (200, "text/html", '{"state":"not_executed","reason":"x"}'),
    "answers a list": (200, "application/json", '["not_executed"]'),
    "says it twice": (200, "application/json", '{"state":"executed","state":"not_executed","reason":"x"}'),
    "has another word": (200, "application/json", '{"state":"refused","reason":"x"}'),
    "has no word": (200, "application/json", '{"reason":"x"}'),
    "has more to say": (200, "application/json", '{"state":"not_executed","reason":"x","but":"perhaps"}'),
    "has no receipt": (200, "application/json", '{"state":"executed"}'),
    "has a receipt in words": (200, "application/json", '{"state":"executed","receipt":"R-1"}'),
    "has an empty receipt": (200, "application/json", '{"state":"executed","receipt":{}}'),
    "contradicts its status": (409, "application/json", '{"state":"not_executed","reason":"x"}'),
    "waits with 200": (200, "application/json", '{"state":"waiting","reason":"x"}'),
    "refuses with 503": (503, "application/json", '{"state":"not_executed","reason":"x"}'),
    "has never seen it": (404, "application/json", '{"state":"never_seen"}'),
    "does not know the token": (401, "application/json", '{"error":"token"}'),
    "cannot read it": (400, "application/json", '{"error":"order"}'),
    "created something": (201, "application/json", '{"state":"not_executed","reason":"x"}'),
    "is overloaded": (503, "text/plain", "no healthy upstream"),
}
"""What is answered in a mood."""


@dataclass
class Elsewhere:
    """``moods``: how it takes the next calls, one each; ``waits`` and ``unknown`` are answers of the protocol."""

    port: int = 0
    done: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    moods: list[str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    wrong: str = ""
    """Why it refuses for good, where it does."""
    called: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @classmethod
    @asynccontextmanager
    async def open(cls, context: ssl.SSLContext | None = None) -> AsyncIterator[Elsewhere]:
        service = cls()
        server = await asyncio.start_server(service._connected, "localhost", 0, ssl=context)
        service.port = server.sockets[0].getsockname()[1]
        for other in server.sockets[1:]:
            other.close()
        async with server:
            yield service

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in fields)}
            body = await reader.readexactly(int(headers["content-length"]))
            path = line.split(" ")[1]
            self.calls.append((path, headers, body))
            self.called.set()
            mood = self.moods.pop(0) if self.moods else ""
            if mood == "hangs":
                await reader.read()
            elif mood.removesuffix(", having done it") in BYTES:
                self._do(path, headers, only=mood.endswith("done it"))
                writer.write(BYTES[mood.removesuffix(", having done it")])
            else:
                status, media_type, text = ANSWERS.get(mood) or self._answer(path, headers, mood)
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {len(text)}\r\n\r\n{text}"
                    .encode()
                )  # fmt: skip
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str, headers: dict[str, str], mood: str) -> tuple[int, str, str]:
        if headers["authorization"] != f"Bearer {TOKEN}":
            return ANSWERS["does not know the token"]
        if mood == "waits":
            return _json(503, {"state": "waiting", "reason": "The feed is old."})
        if mood == "unknown":
            return _json(409, {"state": "unknown", "reason": "It is under way."})
        self._do(path, headers)
        ticket = path.split("/")[2] if path.endswith("/close") else headers["idempotency-key"]
        if ticket in self.done:
            return _json(200, {"state": "executed", "receipt": {"reference": self.done[ticket], "summary": "paid"}})
        return _json(200, {"state": "not_executed", "reason": self.wrong or "It was closed."})

    def _do(self, path: str, headers: dict[str, str], *, only: bool = True) -> None:
        """What the call means, by the ledger."""
        if not only:
            return
        if path.endswith("/close"):
            ticket = path.split("/")[2]
            if ticket not in self.done:
                self.closed.add(ticket)
            return
        ticket = headers["idempotency-key"]
        if ticket not in self.closed and not self.wrong:
            self.done.setdefault(ticket, f"E-{len(self.done) + 1}")


def _json(status: int, value: object) -> tuple[int, str, str]:
    return status, "application/json", json.dumps(value)
