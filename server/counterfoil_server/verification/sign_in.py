"""From an address to a session: the landing page and the sign-in with a passkey.

The landing page says which organisation waits for somebody, and nothing of the request or of anyone (T02). Signing in
takes a passkey of somebody who has a seat in the ticket, and of the very person whom the message was for where a
message led here; everybody else is refused in the same words, without a glance at the ticket (T01, T03). A link to
decide leads to a session in which one can decide, a link to settle to one in which one can settle, and neither to the
other. A locator, which anybody may have, leads where a link to decide does, and only the same people there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterfoil import recipients
from counterfoil.assertions import verify_assertion
from counterfoil.errors import LinkRefused
from counterfoil.tickets import STOPPABLE
from counterfoil_server.verification.headers import TOKEN_FIELD
from counterfoil_server.verification.incoming import form_of, json_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import AssertionAnswer, request_options
from counterfoil_server.verification.secrets_kept import SESSION, SETTLE_SESSION

PURPOSE = "sign-in"


class Pointer(Protocol):
    """What an address points at, once it is known to be one of ours."""

    @property
    def digest(self) -> str:
        """Ties a challenge to this address."""

    @property
    def ticket(self) -> str:
        """The ticket's id."""

    @property
    def recipient(self) -> str | None:
        """Whom alone it is for; None where anybody may have it."""


@dataclass(frozen=True)
class Way:
    """Where a kind of address leads.

    ``live`` answers what it points at, or raises LinkRefused. ``concerns`` raises it for a person whom the ticket does
    not concern.
    """

    template: str
    session: str
    location: str
    live: Callable[[str], Awaitable[Pointer]]
    concerns: Callable[[str, str], Awaitable[object]]


def to_decide(parts: Parts) -> Way:
    """Links in messages that ask for a decision."""
    return Way("landing.html", SESSION, "/decide", _links(parts, recipients.APPROVE), parts.authority.view)


def to_settle(parts: Parts) -> Way:
    """Links in messages that ask what became of an unknown outcome."""
    view = parts.authority.settlement_view
    return Way("landing_to_settle.html", SETTLE_SESSION, "/settle", _links(parts, recipients.SETTLE), view)


def by_locator(parts: Parts) -> Way:
    """Locators, which AI clients offer: to the same page of the same people as a link to decide."""

    async def concerns(ticket: str, person: str) -> None:
        if (await parts.authority.view(ticket, person)).ticket.state not in STOPPABLE:
            raise LinkRefused()

    return Way("landing_by_locator.html", SESSION, "/decide", parts.locators.live, concerns)


def _links(parts: Parts, kind: str) -> Callable[[str], Awaitable[Pointer]]:
    async def live(text: str) -> Pointer:
        return await parts.links.live(text, kind)

    return live


class SignIn:
    """The pages below ``/t/``, and what those below ``/l/`` and ``/u/`` have in common with them."""

    def __init__(self, parts: Parts, way: Way) -> None:
        self._parts = parts
        self._way = way

    async def landing(self, request: Request) -> Response:
        """Somebody opened the address. Nothing is changed or looked up, so the page is the same whatever it says."""
        return self._page(request, self._way.template)

    def _page(self, request: Request, template: str, status: int = 200) -> Response:
        visit = self._parts.sessions.visit(request)
        response = self._parts.pages.page(
            template, status=status, form_token=visit.token, again=f"{request.url.path}/again"
        )
        self._parts.sessions.keep(response, visit)
        return response

    async def challenge(self, request: Request) -> Response:
        """What the browser asks a passkey to sign for signing in."""
        visit = self._parts.sessions.check_visit(request)
        to = await self._way.live(request.path_params["secret"])
        challenge = await self._parts.challenges.make(PURPOSE, f"{to.digest}:{visit.digest}")
        return JSONResponse(request_options(self._parts.party, challenge))

    async def sign_in(self, request: Request) -> Response:
        """Verify the passkey's answer and begin a session for this person and this ticket."""
        visit = self._parts.sessions.check_visit(request)
        answer = await json_of(request, AssertionAnswer)
        to = await self._way.live(request.path_params["secret"])
        assertion = answer.to_assertion()
        challenge = await self._parts.challenges.spend(assertion.client_data, PURPOSE, f"{to.digest}:{visit.digest}")
        known = (await self._parts.judge.roster()).signer(assertion.credential)
        if known is None:
            raise LinkRefused()
        credential, person = known
        verify_assertion(
            assertion,
            challenge=challenge,
            public_key=credential.public_key,
            backup_eligible=credential.backup_eligible,
            party=self._parts.party,
        )
        if to.recipient not in (None, person.id):
            raise LinkRefused()
        await self._way.concerns(to.ticket, person.id)
        response = JSONResponse({"location": self._way.location})
        await self._parts.sessions.begin(
            request, response, self._way.session, ticket=to.ticket, person=person.id, credential=credential.id
        )
        return response


class LinkSignIn(SignIn):
    """The pages below ``/l/`` and ``/u/``: whoever opens a link that is too old can ask for a new message."""

    def __init__(self, parts: Parts, way: Way, kind: str) -> None:
        super().__init__(parts, way)
        self._kind = kind

    async def landing(self, request: Request) -> Response:
        """Somebody opened a link. Nothing is changed, whoever or whatever it was (T06)."""
        link = await self._parts.links.open(request.path_params["secret"], self._kind)
        return self._page(request, self._way.template) if link.live else self._page(request, "expired.html", 410)

    async def again(self, request: Request) -> Response:
        """The person asks for a new message; the answer is the same whether one is sent."""
        form = await form_of(request)
        self._parts.sessions.check_visit(request, form.get(TOKEN_FIELD, ""))
        await self._parts.links.send_again(request.path_params["secret"], self._kind)
        return self._parts.pages.page("sent_again.html")
