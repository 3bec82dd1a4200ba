"""The service over HTTP, with the standard library alone.

Everything that comes in is bounded: the number of connections, the time until a request has come, the size of a body,
which is not read before its bearer token was. Every answer is one JSON object; no input gets a traceback.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from counterfoil.bundle import MAX_BUNDLE
from payments_service.service import Answer, BadOrder, PaymentsService

logger = logging.getLogger("payments_service.web")

CONNECTIONS = 32
"""Requests at once; one more is told to come again."""
REQUEST_TIME = 15.0
"""Seconds in which a request has to have come, however slowly it trickles."""
STATUS = {"executed": 200, "not_executed": 200, "unknown": 409, "waiting": 503, "never_seen": 404}
TICKET = re.compile(r"/orders/([\w.~-]{1,200})(/close)?", re.ASCII)
PAYMENT = re.compile(r"/payments/([\w.~-]{1,200})", re.ASCII)
BUSY = b'HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n{"state":"waiting","reason":"Busy."}'


class Refused(Exception):
    """An answer that is no state of a ticket."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Server(ThreadingHTTPServer):
    """Listens until ``shutdown``; ``server_close`` waits for what is being done."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: PaymentsService, token: str) -> None:
        super().__init__(address, Handler)
        self.service = service
        self.token = hashlib.sha256(token.encode()).digest()
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._coming: dict[socket.socket, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(timeout=0.2):
            with suppress(OSError):
                request.settimeout(0.2)
                request.sendall(BUSY)
            self.shutdown_request(request)
            return
        self._coming[request] = time.monotonic() + REQUEST_TIME
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.has_come(request)
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_come(request)
            self._places.release()

    def has_come(self, connection: socket.socket) -> None:
        """The request was read: from now on it may take the time that it takes."""
        self._coming.pop(connection, None)

    def service_actions(self) -> None:
        """Several times a second: whoever has not sent a whole request by now will not be waited for."""
        now = time.monotonic()
        for connection, until in list(self._coming.items()):
            if now > until:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.info("A connection broke.")


class Handler(BaseHTTPRequestHandler):
    """One request of one connection."""

    server: Server
    server_version = "payments"
    sys_version = ""
    default_request_version = "HTTP/1.0"
    timeout = REQUEST_TIME
    _unread = False

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._unread = True
        self._answer(self._post)

    def _get(self) -> tuple[int, dict[str, Any]]:
        service = self.server.service
        if self.path == "/healthz":
            return health(service, named=self._knows_token())
        self._check_token()
        if payment := PAYMENT.fullmatch(self.path):
            found = service.refunds.payment(unquote(payment[1]))
            if found is None:
                raise Refused(404, "There is no payment for such an order.")
            return 200, vars(found)
        match = TICKET.fullmatch(self.path)
        if match is None or match[2]:
            raise Refused(404, "There is nothing here.")
        answer = service.where(match[1])
        return (404 if answer.state == "never_seen" else 200), answer.to_dict()

    def _post(self) -> tuple[int, dict[str, Any]]:
        service = self.server.service
        self._check_token()
        match = TICKET.fullmatch(self.path)
        if match is not None and match[2]:
            self._body(0)
            return _told(service.close(match[1]))
        if self.path != "/orders":
            raise Refused(404, "There is nothing here.")
        return _told(service.take(self._body(MAX_BUNDLE), self._header("Idempotency-Key")))

    def _answer(self, made: Any) -> None:
        try:
            status, value = made()
        except Refused as error:
            status, value = error.status, {"error": str(error)}
        except BadOrder as error:
            status, value = 400, {"error": str(error)}
        except TimeoutError:
            status, value = 408, {"error": "The request did not come in time."}
        except ConnectionError:
            return
        except Exception as error:
            # Nothing is promised, whatever it was: whoever asks again is told where the ticket stands.
            logger.exception("A request failed")
            status, value = 409, {"state": "unknown", "reason": f"The service failed: {type(error).__name__}."}
        self._send(status, value)

    def _send(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)
        if self._unread:
            self._drain()

    def _drain(self) -> None:
        """Take what the client still sends, for a while: a connection closed on it would lose the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            left = MAX_BUNDLE
            while left > 0 and (piece := self.rfile.read1(1 << 16)):
                left -= len(piece)

    def _knows_token(self) -> bool:
        kind, _, token = self._header("Authorization").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).digest()
        return hmac.compare_digest(digest, self.server.token) and kind.lower() == "bearer"

    def _check_token(self) -> None:
        if not self._knows_token():
            raise Refused(401, "Send 'Authorization: Bearer <token>' with the token of this service.")

    def _header(self, name: str) -> str:
        found = self.headers.get_all(name, [])
        if len(found) > 1:
            raise Refused(400, f"The header {name} came more than once.")
        return found[0].strip() if found else ""

    def _body(self, most: int) -> bytes:
        length = self._header("Content-Length")
        if self.headers.get_all("Transfer-Encoding"):
            raise Refused(411, "Send the body with a Content-Length.")
        if not re.fullmatch(r"[0-9]{0,15}", length, re.ASCII):
            raise Refused(400, "The header Content-Length is not a number of bytes.")
        size = int(length or "0")
        if size > most:
            raise Refused(413, f"The body is larger than {most} bytes.")
        body = self.rfile.read(size)
        if len(body) != size:
            raise Refused(400, "The body ended before it was whole.")
        self._unread = False
        self.server.has_come(self.connection)
        return body

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, in the shape of everything else."""
        with suppress(ValueError):
            message = message or HTTPStatus(code).phrase
        self._send(code, {"error": f"The request cannot be read: {message}."})

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def health(service: PaymentsService, *, named: bool) -> tuple[int, dict[str, Any]]:
    """Whether orders would be run now, and why not; and how many tickets have no end, which are ``named`` only to
    whoever knows the token."""
    heard_at, trouble = service.memory.heard_at(), service.feed.trouble
    stale = heard_at is None or abs(service.clock() - heard_at) > service.feed_life
    lies = trouble is not None and trouble.kind == "lies"
    found: dict[str, Any] = {
        "runs": not stale and not lies,
        "heard_at": heard_at,
        "leaves": service.memory.position().size,
        "feed": trouble.words if trouble is not None else "heard",
        "without_end": len(unfinished := service.ledger.without_end()),
    }
    if named:
        found["tickets_without_end"] = [entry.ticket for entry in unfinished]
    return (200 if found["runs"] else 503), found


def _told(answer: Answer) -> tuple[int, dict[str, Any]]:
    return STATUS[answer.state], answer.to_dict()
