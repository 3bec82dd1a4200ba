"""From a link to a session: the landing page and the sign-in with a passkey.

The landing page says which organisation waits for somebody, and nothing of the request or of anyone (T02). Signing in
takes a passkey of the very person whom the message was for, who must still have a seat in the ticket; everybody else
is refused in the same words, without a glance at the ticket (T01, T03). A link to decide leads to a session in which
one can decide, a link to settle to one in which one can settle, and neither to the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterfoil import recipients
from counterfoil.assertions import verify_assertion
from counterfoil.errors import LinkRefused
from counterfoil_server.verification.headers import TOKEN_FIELD
from counterfoil_server.verification.incoming import form_of, json_of
from counterfoil_server.verification.parts import Parts
from counterfoil_server.verification.passkeys import AssertionAnswer, request_options
from counterfoil_server.verification.secrets_kept import SESSION, SETTLE_SESSION

PURPOSE = "sign-in"


@dataclass(frozen=True, slots=True)
class Way:
    """Where a kind of link leads. ``concerns`` raises LinkRefused for a person whom the ticket does not concern."""

    kind: str
    template: str
    session: str
    location: str
    concerns: Callable[[str, str], Awaitable[object]]


def to_decide(parts: Parts) -> Way:
    """Links in messages that ask for a decision."""
    return Way(recipients.APPROVE, "landing.html", SESSION, "/decide", parts.authority.view)


def to_settle(parts: Parts) -> Way:
    """Links in messages that ask what became of an unknown outcome."""
    view = parts.authority.settlement_view
    return Way(recipients.SETTLE, "landing_to_settle.html", SETTLE_SESSION, "/settle", view)


class SignIn:
    """The pages below ``/l/`` and ``/u/``."""

    def __init__(self, parts: Parts, way: Way) -> None:
        self._parts = parts
        self._way = way

    async def landing(self, request: Request) -> Response:
        """Somebody opened a link. Nothing is changed, whoever or whatever it was (T06)."""
        link = await self._parts.links.open(request.path_params["secret"], self._way.kind)
        visit = self._parts.sessions.visit(request)
        template = self._way.template if link.live else "expired.html"
        response = self._parts.pages.page(
            template, status=200 if link.live else 410, form_token=visit.token, again=f"{request.url.path}/again"
        )
        self._parts.sessions.keep(response, visit)
        return response

    async def again(self, request: Request) -> Response:
        """The person asks for a new message; the answer is the same whether one is sent."""
        form = await form_of(request)
        self._parts.sessions.check_visit(request, form.get(TOKEN_FIELD, ""))
        await self._parts.links.send_again(request.path_params["secret"], self._way.kind)
        return self._parts.pages.page("sent_again.html")

    async def challenge(self, request: Request) -> Response:
        """What the browser asks a passkey to sign for signing in."""
        visit = self._parts.sessions.check_visit(request)
        link = await self._parts.links.live(request.path_params["secret"], self._way.kind)
        challenge = await self._parts.challenges.make(PURPOSE, f"{link.digest}:{visit.digest}")
        return JSONResponse(request_options(self._parts.party, challenge))

    async def sign_in(self, request: Request) -> Response:
        """Verify the passkey's answer and begin a session for this person and this ticket."""
        visit = self._parts.sessions.check_visit(request)
        answer = await json_of(request, AssertionAnswer)
        link = await self._parts.links.live(request.path_params["secret"], self._way.kind)
        assertion = answer.to_assertion()
        challenge = await self._parts.challenges.spend(assertion.client_data, PURPOSE, f"{link.digest}:{visit.digest}")
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
        if person.id != link.recipient:
            raise LinkRefused()
        await self._way.concerns(link.ticket, person.id)
        response = JSONResponse({"location": self._way.location})
        await self._parts.sessions.begin(
            request, response, self._way.session, ticket=link.ticket, person=person.id, credential=credential.id
        )
        return response
