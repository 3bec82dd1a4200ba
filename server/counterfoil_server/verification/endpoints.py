"""One address, its methods, and one way to answer every refusal: friendly words, a proper status, the same headers.

A refusal never becomes a server error, and an error that nobody foresaw is told in words that reveal nothing (T34).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from counterfoil.errors import CounterfoilError
from counterfoil_server.verification.headers import add_headers
from counterfoil_server.verification.refusals import UNEXPECTED, RequestRefused, for_people, status_of
from counterfoil_server.verification.rendering import Pages

Handler = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """Answers one address. ``speaks_json``: its caller is a script of ours, not a person."""

    pages: Pages
    secure: bool
    handlers: Mapping[str, Handler]
    speaks_json: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application of the address."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        add_headers(response, secure=self.secure)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        handler = self.handlers.get("GET" if request.method == "HEAD" else request.method)
        try:
            if handler is None:
                raise RequestRefused(405, "This address does not understand that.")
            return await handler(request)
        except ClientDisconnect:
            raise
        except CounterfoilError as error:
            return self._refusal(for_people(error), status_of(error))
        except Exception:
            # The address itself holds a secret, so only the kind of page is named.
            logger.exception("A page failed unexpectedly (%s).", request.method)
            return self._refusal(UNEXPECTED, 503)

    def _refusal(self, error: CounterfoilError, status: int) -> Response:
        response = (
            JSONResponse(error.to_dict(), status_code=status) if self.speaks_json else self.pages.refusal(error, status)
        )
        if status == 405:
            response.headers["allow"] = ", ".join(sorted(self.handlers))
        return response
