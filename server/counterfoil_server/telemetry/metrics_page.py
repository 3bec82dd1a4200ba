"""``GET /metrics``, on a port of its own and never on the public one.

It tells how much business is done, so not everybody may read it: by default it listens on this machine only, where a
browser is kept out by the host name that it has to call; from elsewhere, and wherever one is set, it needs a token.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil_server.config import Configuration
from counterfoil_server.listening import bound
from counterfoil_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

SHORTEST_TOKEN = 16


def metrics_listener(configuration: Configuration, port: int) -> socket.socket:
    """The bound socket; raises SettingsError where the address is taken."""
    return bound(configuration.settings.telemetry.metrics_host, port, "metrics_port")


def token_of(configuration: Configuration) -> str | None:
    """What has to be presented; None where nothing has to be. Raises SettingsError where that would be too little."""
    settings = configuration.settings.telemetry
    if settings.metrics_token_env is None:
        if not on_this_machine(settings.metrics_host):
            raise SettingsError(
                f"{configuration.place('telemetry', 'metrics_host')}: anybody who reaches {settings.metrics_host} could"
                " read the metrics.",
                "Set 'metrics_token_env' as well, or let metrics_host be 127.0.0.1.",
            )
        return None
    token = os.environ.get(settings.metrics_token_env, "")
    if len(token) < SHORTEST_TOKEN or not token.isascii():
        raise SettingsError(
            f"The environment variable {settings.metrics_token_env} holds no token of {SHORTEST_TOKEN} characters or"
            " more.",
            "Set it to a long random text, and give it to Prometheus as its bearer token.",
        )
    return token


def on_this_machine(host: str) -> bool:
    """Whether only programs of this machine reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def metrics_application(metrics: Metrics, configuration: Configuration, token: str | None) -> Starlette:
    """The application of the port."""

    async def answer(request: Request) -> Response:
        if token is not None and not _presents(request, token):
            return PlainTextResponse(
                "Present the bearer token.\n", 401, {"www-authenticate": 'Bearer realm="counterfoil metrics"'}
            )
        try:
            text = await metrics.text()
        except CounterfoilError as error:
            logger.error("Metrics could not be read: %s", error)
            return PlainTextResponse(f"{error}\n", 503)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"cache-control": "no-store"})

    settings = configuration.settings
    names = ["localhost", "127.0.0.1", "::1", "[::1]", settings.telemetry.metrics_host, *settings.allowed_hosts]
    # A token is no browser's to present.
    hosts = ["*"] if token is not None else names
    return Starlette(
        routes=[Route("/metrics", answer, methods=["GET"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
    )


def _presents(request: Request, token: str) -> bool:
    given = request.headers.getlist("authorization")
    return len(given) == 1 and secrets.compare_digest(given[0].encode(), f"Bearer {token}".encode())
