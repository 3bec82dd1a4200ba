"""The headers of every answer of the verification layer, and where its pages may be asked from (T17, T18).

A page of ours is framed by nobody, runs no script and no style but our own files, tells no other site where it came
from, and is stored by no cache. A request that changes something comes from one of our own pages or is refused.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import Response

from counterfoil_server.verification.refusals import RequestRefused

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

PERMISSIONS_POLICY = ", ".join(
    (
        "publickey-credentials-get=(self)",
        "publickey-credentials-create=(self)",
        *(f"{feature}=()" for feature in ("camera", "geolocation", "microphone", "payment", "usb")),
    )
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": PERMISSIONS_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}

STRICT_TRANSPORT = "max-age=31536000"
"""One year (OWASP ASVS 5.0, 3.4.1); without subdomains, which are not ours to decide about."""

TOKEN_HEADER = "x-form-token"
SHOWN_HEADER = "x-page-shown"
"""Carries back what a page said it showed, so that nobody signs what changed since they read it (T22)."""
TOKEN_FIELD = "form_token"


def add_headers(response: Response, *, secure: bool) -> None:
    """Set them; ``secure``: our pages are served over TLS."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("cache-control", "no-store")
    if secure:
        response.headers["strict-transport-security"] = STRICT_TRANSPORT


def check_origin(request: Request, origins: frozenset[str]) -> None:
    """Raise :class:`RequestRefused` unless a page of ours sent the request.

    Pages with ``no-referrer`` send their forms with ``Origin: null`` (Fetch, "append a request Origin header"), which
    counts only where the browser also says that the request comes from the same origin.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin") or not (origin in origins or (origin == "null" and site == "same-origin")):
        raise RequestRefused(403, "This request did not come from our own page.", "Open the link from your message.")


def check_token(expected: str, sent: str | None) -> None:
    """Raise :class:`RequestRefused` unless the form token is the one of the page's own cookie."""
    if sent is None or not hmac.compare_digest(expected.encode(), sent.encode()):
        raise RequestRefused(403, "This page is out of date.", "Open the link from your message again.")


def check_shown(request: Request, shown: str) -> None:
    """Raise :class:`RequestRefused` unless the page that sends this showed what has the digest ``shown``."""
    if request.headers.get(SHOWN_HEADER) != shown:
        raise RequestRefused(409, "The page has changed since you read it.", "Reload it and read it again.")
