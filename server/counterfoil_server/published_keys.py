"""``/.well-known/jwks.json``: the authority's public keys, for whoever verifies its tokens from outside.

All that the ring holds and that nobody stopped, as a JWK Set (RFC 7517, section 5). The next key is among them long
before it signs, so that a verifier which keeps an answer for its lifetime is not surprised by a rotation.
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from counterfoil.authority import Authority
from counterfoil.errors import CounterfoilError

PATH = "/.well-known/jwks.json"
LIFE = 60
"""Seconds for which an answer may be kept: as long as an outside verifier may go on believing a revoked key."""

HEADERS = {"cache-control": f"public, max-age={LIFE}", "x-content-type-options": "nosniff"}
METHODS = ("GET", "HEAD")

logger = logging.getLogger(__name__)


class KeySetResponse(JSONResponse):
    """A JWK Set; the media type is that of RFC 7517, section 8.5.2."""

    media_type = "application/jwk-set+json"


class PublishedKeys:
    """The ASGI application of the address."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; refuse everything else with 405."""
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(METHODS)})
        try:
            keys = await self._authority.good_keys()
        except CounterfoilError as error:
            logger.error("The authority's keys could not be published: %s", error)
            return Response(status_code=503, headers={"cache-control": "no-store"})
        return KeySetResponse({"keys": [key.to_jwk() | {"use": "sig"} for key in keys.values()]}, headers=HEADERS)


def route(authority: Authority) -> Route:
    """Where it is served."""
    return Route(PATH, PublishedKeys(authority))
