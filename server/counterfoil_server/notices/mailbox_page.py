"""The demo's mailbox as pages: what would have gone out as e-mail. It exists in demo only.

Rules: nothing is shown before the code that the operator's terminal printed was typed; five wrong ones lock the page
for the life of the process. A session is a random cookie that scripts cannot read and other sites cannot send. A link
can be followed only where it leads back to this server. Everything is escaped, and the page runs no script.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from itertools import groupby
from textwrap import dedent
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from counterfoil_server.notices.messages import INDENT, PAGES, SIGNATURE, in_utc, templates
from counterfoil_server.notices.transports import Kept, Mailbox

TRIES = 5
"""Wrong codes, by anybody, before the page is locked for the process."""
SESSION = 12 * 3600
"""Seconds for which a browser stays signed in."""
MAX_SESSIONS = 50
"""More would mean that somebody signs in by program; the oldest is dropped."""
MAX_FORM = 4096
"""Bytes of the form that holds the code."""
COOKIE = "counterfoil-demo-mailbox"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class OperatorDoor:
    """Who may read the mailbox: those who typed the operator's code."""

    def __init__(self, code: str, clock: Callable[[], float] = time.time) -> None:
        if not code:
            raise ValueError("the mailbox needs an operator code")
        self._code = code.encode()
        self._clock = clock
        self._wrong = 0
        self._sessions: dict[bytes, float] = {}

    @property
    def tries_left(self) -> int:
        """Before the door is locked."""
        return max(0, TRIES - self._wrong)

    def admits(self, code: str) -> bool:
        """Whether this is the code. A wrong one counts; once locked, no code is right."""
        right = hmac.compare_digest(code.strip().encode(), self._code)
        if self.tries_left == 0:
            return False
        self._wrong += not right
        return right

    def open_session(self) -> str:
        """A new session's secret, kept only as a digest."""
        secret = secrets.token_urlsafe(32)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(secret)] = self._clock() + SESSION
        return secret

    def knows(self, secret: str | None) -> bool:
        """Whether the secret belongs to a live session."""
        return secret is not None and self._sessions.get(_digest(secret), 0.0) > self._clock()


class MailboxPages:
    """The handlers; :func:`mailbox_routes` gives them their addresses."""

    def __init__(self, mailbox: Mailbox, door: OperatorDoor, organisation: str) -> None:
        self._mailbox = mailbox
        self._door = door
        self._organisation = organisation

    async def show(self, request: Request) -> Response:
        """GET: the messages, or the question for the code."""
        if not self._door.knows(request.cookies.get(COOKIE)):
            return self._ask(wrong=False)
        origin = _origin(request)
        newest_first = self._mailbox.messages()
        latest = {kept.to: kept.number for kept in reversed(newest_first)}
        ordered = sorted(newest_first, key=lambda kept: (-latest[kept.to], -kept.number))
        people = [
            (to, [_shown(kept, origin) for kept in messages]) for to, messages in groupby(ordered, key=lambda k: k.to)
        ]
        return _page("mailbox.html", organisation=self._organisation, people=people, total=len(ordered))

    async def sign_in(self, request: Request) -> Response:
        """POST: the code."""
        if _from_elsewhere(request):
            return _page("mailbox_locked.html", 403, organisation=self._organisation, locked=False)
        if not self._door.admits(await _typed_code(request)):
            return self._ask(wrong=True)
        response = RedirectResponse("/mailbox", 303, HEADERS)
        response.set_cookie(
            COOKIE,
            self._door.open_session(),
            max_age=SESSION,
            path="/mailbox",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def list_messages(self, request: Request) -> Response:
        """GET: the messages as JSON, newest first, for a session or with ``Authorization: Bearer <operator code>``."""
        scheme, _, code = request.headers.get("authorization", "").partition(" ")
        allowed = self._door.knows(request.cookies.get(COOKIE))
        if not allowed and not (scheme.lower() == "bearer" and self._door.admits(code)):
            error = {
                "code": "unauthenticated",
                "happened": "The mailbox is open to the operator of this demo only.",
                "remedy": "Send 'Authorization: Bearer <code>' with the code printed on the operator's terminal.",
            }
            return JSONResponse({"error": error}, 401, HEADERS | {"WWW-Authenticate": "Bearer"})
        return JSONResponse({"messages": [_as_json(kept) for kept in self._mailbox.messages()]}, headers=HEADERS)

    async def style(self, request: Request) -> Response:
        """GET: the stylesheet, which holds nothing that anybody may not see."""
        return FileResponse(PAGES / "mailbox.css", media_type="text/css", headers=HEADERS)

    def _ask(self, *, wrong: bool) -> Response:
        left = self._door.tries_left
        if left == 0:
            return _page("mailbox_locked.html", 403, organisation=self._organisation, locked=True)
        return _page(
            "mailbox_code.html", 403 if wrong else 200, organisation=self._organisation, wrong=wrong, left=left
        )


def mailbox_routes(
    mailbox: Mailbox, *, operator_code: str, organisation: str, clock: Callable[[], float] = time.time
) -> list[Route]:
    """The routes of the demo's mailbox: the page, its stylesheet and the listing as JSON."""
    pages = MailboxPages(mailbox, OperatorDoor(operator_code, clock), organisation)
    return [
        Route("/mailbox", pages.show, methods=["GET"]),
        Route("/mailbox", pages.sign_in, methods=["POST"]),
        Route("/mailbox/messages.json", pages.list_messages, methods=["GET"]),
        Route("/mailbox/style.css", pages.style, methods=["GET"]),
    ]


def _page(template: str, status: int = 200, **values: object) -> Response:
    content = templates().get_template(template).render(**values)
    return Response(content, status, HEADERS, "text/html")


def _shown(kept: Kept, origin: str) -> dict[str, object]:
    """What the page shows of a message: the paragraphs of its plain text, unwrapped to fit a phone."""
    link = kept.message.link
    followed = link if link is not None and _origin_of(link) == origin else None
    blocks: list[tuple[str, str]] = []
    for block in kept.message.text.strip("\n").split("\n\n"):
        if block.strip() == followed:
            blocks.append(("link", followed))
        elif block.startswith(INDENT):
            blocks.append(("apart", dedent(block)))
        else:
            blocks.append(("text", " ".join(block.removeprefix(SIGNATURE).splitlines())))
    return {"number": kept.number, "at": in_utc(kept.at), "subject": kept.message.subject, "blocks": blocks}


def _as_json(kept: Kept) -> dict[str, object]:
    message = kept.message
    return {
        "number": kept.number,
        "at": kept.at,
        "to": kept.to,
        "subject": message.subject,
        "text": message.text,
        "link": message.link,
        "code": message.code,
    }


async def _typed_code(request: Request) -> str:
    """The code of the form, or nothing where the form is too large or none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return ""
    values = parse_qs(body.decode("utf-8", "replace"))
    return values.get("code", [""])[0]


def _from_elsewhere(request: Request) -> bool:
    """Whether another site's page sent this form: it must not be able to use up the tries."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin != _origin(request)


def _origin(request: Request) -> str:
    return _origin_of(str(request.base_url))


def _origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
