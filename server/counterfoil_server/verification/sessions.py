"""Cookies: what a browser carries between our pages, and the form token that proves a page is ours (T16, T17).

There are four cookies, never one in two roles. The *visit* cookie comes with a link's page and carries no authority:
it only ties a form to the browser that was shown it. A *session* begins with a signed-in passkey and is for one person
and one ticket; a *settle session* likewise, where what became of the ticket is to be established; a *stop session*
begins with the code of a message and can do nothing but stop one ticket. Every session has a fresh value, so a cookie
from before means nothing afterwards, and none suffices to decide (T08).

The form token is derived from the cookie, which no script can read and no other site knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from counterfoil.canonical import b64, digest
from counterfoil.errors import LinkRefused
from counterfoil.store import Secret, Store
from counterfoil_server.verification.headers import TOKEN_HEADER, check_origin, check_token
from counterfoil_server.verification.secrets_kept import (
    SESSION,
    SETTLE_SESSION,
    STOP_SESSION,
    new_secret,
    read_secret,
    secret_digest,
)

NAMES = {SESSION: "counterfoil", SETTLE_SESSION: "counterfoil-settle", STOP_SESSION: "counterfoil-stop"}
VISIT = "counterfoil-visit"

NO_SESSION = LinkRefused("You are not signed in, or not any more.", "Open the newest link from your messages again.")


@dataclass(frozen=True)
class Session:
    """Who is here, and for which ticket."""

    digest: str
    person: str
    ticket: str
    credential: str
    token: str
    """The form token of this session's pages."""


@dataclass(frozen=True)
class Visit:
    """A browser that was shown a page before anyone signed in."""

    cookie: bytes
    token: str

    @property
    def digest(self) -> str:
        """What ties a challenge to this browser."""
        return digest("counterfoil-visit", self.cookie)


class Sessions:
    """Begins, finds and checks them."""

    def __init__(self, store: Store, origins: frozenset[str], *, secure: bool, life: int) -> None:
        self._store = store
        self._origins = origins
        self._secure = secure
        self._prefix = "__Host-" if secure else ""
        self._life = life

    # Before sign-in

    def visit(self, request: Request) -> Visit:
        """The browser's visit, or a new one; :meth:`keep` puts it into the answer."""
        cookie = self._cookie(request, VISIT) or new_secret()
        return Visit(cookie, form_token(cookie))

    def keep(self, response: Response, visit: Visit) -> None:
        """Set the visit cookie. ``Lax``, so that opening a second link from a mail does not replace the first visit."""
        response.set_cookie(
            self._prefix + VISIT, b64(visit.cookie), path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def check_visit(self, request: Request, token: str | None = None) -> Visit:
        """The visit of a request that our own page sent; raises RequestRefused for any other.

        ``token`` is the form's; without one the header's counts.
        """
        check_origin(request, self._origins)
        cookie = self._cookie(request, VISIT)
        check_token(form_token(cookie or new_secret()), request.headers.get(TOKEN_HEADER) if token is None else token)
        return Visit(cookie or b"", form_token(cookie or b""))

    # After it

    async def begin(
        self, request: Request, response: Response, kind: str, *, ticket: str, person: str = "", credential: str = ""
    ) -> None:
        """Begin a session under a fresh cookie, and end the browser's former one of this kind."""
        former = self._cookie(request, NAMES[kind])
        if former is not None:
            await self._store.take_secret(kind, secret_digest(kind, former))
        cookie = new_secret()
        data = {"ticket": ticket, "credential": credential}
        await self._store.put_secret(
            Secret(kind, secret_digest(kind, cookie), person, data, self._store.now() + self._life)
        )
        response.set_cookie(
            self._prefix + NAMES[kind], b64(cookie), max_age=self._life, path="/",
            secure=self._secure, httponly=True, samesite="strict",
        )  # fmt: skip
        response.delete_cookie(self._prefix + VISIT, path="/", secure=self._secure, httponly=True, samesite="lax")

    async def find(self, request: Request, kind: str) -> Session:
        """The browser's session; raises :class:`LinkRefused` without one."""
        cookie = self._cookie(request, NAMES[kind]) or new_secret()
        known = secret_digest(kind, cookie)
        found = await self._store.secret(kind, known)
        if found is None:
            raise NO_SESSION
        return Session(
            known, found.subject, str(found.data["ticket"]), str(found.data["credential"]), form_token(cookie)
        )

    async def check(self, request: Request, kind: str, token: str | None = None) -> Session:
        """Like :meth:`find`, for a request that changes something: it must come from our own page."""
        check_origin(request, self._origins)
        session = await self.find(request, kind)
        check_token(session.token, request.headers.get(TOKEN_HEADER) if token is None else token)
        return session

    def _cookie(self, request: Request, name: str) -> bytes | None:
        return read_secret(request.cookies.get(self._prefix + name))


def form_token(cookie: bytes) -> str:
    """The token that our pages send back with everything that changes something."""
    return digest("counterfoil-form", cookie)
